"""How well calcifications are found: the share of true ones against false marks per cm² (FROC)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from calcigraph.detect.matching import is_visible, lying_on, neither, targets
from calcigraph.resample import draw_patients

MATCH_MM = 0.5
"""A mark within this distance of a true calcification has found it. A mark may find several: of those closer together
than this, which it cannot tell apart, none is missed for being one mark."""


@dataclass(frozen=True)
class MarkedImage:
    """Marks of one image beside its truth.

    Attributes:
        found: (t,) highest probability of a mark within reach of each visible true calcification; -1 without.
        false: (f,) probability of each mark that lies near no true calcification, visible or not.
        area_cm2: area of the breast.
    """

    found: NDArray[np.float64]
    false: NDArray[np.float64]
    area_cm2: float


@dataclass(frozen=True)
class Detection:
    """Detection over several images, at one threshold.

    Attributes:
        images: their number.
        targets: visible true calcifications.
        true_positive_rate: share of them found.
        false_per_cm2: false marks per cm² of breast.
        false_per_image: false marks per image.
    """

    images: int
    targets: int
    true_positive_rate: float
    false_per_cm2: float
    false_per_image: float


def match_marks(
    marks: pd.DataFrame, truth: pd.DataFrame, *, spacing_mm: tuple[float, float], area_cm2: float
) -> MarkedImage:
    """Compare marks (`row_mm, col_mm, probability`) with a truth table (`row_px, col_px`, …).

    A look-alike that is marked counts as a false mark; a true calcification that nobody can see and a coarse one count
    not at all.
    """
    known = targets(truth)
    centres = known[["row_px", "col_px"]].to_numpy(np.float64) * np.asarray(spacing_mm)
    places = marks[["row_mm", "col_mm"]].to_numpy(np.float64)
    probability = marks["probability"].to_numpy(np.float64)
    visible = centres[is_visible(known)]
    found = np.where(cdist(visible, places) <= MATCH_MM, probability, -1.0).max(axis=1, initial=-1.0)
    lonely = np.asarray(~(cdist(places, centres) <= MATCH_MM).any(axis=1))
    lonely[lying_on(marks, neither(truth), spacing_mm=spacing_mm, reach_mm=MATCH_MM)[0]] = False
    return MarkedImage(found, probability[lonely], area_cm2)


def detection_at(images: Sequence[MarkedImage], threshold: float) -> Detection:
    """Pool the images at a threshold; rates are NaN where nothing can be counted."""
    hits = sum(int((image.found >= threshold).sum()) for image in images)
    known = sum(len(image.found) for image in images)
    false = sum(int((image.false >= threshold).sum()) for image in images)
    area = sum(image.area_cm2 for image in images)
    return Detection(
        images=len(images),
        targets=known,
        true_positive_rate=hits / known if known else float("nan"),
        false_per_cm2=false / area if area else float("nan"),
        false_per_image=false / len(images) if images else float("nan"),
    )


def froc(
    images: Sequence[MarkedImage], *, thresholds: Sequence[float] = tuple(np.linspace(0, 1, 51))
) -> pd.DataFrame:
    """Return the curve: `threshold, true_positive_rate, false_per_cm2`, one row per threshold."""
    rows = [(threshold, detection_at(images, threshold)) for threshold in thresholds]
    return pd.DataFrame(
        [(threshold, at.true_positive_rate, at.false_per_cm2) for threshold, at in rows],
        columns=["threshold", "true_positive_rate", "false_per_cm2"],
    )


@dataclass(frozen=True)
class FoundAt:
    """Share of visible true calcifications found at a rate of false marks, with its bootstrap interval.

    Attributes:
        false_per_cm2: false marks per cm² of breast that are allowed.
        value: the share; NaN where nothing is known.
        low: end of the interval; NaN where there is none, as of a single patient.
        high: other end.
        threshold: probability at which that many pass.
    """

    false_per_cm2: float
    value: float
    low: float
    high: float
    threshold: float


def found_at(
    images: Sequence[MarkedImage],
    patients: Sequence[str],
    *,
    false_per_cm2: float,
    seed: int,
    repeats: int = 500,
    level: float = 0.95,
) -> FoundAt:
    """Read the FROC curve at a rate of false marks.

    Args:
        images: one or more, with every mark that could be made.
        patients: of each image; they are drawn with replacement for the percentile interval.
        false_per_cm2: false marks per cm² of breast that are allowed.
        seed: of the draws.
        repeats: draws.
        level: of the interval.
    """
    draws = draw_patients(patients, seed=seed, repeats=repeats)
    rates = [_share_at([images[row] for row in rows], false_per_cm2)[0] for rows in draws]
    known = [rate for rate in rates if not np.isnan(rate)]
    if not known or len(set(patients)) == 1:
        known = [np.nan]
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    value, threshold = _share_at(images, false_per_cm2)
    return FoundAt(false_per_cm2, value, float(low), float(high), threshold)


def _share_at(images: Sequence[MarkedImage], false_per_cm2: float) -> tuple[float, float]:
    """Return the share found and the threshold: just above the first false mark that may not pass."""
    false = np.sort(np.concatenate([image.false for image in images]))[::-1]
    allowed = int(false_per_cm2 * sum(image.area_cm2 for image in images))
    threshold = float(np.nextafter(false[allowed], 2)) if allowed < len(false) else 0.0
    return detection_at(images, threshold).true_positive_rate, threshold
