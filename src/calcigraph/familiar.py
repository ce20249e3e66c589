"""Whether an image is like those that a model was trained on: a few numbers, each with its range in training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from calcigraph.encode import Encoding

Ranges = Mapping[str, tuple[float, float]]
"""Least and greatest value of each statistic that is familiar; a statistic without a range is not judged."""

FEWEST_IMAGES = 10
"""A statistic that fewer training images have gets no range."""

FEWEST_CANDIDATES = 20
"""Fewer candidates say nothing about how candidates are."""

OUTLYING = 0.005
"""Share of the training images at either end that do not decide a range."""

MARGIN = 0.4
"""A range goes beyond the training images at either end by this share of what lies between that end and the median."""

STRONGEST_PER_CM2 = 10.0
"""Candidates that are looked at; even the largest breast has so many before `CandidateConfig.at_most` cuts them."""

UNSURE = (0.2, 0.8)
"""Probabilities between which a candidate is neither taken for a calcification nor for something else."""


STATISTICS = (
    "cm across the breast",
    "noise per grey range",
    "texture",
    "share of flat pixels",
    "contrast of candidates",
    "diameter of candidates",
    "share of doubtful candidates",
)
"""What an image is judged by, in the words of the warning."""


def statistics(encoding: Encoding) -> dict[str, float]:
    """Return the value of each of `STATISTICS`; NaN where there is nothing to judge.

    Of the candidates only the strongest count, as many for each cm², so that a crop and a whole breast compare.
    """
    breast, look = encoding.breast, encoding.breast.look
    strongest = encoding.candidates.iloc[: int(STRONGEST_PER_CM2 * breast.area_cm2)]
    if len(strongest) < FEWEST_CANDIDATES:
        strongest = strongest.iloc[:0]
    values = (
        math.nan if breast.fills_image else math.sqrt(breast.area_cm2),
        look.noise,
        look.texture,
        look.flat,
        strongest["contrast"].median(),
        strongest["diameter_mm"].median(),
        strongest["probability"].between(*UNSURE).mean(),
    )
    return {name: float(value) for name, value in zip(STATISTICS, values, strict=True)}


def ranges_of(seen: Sequence[Mapping[str, float]]) -> Ranges:
    """Return the range of each statistic over the training images, widened; none of fewer than `FEWEST_IMAGES`."""
    ranges = {}
    for name in seen[0] if seen else ():
        values = np.array([each[name] for each in seen])
        values = values[np.isfinite(values)]
        if len(values) >= FEWEST_IMAGES:
            low, middle, high = (float(v) for v in np.quantile(values, [OUTLYING, 0.5, 1 - OUTLYING]))
            ranges[name] = (max(low - MARGIN * (middle - low), 0.0), high + MARGIN * (high - middle))
    return ranges


def unlike(found: Mapping[str, float], ranges: Ranges) -> str:
    """Say which statistics lie outside of their ranges; empty where none does."""
    outside = [
        _words(name, found[name], low, high)
        for name, (low, high) in ranges.items()
        if found[name] < low or found[name] > high
    ]
    return ", ".join(outside)


def _words(name: str, value: float, low: float, high: float) -> str:
    """Write a value and its range with three digits, or so many that they differ."""
    for digits in range(3, 18):
        given, least, most = (f"{number:.{digits}g}" for number in (value, low, high))
        if given not in (least, most):
            break
    return f"{name} {given} (familiar: {least} to {most})"


def checked_ranges(read: Any) -> Ranges:
    """Return ranges as they were read from a file.

    Raises:
        TypeError, ValueError, OverflowError: they are none.
    """
    if not isinstance(read, dict) or not read.keys() <= set(STATISTICS):
        raise ValueError(f"not a table of {', '.join(STATISTICS)}")
    ranges = {name: (float(low), float(high)) for name, (low, high) in read.items()}
    for name, (low, high) in ranges.items():
        if not -math.inf < low <= high < math.inf:
            raise ValueError(f"{name} from {low:g} to {high:g}")
    return ranges
