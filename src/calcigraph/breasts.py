"""Two views of one breast, one answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calcigraph.io import Case
from calcigraph.lexicon import View
from calcigraph.metrics import is_known

LEAST = 1e-6
"""Probabilities are taken as at least this, so that one view cannot forbid a class."""


def breasts_of(cases: Sequence[Case]) -> list[str]:
    """Name the breast of each view: one CC and one MLO of a patient's side, with the same label.

    Further views of a kind (a second lesion, an earlier examination) belong to further breasts, in the order of the
    cases. An image of another view, or without side or view, is on its own.
    """
    kind = [f"{case.patient_id}, {case.laterality}, {case.distribution}" for case in cases]
    number = (
        pd.DataFrame({"kind": kind, "view": [case.view for case in cases]})
        .groupby(["kind", "view"])
        .cumcount()
    )
    return [
        f"{kind[k]}, {number[k]}"
        if case.laterality and case.view in (View.CC, View.MLO)
        else f"{kind[k]}, {case.image_id}"
        for k, case in enumerate(cases)
    ]


def fuse_views(
    probabilities: NDArray[np.float64], breasts: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Give every breast one answer: the mean of the logarithms of its views' probabilities, normalised.

    Args:
        probabilities: (n, 5) of the views; rows of NaN do not count.
        breasts: of each view, n.

    Returns:
        (m,) the first view of each breast, ascending, and (m, 5) its probabilities, NaN where no view has any.

    >>> fuse_views(np.array([[0.5, 0.5], [0.8, 0.2], [0.1, 0.9]]), ["a", "a", "b"])[1].round(2).tolist()
    [[0.67, 0.33], [0.1, 0.9]]
    """
    first, breast = _breasts(breasts)
    known = is_known(probabilities)
    logs = np.zeros((len(first), probabilities.shape[1]))
    views = np.bincount(breast[known], minlength=len(first))
    np.add.at(logs, breast[known], np.log(np.maximum(probabilities[known], LEAST)))
    means = logs / np.maximum(views, 1)[:, None]
    fused = np.exp(means - means.max(axis=1, keepdims=True)) if len(first) else logs
    fused = fused / fused.sum(axis=1, keepdims=True)
    fused[views == 0] = np.nan
    return first, fused


def any_view(named: NDArray[np.bool_], breasts: Sequence[str]) -> NDArray[np.bool_]:
    """Tell for every breast, in the order of `fuse_views`, whether one of its views is named, (m,).

    >>> any_view(np.array([False, True, False]), ["a", "a", "b"]).tolist()
    [True, False]
    """
    first, breast = _breasts(breasts)
    return np.asarray(np.bincount(breast[named], minlength=len(first)) > 0)


def _breasts(breasts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First view of each breast (m,), ascending, and place of each view's breast among them (n,)."""
    breast, _ = pd.factorize(np.asarray(breasts, dtype=object))
    return np.unique(breast, return_index=True)[1], breast
