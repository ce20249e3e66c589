"""Two views of one breast, one answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST = 1e-6
"""Probabilities are taken as at least this, so that one view cannot forbid a class."""


def fuse_views(
    probabilities: NDArray[np.float64], breasts: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give every breast one answer: the mean of the logarithms of its views' probabilities, normalised.

    Args:
        probabilities: (n, 5) of the views; rows of NaN, views without an answer, do not count.
        breasts: of each view, n.

    Returns:
        (m,) the first view of each breast, ascending, and (m, 5) its probabilities, NaN where no view answered.

    >>> fuse_views(np.array([[0.5, 0.5], [0.8, 0.2], [0.1, 0.9]]), ["a", "a", "b"])[1].round(2).tolist()
    [[0.67, 0.33], [0.1, 0.9]]
    """
    names, first, breast = np.unique(np.asarray(breasts, dtype=str), return_index=True, return_inverse=True)
    answered = ~np.isnan(probabilities).any(axis=1)
    logs = np.zeros((len(names), probabilities.shape[1]))
    views = np.bincount(breast[answered], minlength=len(names))
    np.add.at(logs, breast[answered], np.log(np.maximum(probabilities[answered], LEAST)))
    means = logs / np.maximum(views, 1)[:, None]
    fused = np.exp(means - means.max(axis=1, keepdims=True)) if len(names) else logs
    fused = fused / fused.sum(axis=1, keepdims=True)
    fused[views == 0] = np.nan
    order = np.argsort(first)
    return first[order], fused[order]
