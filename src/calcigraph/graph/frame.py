"""The breast's own axes: depth from the nipple towards the chest wall, and across it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calcigraph.records import Breast, Points


@dataclass(frozen=True)
class Frame:
    """Where a position in the image lies in the breast.

    The across axis is perpendicular to the depth axis and points *down* the image (to the right where the
    depth axis is vertical). So, with the chest wall at the left or right, a left breast and the mirror image of
    it as a right one have the same coordinates, which a rotation by a fixed +90° would not give.

    Attributes:
        nipple_mm: (row, col) in mm from the image's first pixel; without a nipple in the image, its middle.
        depth_axis: (row, col) unit vector from the chest wall towards the nipple.
        extent_mm: (rows, cols) of the image, mm.
        area_cm2: of the breast (of the image, where that is all tissue).
        whole_breast: False for a crop or a magnification view, which shows no nipple.
    """

    nipple_mm: tuple[float, float]
    depth_axis: tuple[float, float]
    extent_mm: tuple[float, float]
    area_cm2: float
    whole_breast: bool

    @classmethod
    def of(cls, breast: Breast, extent_mm: tuple[float, float]) -> Frame:
        """Take the frame of a segmented breast in an image of this extent (mm)."""
        return cls(
            nipple_mm=breast.nipple_mm,
            depth_axis=breast.depth_axis,
            extent_mm=extent_mm,
            area_cm2=breast.area_cm2,
            whole_breast=not breast.fills_image,
        )

    @property
    def across_axis(self) -> tuple[float, float]:
        """(row, col) unit vector perpendicular to the depth axis, pointing down the image."""
        row, col = self.depth_axis
        down = (abs(col), -row * float(np.sign(col)))
        return down if col != 0 else (0.0, 1.0)

    def to_breast(self, pos_mm: NDArray[np.floating]) -> Points:
        """Turn image positions (n, 2) mm into (n, 2) mm: depth from the nipple, signed offset across."""
        axes = np.array([[-self.depth_axis[0], -self.depth_axis[1]], self.across_axis])
        offset: Points = np.asarray(pos_mm, np.float64).reshape(-1, 2) - self.nipple_mm
        depth_across: Points = np.dot(offset, axes.T)
        return depth_across

    def to_image(self, breast_mm: NDArray[np.floating]) -> Points:
        """Turn positions (n, 2) in the breast back into image positions (n, 2) mm."""
        axes = np.array([[-self.depth_axis[0], -self.depth_axis[1]], self.across_axis])
        offset: Points = np.dot(np.asarray(breast_mm, np.float64).reshape(-1, 2), axes)
        pos_mm: Points = offset + np.asarray(self.nipple_mm)
        return pos_mm

    def numbers(self) -> tuple[float, ...]:
        """Write the frame as eight numbers, to travel with a graph."""
        return (*self.nipple_mm, *self.depth_axis, *self.extent_mm, self.area_cm2, float(self.whole_breast))

    @classmethod
    def from_numbers(cls, numbers: list[float]) -> Frame:
        """Read what `numbers` wrote."""
        nipple_row, nipple_col, axis_row, axis_col, rows, cols, area, whole = numbers
        return cls(
            nipple_mm=(nipple_row, nipple_col),
            depth_axis=(axis_row, axis_col),
            extent_mm=(rows, cols),
            area_cm2=area,
            whole_breast=whole > 0.5,
        )
