"""Figures of a study: learning curves of several networks over folds, and deletion curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calcigraph.figures.evaluation import COLOURS, blank


def learning_curves(histories: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """Draw training and validation loss and the validation score of every network, thin for each fold.

    Args:
        histories: network's title → `history.csv` of each fold.
    """
    figure = blank(width=8.0, height=2.6 * max(len(histories), 1))
    grid = figure.subplots(max(len(histories), 1), 2, squeeze=False)
    for (losses, scores), (title, folds) in zip(grid, histories.items(), strict=False):
        for name, colour in (("training_loss", COLOURS[0]), ("validation_loss", COLOURS[1])):
            _spaghetti(losses, folds, name, colour)
        _spaghetti(scores, folds, "validation_score", COLOURS[2])
        losses.set(title=title, xlabel="epoch", ylabel="loss")
        scores.set(title=title, xlabel="epoch", ylabel="macro AUC, validation", ylim=(0.3, 1.02))
        losses.legend(fontsize=7)
    return figure


def _spaghetti(axes: Axes, folds: Sequence[pd.DataFrame], column: str, colour: str) -> None:
    """One thin line for each fold, a thick one for their mean; none where nobody was held out."""
    known = [table for table in folds if table[column].notna().any()]
    for table in known:
        axes.plot(table["epoch"] + 1, table[column], color=colour, lw=0.6, alpha=0.5)
    if known:
        epochs = min(len(table) for table in known)
        mean = np.mean([table[column].to_numpy(np.float64)[:epochs] for table in known], axis=0)
        axes.plot(np.arange(1, epochs + 1), mean, color=colour, lw=2, label=column.replace("_", " "))


def deletion_curves(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw how the probability of the answer falls as calcifications are removed.

    Args:
        curves: model's title → table of `share` and, for `salient` and `random`, the mean and its interval:
            `<name>`, `<name>_low`, `<name>_high`.
    """
    figure = blank(width=3.6 * max(len(curves), 1) + 1, height=4.2)
    grid = figure.subplots(1, max(len(curves), 1), squeeze=False, sharey=True)[0]
    for each, (title, table) in zip(grid, curves.items(), strict=False):
        for name, words, colour in (
            ("salient", "most salient first", COLOURS[3]),
            ("random", "at random", COLOURS[0]),
        ):
            each.plot(table["share"], table[name], color=colour, label=words)
            each.fill_between(
                table["share"], table[f"{name}_low"], table[f"{name}_high"], color=colour, alpha=0.2, lw=0
            )
        each.set(title=title, xlabel="share of calcifications removed")
        each.legend(fontsize=8)
    grid[0].set_ylabel("probability of the answer")
    return figure
