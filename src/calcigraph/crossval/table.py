"""Table 1: the paper's six metrics over the folds, beside pooled values with intervals, and the paper's own rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from calcigraph.crossval.bench import PROBABILITIES, Float
from calcigraph.crossval.contestants import CONTESTANTS
from calcigraph.lexicon import DISTRIBUTIONS, Distribution
from calcigraph.metrics import Interval, Labels, bootstrap, constant_answer, scores
from calcigraph.simulate.plan import TWIN_IMAGES

PAPER_METRICS = ("precision", "sensitivity", "specificity", "f1", "accuracy", "auc")
"""As the paper computes them, which is what its numbers fit: precision, sensitivity and F1 weighted by support (so
that sensitivity is accuracy), specificity averaged over the classes, AUC one-vs-rest."""

OUR_METRICS = ("balanced_accuracy", "macro_f1", "macro_auc", "kappa")
"""What a constant answer cannot please."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (n - 1) over the folds in which a metric is defined; NaN where there are too few."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Share:
    """So many of n."""

    hits: int
    n: int


@dataclass(frozen=True)
class Row:
    """One model.

    Attributes:
        model: its name.
        title: as tables call it.
        folds: metric → mean and deviation over the folds.
        pooled: the same metrics → value over all out-of-fold answers, with a bootstrap interval by patient.
        sensitivity: class → how many of its images were named right.
        unanswered: images in which nothing was found, or for the rule of thumb too little; they count as answered
            with the class shares of the training data.
    """

    model: str
    title: str
    folds: dict[str, Spread]
    pooled: dict[str, Interval]
    sensitivity: dict[Distribution, Share]
    unanswered: int


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper's Table 1: 292 patients and 581 images of its own, mean and deviation over five folds."""

    title: str
    folds: dict[str, Spread]


def _paper_row(title: str, *numbers: float) -> PaperRow:
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return PaperRow(title, dict(zip(PAPER_METRICS, (Spread(*pair) for pair in pairs), strict=True)))


PAPER_TABLE = (
    _paper_row(
        "ResNet-50", 0.388, 0.067, 0.594, 0.019, 0.810, 0.013, 0.459, 0.044, 0.594, 0.019, 0.672, 0.035
    ),
    _paper_row(
        "DenseNet-121", 0.388, 0.060, 0.590, 0.013, 0.808, 0.012, 0.451, 0.034, 0.590, 0.013, 0.657, 0.025
    ),
    _paper_row(
        "MobileNetV2", 0.507, 0.037, 0.607, 0.009, 0.816, 0.008, 0.481, 0.018, 0.607, 0.009, 0.695, 0.882
    ),
    _paper_row(
        "EfficientNet-B7", 0.356, 0.043, 0.581, 0.009, 0.802, 0.003, 0.430, 0.015, 0.581, 0.009, 0.695, 0.030
    ),
    _paper_row(
        "graph (proposed)", 0.522, 0.028, 0.643, 0.017, 0.847, 0.009, 0.559, 0.018, 0.643, 0.017, 0.745, 0.030
    ),
)
"""As printed, with the deviation of .882 that is printed for an AUC."""


def paper_constant() -> dict[str, float]:
    """Return the metrics of always answering *grouped* on the paper's 581 images, which follow from their numbers."""
    places = [[name.place] * images for name, images in TWIN_IMAGES.items()]
    return asdict(constant_answer(np.concatenate(places)))


def labels(answers: pd.DataFrame) -> Labels:
    """True classes (n,) of a table of answers."""
    places = {str(name): name.place for name in DISTRIBUTIONS}
    return np.array([places[name] for name in answers["truth"]], np.int64)


def probabilities(answers: pd.DataFrame) -> Float:
    """Probabilities (n, 5) of a table of answers."""
    return answers[list(PROBABILITIES)].to_numpy(np.float64)


def make_row(model: str, answers: pd.DataFrame, *, bootstraps: int, seed: int) -> Row:
    """Judge a model by its out-of-fold answers.

    Args:
        model: name in `CONTESTANTS`.
        answers: every test image once, as `Bench.write_answers` writes them.
        bootstraps: draws of patients.
        seed: of these.
    """
    y, p = labels(answers), probabilities(answers)
    right = p.argmax(axis=1) == y
    pooled = bootstrap(y, p, patients=list(answers["patient_id"]), seed=seed, repeats=bootstraps)
    return Row(
        model=model,
        title=CONTESTANTS[model].title,
        folds=_over_folds([part for _, part in answers.groupby("fold")]),
        pooled={name: pooled[name] for name in (*PAPER_METRICS, *OUR_METRICS)},
        sensitivity={
            name: Share(int(right[y == name.place].sum()), int((y == name.place).sum()))
            for name in DISTRIBUTIONS
        },
        unanswered=int((answers["answered"] == 0).sum()),
    )


def _over_folds(parts: Sequence[pd.DataFrame]) -> dict[str, Spread]:
    judged = pd.DataFrame([asdict(scores(labels(part), probabilities(part))) for part in parts])
    names = (*PAPER_METRICS, *OUR_METRICS)
    return {name: Spread(float(judged[name].mean()), float(judged[name].std(ddof=1))) for name in names}
