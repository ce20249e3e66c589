"""Confusions as Markdown, for the pages that benchmarks write."""

from __future__ import annotations

import numpy as np

from calcigraph.lexicon import DISTRIBUTIONS

ANSWERS = (*DISTRIBUTIONS, "none")


def confusion_lines(corner: str, counts: np.ndarray) -> list[str]:
    """A table of counts by truth and answer, (5, 5) or with those not named (5, 6), less classes that are absent."""
    columns = ANSWERS[: counts.shape[1]]
    lines = [f"| {corner} | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    cells = zip(DISTRIBUTIONS, counts, strict=True)
    return lines + [f"| {truth} | {' | '.join(map(str, row))} |" for truth, row in cells if row.any()]
