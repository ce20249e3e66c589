"""Are two models different? Paired permutation tests by patient, corrected for their number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from calcigraph.crossval.bench import Float
from calcigraph.metrics import CLASSES, Labels


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


@dataclass(frozen=True)
class Exchanges:
    """Random exchanges of the answers of two models, all of a patient's or none.

    Attributes:
        patient: of each image, (n,), from 0.
        signs: (exchanges, patients), -1 where the two models' answers are exchanged, else 1; in the first row nowhere.
    """

    patient: NDArray[np.int64]
    signs: Float

    @classmethod
    def draw(cls, patients: Sequence[str], count: int, *, seed: int) -> Exchanges:
        """Draw so many exchanges, each patient with probability 1/2."""
        names, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
        exchanged = np.random.default_rng(seed).random((count, len(names))) < 0.5
        return cls(patient, np.vstack([np.ones(len(names)), 1.0 - 2.0 * exchanged]))

    def difference(self, first: Float, second: Float) -> Float:
        """Sum over the images of first less second (n,), after each exchange."""
        each = np.bincount(self.patient, weights=first - second, minlength=self.signs.shape[1])
        return np.asarray(self.signs @ each)

    def both(self, first: Float, second: Float) -> tuple[Float, Float]:
        """Sums over the images of first and of second (n,), after each exchange."""
        total, difference = first.sum() + second.sum(), self.difference(first, second)
        return (total + difference) / 2, (total - difference) / 2


def balanced_accuracy(y: Labels, first: Float, second: Float, exchanges: Exchanges) -> Float:
    """Difference of the mean sensitivity of the classes present, after each exchange."""
    support = np.bincount(y, minlength=CLASSES)
    weight = 1 / (support[y] * np.count_nonzero(support))
    return exchanges.difference(weight * (first.argmax(axis=1) == y), weight * (second.argmax(axis=1) == y))


def macro_auc(y: Labels, first: Float, second: Float, exchanges: Exchanges) -> Float:
    """Difference of the mean one-vs-rest AUC of the classes present, after each exchange of ranks.

    Ranks within each model's own answers, as two models need not mean the same by a probability (Bandos, Rockette and
    Gur 2005). Of two images i and j, exchanging both negates [a_i > a_j] - [b_i > b_j], and exchanging one puts
    [a_i > b_j] - [b_i > a_j] in its place or that negated. So the difference is a sum of one number for each image,
    which its exchange negates.
    """
    a, b = rankdata(first, axis=0), rankdata(second, axis=0)
    present = [c for c, count in enumerate(np.bincount(y, minlength=CLASSES)) if 0 < count < len(y)]
    if not present:
        return np.full(len(exchanges.signs), np.nan)
    outranked = np.zeros((2, len(y)))
    for c in present:
        for own, others, sign in ((y == c, y != c, 1), (y != c, y == c, -1)):
            among = np.sort(np.concatenate([a[others, c], b[others, c]]))
            pairs = 2 * own.sum() * others.sum() * len(present)
            outranked[0, own] += sign * _below(a[own, c], among) / pairs
            outranked[1, own] += sign * _below(b[own, c], among) / pairs
    return exchanges.difference(*outranked)


def kappa(y: Labels, first: Float, second: Float, exchanges: Exchanges) -> Float:
    """Difference of Cohen's κ, after each exchange."""
    support, answers = np.bincount(y, minlength=CLASSES), [p.argmax(axis=1) for p in (first, second)]
    hits = exchanges.both(*((answer == y) / len(y) for answer in answers))
    by_chance = exchanges.both(*(support[answer] / len(y) ** 2 for answer in answers))
    with np.errstate(divide="ignore", invalid="ignore"):
        ours, theirs = ((h - c) / (1 - c) for h, c in zip(hits, by_chance, strict=True))
    return np.asarray(ours - theirs)


STATISTICS: dict[str, Callable[[Labels, Float, Float, Exchanges], Float]] = {
    "balanced_accuracy": balanced_accuracy,
    "macro_auc": macro_auc,
    "kappa": kappa,
}
"""Name → function of the true classes (n,), the probabilities (n, 5) of two models and exchanges of their answers,
which returns the difference of the statistic, first less second, after each exchange."""


def compare_models(
    y: Labels, answers: Mapping[str, Float], patients: Sequence[str], *, permutations: int, seed: int
) -> list[Comparison]:
    """Compare every pair of models by every statistic.

    Args:
        y: (n,) true classes.
        answers: model → (n, 5) probabilities.
        patients: of each image.
        permutations: for each pair.
        seed: of the exchanges; every pair has the same ones.
    """
    exchanges, pairs = Exchanges.draw(patients, permutations, seed=seed), list(combinations(answers, 2))
    found: list[Comparison] = []
    for name, differ in STATISTICS.items():
        tests = [permutation_test(differ(y, answers[a], answers[b], exchanges)) for a, b in pairs]
        corrected = holm([p for _, p in tests])
        found += [
            Comparison(name, a, b, difference, p, p_holm)
            for (a, b), (difference, p), p_holm in zip(pairs, tests, corrected, strict=True)
        ]
    return found


def permutation_test(differences: Float) -> tuple[float, float]:
    """Return a difference and the share of all that are as large, itself counted; the first is the one observed."""
    observed = float(differences[0])
    if not np.isfinite(observed):
        return float("nan"), float("nan")
    return observed, float(np.mean(np.abs(differences) >= abs(observed) - 1e-12))


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


def _below(ranks: Float, among: Float) -> Float:
    """How many of the sorted `among` (m,) each rank (k,) exceeds; equals count half."""
    return (np.searchsorted(among, ranks, "left") + np.searchsorted(among, ranks, "right")) / 2
