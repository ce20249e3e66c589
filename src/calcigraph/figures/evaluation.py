"""Figures of an evaluation: confusion matrix, ROC curves, reliability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from calcigraph.lexicon import RESEARCH_USE

# Okabe and Ito: told apart under every common colour blindness.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#555555")


def blank(*, width: float = 6.4, height: float = 5.4) -> Figure:
    """Return a figure of this size (inches) that says what its results are not for."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    figure.supxlabel(RESEARCH_USE, fontsize=7, color="#666666", x=0.01, ha="left")
    return figure


def confusion_matrix(matrix: ArrayLike, labels: Sequence[str]) -> Figure:
    """Draw counts, shaded by the share of their row (Figure 3 of the paper).

    Args:
        matrix: (classes, answers) counts, true class in rows, answer in columns.
        labels: names of the answers, the first of which are the classes.
    """
    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = blank()
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, col), count in np.ndenumerate(counts):
        share = shares[row, col]
        axes.text(
            col,
            row,
            f"{count:g}\n{share:.0%}",
            ha="center",
            va="center",
            color="white" if share > 0.5 else "black",
        )
    axes.set_xticks(range(len(labels)), labels, rotation=30)
    axes.set_yticks(range(len(counts)), labels[: len(counts)])
    axes.set(xlabel="predicted distribution", ylabel="true distribution")
    return figure


def roc_curves(truth: ArrayLike, probabilities: ArrayLike, labels: Sequence[str]) -> Figure:
    """Draw one-versus-rest receiver operating characteristics (Figure 4 of the paper).

    Args:
        truth: (n,) index of the true class.
        probabilities: (n, classes).
        labels: the classes' names; a class without both positives and negatives has no curve.
    """
    from sklearn.metrics import roc_curve  # takes a second, and `predict` draws none

    classes, scores = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
    figure = blank()
    axes = figure.add_subplot()
    for index, label in enumerate(labels):
        positive = classes == index
        if positive.all() or not positive.any():
            continue
        false_rate, true_rate, _ = roc_curve(positive, scores[:, index], drop_intermediate=False)
        area = float(np.trapezoid(true_rate, false_rate))
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(
            false_rate, true_rate, color=colour, label=f"{label} (n = {positive.sum()}): AUC {area:.2f}"
        )
    axes.plot([0, 1], [0, 1], color="#999999", ls=":", lw=1, label="chance")
    axes.set(
        xlabel="1 − specificity", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal"
    )
    axes.legend(loc="lower right", fontsize=8)
    return figure


def reliability(truth: ArrayLike, probabilities: ArrayLike, *, bins: int = 10) -> Figure:
    """Draw how often an answer was right against how sure it was.

    Args:
        truth: (n,) index of the true class.
        probabilities: (n, classes), all known.
        bins: equal parts of [0, 1], as in `metrics.calibration_error`; empty ones are left out.
    """
    scores = np.asarray(probabilities, dtype=np.float64)
    sure, right = scores.max(axis=1), scores.argmax(axis=1) == np.asarray(truth)
    bin_of = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    filled = np.unique(bin_of)
    figure = blank()
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="#999999", ls=":", lw=1, label="perfect calibration")
    means = [sure[bin_of == b].mean() for b in filled]
    shares = [right[bin_of == b].mean() for b in filled]
    axes.plot(means, shares, "o-", color=COLOURS[0], label="answers")
    for b, x, y in zip(filled, means, shares, strict=True):
        axes.annotate(
            f"{(bin_of == b).sum()}", (x, y), xytext=(5, -11), textcoords="offset points", fontsize=7
        )
    axes.set(
        xlabel="probability of the answer", ylabel="share of answers that are right", xlim=(0, 1), ylim=(0, 1)
    )
    axes.legend(loc="upper left", fontsize=8)
    return figure
