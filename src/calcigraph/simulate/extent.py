"""How large lesions are: extents drawn from outlines of radiologists, and points stretched to an extent.

The outlines are those of calcification lesions in DDSM (Heath et al., IWDM 2000), half of its cases: 253 grouped,
60 linear, 76 segmental and 27 regional. Sides are those of the minimum-area rectangle. The one diffuse outline says
nothing: diffuse covers most of the breast, as the atlas says, and is larger than DDSM's median of 74 × 38 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.special import ndtr

from calcigraph.lexicon import Distribution, View
from calcigraph.records import Points
from calcigraph.simulate.projection import SPREAD, across

OUTLINE_MARGIN_MM = 2.0
"""How far outside of the outermost calcifications radiologists are taken to have drawn: our assumption. An outline
of five to ten calcifications has room for two or three beyond their hull, and outlines on film were drawn by hand."""

MARGINS_MM = (0.5, 3.5)
"""Range of that margin from lesion to lesion."""

FACTORS = {
    Distribution.REGIONAL: (0.93, 1.42, 1.28),
    Distribution.LINEAR: (1.0, 0.98, 1.09),
    Distribution.SEGMENTAL: (0.87, 1.0, 1.02),
}
"""Both sides are drawn larger by this at the 10, 50 and 90 % quantiles: the breast does not hold the largest lesions
whole, and a bent or tapering one fills its rectangle differently (`docs/calibration.md`)."""

TOGETHER = 0.88
"""Correlation of the long and the short side; Spearman's ρ in the outlines is .93 (grouped), .84 (linear), .79
(segmental) and .77 (regional)."""

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class OutlineQuantiles:
    """Quantiles, at `SHARES`, of the outlines of one distribution.

    Attributes:
        long_mm: long side of the minimum-area rectangle.
        short_mm: its short side.
        area_mm2: area of the outline.
    """

    long_mm: tuple[float, ...]
    short_mm: tuple[float, ...]
    area_mm2: tuple[float, ...]


OUTLINES: dict[Distribution, OutlineQuantiles] = {
    Distribution.REGIONAL: OutlineQuantiles(
        long_mm=(26.9, 57.5, 86.0, 112.3, 129.6),
        short_mm=(13.0, 41.4, 56.8, 69.9, 78.1),
        area_mm2=(225.0, 1793.0, 4486.0, 5872.0, 6840.0),
    ),
    Distribution.GROUPED: OutlineQuantiles(
        long_mm=(7.8, 10.2, 14.8, 25.9, 38.1),
        short_mm=(5.7, 7.2, 10.4, 20.4, 30.9),
        area_mm2=(35.6, 58.8, 118.3, 378.7, 960.7),
    ),
    Distribution.LINEAR: OutlineQuantiles(
        long_mm=(10.2, 15.0, 21.2, 30.0, 43.6),
        short_mm=(5.7, 7.6, 9.6, 17.4, 36.8),
        area_mm2=(43.9, 87.8, 147.3, 411.0, 1327.6),
    ),
    Distribution.SEGMENTAL: OutlineQuantiles(
        long_mm=(23.8, 36.4, 49.9, 69.4, 86.7),
        short_mm=(12.9, 21.3, 30.6, 45.2, 53.6),
        area_mm2=(180.5, 617.0, 1165.5, 1947.0, 3047.3),
    ),
}


@dataclass(frozen=True)
class Extent:
    """Sides of the minimum-area rectangle of an outline in one view, mm."""

    long_mm: float
    short_mm: float


def draw_extent(distribution: Distribution, rng: np.random.Generator) -> Extent:
    """Draw the sides of an outline, each from its quantiles, a long one with a broad one (`TOGETHER`)."""
    outlines, factors = OUTLINES[distribution], FACTORS.get(distribution, (1.0, 1.0, 1.0))
    first, second = rng.standard_normal(2)
    shares = ndtr([first, TOGETHER * first + np.sqrt(1 - TOGETHER**2) * second])
    long_mm, short_mm = (
        _quantile(sides, share) * np.interp(share, (0.1, 0.5, 0.9), factors)
        for sides, share in zip((outlines.long_mm, outlines.short_mm), shares, strict=True)
    )
    return Extent(long_mm, min(long_mm, short_mm))


def draw_count(area_mm2: float, rng: np.random.Generator) -> int:
    """Draw the number of calcifications in an outline: at least five, more in larger ones, whatever the label.

    The median is 18 per cm² to the power 0.45; one in six has less than half of it, and one in six more than twice.
    We know of no published law; this one gives most groups 8 to 50.
    """
    median = 18.0 * (area_mm2 / 100.0) ** 0.45
    return int(np.clip(rng.lognormal(np.log(median), 0.7), 5, 250))


def rectangle(points_mm: Points) -> Extent:
    """Measure the minimum-area rectangle of (n, 2) points; n is 1 or more."""
    _, sides, _ = cv2.minAreaRect(points_mm.astype(np.float32))
    return Extent(max(sides), min(sides))


def stretch(points_mm: Points, extent: Extent, *, margin_mm: float = OUTLINE_MARGIN_MM) -> Points:
    """Stretch (n, 3) points along their principal axes until both views show this extent in the mean.

    The extent is that of an outline, so that the points fill `margin_mm` less on each side.
    """
    target = np.maximum([extent.long_mm, extent.short_mm], 1.0)
    target = np.maximum(target - 2 * margin_mm, 0.25 * target)
    centre = points_mm.mean(axis=0)
    offset = points_mm - centre
    for _ in range(4):
        _, axes = np.linalg.eigh(offset.T @ offset)
        shown = [_shadow(offset, view) for view in (View.CC, View.MLO)]
        sides = np.exp(np.mean([[np.log(s.long_mm + 0.1), np.log(s.short_mm + 0.1)] for s in shown], axis=0))
        long_factor, short_factor = np.clip(target / sides, 0.1, 10)
        offset = (offset @ axes * [short_factor, short_factor, long_factor]) @ axes.T
    return centre + offset


def _shadow(points_mm: Points, view: View) -> Extent:
    return rectangle(np.stack([across(points_mm, view) * SPREAD, points_mm[:, 0]], axis=1))


def _quantile(quantiles: tuple[float, ...], share: float) -> float:
    """Return the value below which a share lies: log-linear between the quantiles and a little beyond them."""
    low = quantiles[0] * (quantiles[0] / quantiles[1]) ** 0.5
    high = quantiles[-1] * (quantiles[-1] / quantiles[-2]) ** 0.5
    return float(np.exp(np.interp(share, (0, *SHARES, 1), np.log((low, *quantiles, high)))))
