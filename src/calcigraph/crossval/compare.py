"""Are two models different? Paired permutation tests by patient, corrected for their number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from calcigraph.crossval.bench import Float
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.metrics import Labels, multiclass_auc


def balanced_accuracy(y: Labels, probabilities: Float) -> float:
    """Mean sensitivity of the classes present."""
    support = np.bincount(y, minlength=len(DISTRIBUTIONS))
    hits = np.bincount(y[probabilities.argmax(axis=1) == y], minlength=len(DISTRIBUTIONS))
    return float((hits[support > 0] / support[support > 0]).mean())


def macro_auc(y: Labels, probabilities: Float) -> float:
    """Mean one-vs-rest AUC of the classes present."""
    return multiclass_auc(y, probabilities, average="macro")


STATISTICS: dict[str, Callable[[Labels, Float], float]] = {
    "balanced_accuracy": balanced_accuracy,
    "macro_auc": macro_auc,
}


@dataclass(frozen=True)
class Comparison:
    """Two models on the same images.

    Attributes:
        statistic: name in `STATISTICS`.
        first, second: models.
        difference: of the statistic, first less second.
        p: of the two-sided permutation test.
        p_holm: corrected for all pairs of this statistic.
    """

    statistic: str
    first: str
    second: str
    difference: float
    p: float
    p_holm: float


def compare_models(
    y: Labels,
    answers: Mapping[str, Float],
    patients: Sequence[str],
    *,
    permutations: int,
    seed: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[Comparison]:
    """Compare every pair of models by every statistic.

    Args:
        y: (n,) true classes.
        answers: model → (n, 5) probabilities.
        patients: of each image.
        permutations: for each pair.
        seed: of the swaps; every pair has the same ones.
        report: called with pairs done and pairs in all.
    """
    swaps, pairs = _swaps(patients, permutations, seed), list(combinations(answers, 2))
    found: list[Comparison] = []
    for name, judge in STATISTICS.items():
        tests = []
        for a, b in pairs:
            tests.append(swap_test(y, answers[a], answers[b], swaps, judge=judge))
            report(len(found) + len(tests), len(pairs) * len(STATISTICS))
        corrected = holm([p for _, p in tests])
        found += [
            Comparison(name, a, b, difference, p, p_holm)
            for (a, b), (difference, p), p_holm in zip(pairs, tests, corrected, strict=True)
        ]
    return found


def swap_test(
    y: Labels,
    first: Float,
    second: Float,
    swaps: NDArray[np.bool_],
    *,
    judge: Callable[[Labels, Float], float],
) -> tuple[float, float]:
    """Test whether two models differ: if they do not, it does not matter who gave which answers.

    Args:
        y: (n,) true classes.
        first, second: (n, 5) probabilities.
        swaps: (permutations, n), the images whose answers are exchanged; all of a patient's or none.
        judge: the statistic.

    Returns:
        The difference, first less second, and the share of permutations with one as large, itself counted.
    """
    difference = judge(y, first) - judge(y, second)
    if not np.isfinite(difference):
        return float("nan"), float("nan")
    as_large = 1
    for swap in swaps:
        a = np.where(swap[:, None], second, first)
        b = np.where(swap[:, None], first, second)
        as_large += abs(judge(y, a) - judge(y, b)) >= abs(difference) - 1e-12
    return difference, as_large / (len(swaps) + 1)


def holm(p: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979): the smallest by m, the next by m - 1 ..., never falling.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, highest = [float("nan")] * len(p), 0.0
    known = [i for i in np.argsort(p, kind="stable") if np.isfinite(p[i])]
    for rank, i in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p[i]))
        corrected[i] = highest
    return corrected


def _swaps(patients: Sequence[str], permutations: int, seed: int) -> NDArray[np.bool_]:
    names, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    drawn = np.random.default_rng(seed).random((permutations, len(names))) < 0.5
    swaps: NDArray[np.bool_] = drawn[:, patient]
    return swaps
