"""Which candidates are true: candidates against the known calcifications of an image."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from calcigraph.io.truth import VISIBLE_SNR, Kind

REACH_MM = 0.2
"""A candidate is true within this distance of a calcification, or within its radius if that is larger."""

LEARNT_SNR = 3.0
"""Where the truth states a signal-to-noise ratio, calcifications from this on train the detector as true ones, so
that it knows the faintest that are seen. It is scored on those from `VISIBLE_SNR` on; the others are neither asked
for nor false."""

TARGET_KINDS = (Kind.LESION, Kind.SCATTERED)
"""Where the truth states a kind, these are microcalcifications and the others are look-alikes."""

DOUBTFUL_KINDS = (Kind.COARSE,)
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


def on_lesion(
    table: pd.DataFrame, truth: pd.DataFrame | None, *, spacing_mm: tuple[float, float]
) -> NDArray[np.float32]:
    """Say which candidates lie on calcifications of the lesion: (n,) 1 or 0, NaN where the truth names no kinds."""
    if truth is None or "kind" not in truth:
        return np.full(len(table), np.nan, dtype=np.float32)
    known = targets(truth)
    near, nearest = lying_on(table, known, spacing_mm=spacing_mm)
    belongs = np.zeros(len(table), dtype=np.float32)
    belongs[near] = (known["kind"] == Kind.LESION).to_numpy()[nearest]
    return belongs


def neither(truth: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose marks are neither right nor wrong."""
    return truth.loc[truth["kind"].isin(DOUBTFUL_KINDS)] if "kind" in truth else truth.iloc[:0]


def is_visible(truth: pd.DataFrame, *, least_snr: float = VISIBLE_SNR) -> NDArray[np.bool_]:
    """Whether each true calcification stands out from the noise; True where the truth does not say."""
    if "snr" not in truth:
        return np.ones(len(truth), dtype=bool)
    snr = truth["snr"].to_numpy(np.float64)
    return np.asarray(np.isnan(snr) | (snr >= least_snr))


def label_candidates(
    table: pd.DataFrame, truth: pd.DataFrame, *, spacing_mm: tuple[float, float]
) -> NDArray[np.int8]:
    """Label each candidate by the nearest true calcification: (n,) of `Label` values."""
    labels = np.full(len(table), Label.FALSE, dtype=np.int8)
    doubtful, _ = lying_on(table, neither(truth), spacing_mm=spacing_mm)
    labels[doubtful] = Label.DOUBTFUL
    known = targets(truth)
    near, nearest = lying_on(table, known, spacing_mm=spacing_mm)
    labels[near] = np.where(is_visible(known, least_snr=LEARNT_SNR)[nearest], Label.TRUE, Label.DOUBTFUL)
    return labels


def lying_on(
    table: pd.DataFrame, known: pd.DataFrame, *, spacing_mm: tuple[float, float], reach_mm: float = REACH_MM
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which rows of `table` lie on something known, and on which row of `known`.

    Args:
        table: marks or candidates with `row_mm, col_mm`.
        known: rows of a truth table, `row_px, col_px, diameter_mm`.
        spacing_mm: (row, col) pixel pitch.
        reach_mm: distance to a centre that counts as on it; its radius counts where that is larger. Of several the
            nearest is taken.
    """
    if not len(known) or not len(table):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    centres_mm = cKDTree(known[["row_px", "col_px"]].to_numpy() * np.asarray(spacing_mm))
    reaches = np.maximum(reach_mm, known["diameter_mm"].to_numpy() / 2)
    marks_mm = cKDTree(table[["row_mm", "col_mm"]].to_numpy())
    pairs = marks_mm.sparse_distance_matrix(centres_mm, reaches.max(), output_type="ndarray")
    pairs = pairs[pairs["v"] <= reaches[pairs["j"]]]
    nearest_first = pairs[np.argsort(pairs["v"], kind="stable")]
    near, first = np.unique(nearest_first["i"], return_index=True)
    return near.astype(np.int64), nearest_first["j"][first].astype(np.int64)
