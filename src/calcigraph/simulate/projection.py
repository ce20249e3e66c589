"""From the breast's axes to those of a view: parallel projection of the compressed breast onto the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcigraph.lexicon import View
from calcigraph.records import Points
from calcigraph.simulate.anatomy import Anatomy

SPREAD = 1.12
"""Compression widens the breast across the beam by about this much."""

MARGIN_MM = 12.0
"""Air that the image shows around the breast."""


@dataclass(frozen=True)
class Projection:
    """One view of one breast on the detector, chest wall at column 0.

    Attributes:
        view: CC or MLO.
        half_across_mm: half of the breast's extent along the chest wall.
        depth_mm: from the chest wall to the nipple.
        tail_mm: depth of the axillary tail at the upper end (0 in CC).
        shape: exponent of the superellipse.
        extent_mm: (row, col) size of the image.
    """

    view: View
    half_across_mm: float
    depth_mm: float
    tail_mm: float
    shape: float
    extent_mm: tuple[float, float]

    @property
    def middle_mm(self) -> float:
        """Row of the nipple."""
        return self.extent_mm[0] - MARGIN_MM - self.half_across_mm

    def project(self, points_mm: Points) -> Points:
        """Turn (n, 3) points of the breast into (n, 2) row, col in mm on the image."""
        return np.stack([self.middle_mm - across(points_mm, self.view) * SPREAD, points_mm[:, 0]], axis=1)

    def outline_mm(self) -> Points:
        """Return the (n, 2) closed polygon of the breast, row, col in mm."""
        top = -self.middle_mm if self.tail_mm else -self.half_across_mm
        rows = np.linspace(top, self.half_across_mm, 400)
        inside = np.clip(1 - np.abs(rows / self.half_across_mm) ** self.shape, 0, None)
        cols = self.depth_mm * inside ** (1 / self.shape)
        if self.tail_mm:
            # Above the nipple the outline runs softly into the axilla instead of back to the chest wall.
            upper = np.where(rows < 0, self.tail_mm * (1 - 0.4 * rows / top), 0)
            cols = (cols**6 + upper**6) ** (1 / 6)
        edge = np.stack([rows + self.middle_mm, cols], axis=1)
        corners = np.array([[edge[-1, 0], -5.0], [edge[0, 0], -5.0]])
        return np.concatenate([edge, corners])


def across(points_mm: Points, view: View) -> Points:
    """Coordinate along the detector's edge: lateral in CC, upwards and outwards at 45° in MLO."""
    if view is View.CC:
        return np.asarray(points_mm[:, 1])
    return np.asarray((points_mm[:, 1] + points_mm[:, 2]) / np.sqrt(2))


def along(points_mm: Points, view: View) -> Points:
    """Coordinate along the beam: upwards in CC, upwards and inwards at 45° in MLO."""
    if view is View.CC:
        return np.asarray(points_mm[:, 2])
    return np.asarray((points_mm[:, 2] - points_mm[:, 1]) / np.sqrt(2))


def project_breast(breast: Anatomy, view: View, rng: np.random.Generator) -> Projection:
    """Choose the detector area for a view of this breast."""
    half = (
        breast.half_width_mm
        if view is View.CC
        else np.hypot(breast.half_width_mm, breast.half_height_mm) / np.sqrt(2)
    )
    half_across = float(half) * SPREAD
    tail = 0.0 if view is View.CC else breast.depth_mm * float(rng.uniform(0.3, 0.55))
    above = MARGIN_MM if view is View.CC else breast.depth_mm * float(rng.uniform(0.25, 0.5))
    extent = (2 * half_across + MARGIN_MM + above, breast.depth_mm + MARGIN_MM)
    return Projection(view, half_across, breast.depth_mm, tail, breast.shape, extent)
