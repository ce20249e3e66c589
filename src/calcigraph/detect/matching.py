"""Which candidates are true: candidates against the known calcifications of an image."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

REACH_MM = 0.2
"""A candidate is true within this distance of a calcification, or within its radius if that is larger."""

VISIBLE_SNR = 5.0
"""Where the truth states a signal-to-noise ratio, calcifications below this are neither true nor false:
nobody sees them (Rose's criterion)."""

TARGET_KINDS = ("lesion", "scattered")
"""Where the truth states a kind, these are microcalcifications and the others are look-alikes."""

DOUBTFUL_KINDS = ("coarse",)
"""Look-alikes that are calcifications for all that: to mark them is neither right nor wrong."""


class Label(IntEnum):
    """What a candidate is, for training and scoring."""

    DOUBTFUL = -1
    FALSE = 0
    TRUE = 1


def targets(truth: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a truth table that a detector should mark, visible or not."""
    if "kind" not in truth:
        return truth
    return truth.loc[truth["kind"].isin(TARGET_KINDS)]


def is_visible(truth: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether each true calcification stands out from the noise; True where the truth does not say."""
    if "snr" not in truth:
        return np.ones(len(truth), dtype=bool)
    return np.asarray(truth["snr"].to_numpy(np.float64) >= VISIBLE_SNR)


def label_candidates(
    table: pd.DataFrame, truth: pd.DataFrame, *, spacing_mm: tuple[float, float]
) -> NDArray[np.int8]:
    """Label each candidate by the nearest true calcification: (n,) of `Label` values."""
    labels = np.full(len(table), Label.FALSE, dtype=np.int8)
    known = targets(truth)
    if "kind" in truth:
        doubtful = truth.loc[truth["kind"].isin(DOUBTFUL_KINDS)]
        near, _ = _nearest(table, doubtful, spacing_mm)
        labels[near] = Label.DOUBTFUL
    near, nearest = _nearest(table, known, spacing_mm)
    labels[near] = np.where(is_visible(known)[nearest], Label.TRUE, Label.DOUBTFUL)
    return labels


def _nearest(
    table: pd.DataFrame, known: pd.DataFrame, spacing_mm: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the candidates that lie on a known calcification, and on which."""
    if not len(known) or not len(table):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    centres_mm = known[["row_px", "col_px"]].to_numpy() * np.asarray(spacing_mm)
    distance, nearest = cKDTree(centres_mm).query(table[["row_mm", "col_mm"]].to_numpy())
    nearest = np.asarray(nearest, dtype=np.int64)
    near = np.flatnonzero(distance <= np.maximum(REACH_MM, known["diameter_mm"].to_numpy()[nearest] / 2))
    return near, nearest[near]
