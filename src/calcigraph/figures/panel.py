"""Windows on a mammogram: which part to show, its grey values at panel size, its scale bar."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calcigraph.records import FloatImage, Mammogram, Points

SCALE_BARS_MM = (0.5, 1, 2, 5, 10, 20, 50, 100)
ZOOM_LEAST_MM = 18.0
ZOOM_ASPECT = 0.8
"""Width by height of the zoomed panel."""


@dataclass(frozen=True)
class Window:
    """A rectangle of the image in its own pixels: `top` ≤ row < `bottom`, `left` ≤ col < `right`."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top edges for matplotlib, where pixel centres are whole numbers."""
        return self.left - 0.5, self.right - 0.5, self.bottom - 0.5, self.top - 0.5

    def size_mm(self, spacing_mm: tuple[float, float]) -> tuple[float, float]:
        """Height and width."""
        return (self.bottom - self.top) * spacing_mm[0], (self.right - self.left) * spacing_mm[1]


def whole(mammogram: Mammogram) -> Window:
    """The whole image."""
    rows, cols = mammogram.shape
    return Window(0, rows, 0, cols)


def zoom_window(mammogram: Mammogram, points_px: Points, weights: NDArray[np.float64]) -> Window | None:
    """Choose what to magnify: all calcifications where they are close together, else the weightiest third.

    Args:
        points_px: (n, 2) row, col.
        weights: (n,) saliency; NaN counts as 1.

    Returns:
        None where there is nothing to magnify or the window would be most of the image.
    """
    if len(points_px) == 0:
        return None
    spacing = np.asarray(mammogram.spacing_mm)
    image_mm = np.asarray(mammogram.shape) * spacing
    points_mm = points_px * spacing
    low, high = points_mm.min(axis=0), points_mm.max(axis=0)
    size_mm = _shaped(np.maximum((high - low) * 1.3 + 4.0, ZOOM_LEAST_MM))
    centre_mm = (low + high) / 2
    if (size_mm > 0.5 * image_mm).any():
        third_mm = np.full(2, max(float(np.sqrt(image_mm.prod())) / 3, ZOOM_LEAST_MM))
        size_mm, centre_mm = _shaped(third_mm), _weightiest(points_mm, weights, third_mm)
    if (size_mm > 0.75 * image_mm).any():
        return None
    top_left = np.clip(centre_mm - size_mm / 2, 0, image_mm - size_mm) / spacing
    bottom_right = top_left + size_mm / spacing
    (top, left), (bottom, right) = np.floor(top_left).astype(int), np.ceil(bottom_right).astype(int)
    return Window(
        int(top), min(int(bottom), mammogram.shape[0]), int(left), min(int(right), mammogram.shape[1])
    )


def _shaped(size_mm: Points) -> Points:
    """Widen a height or a width, for the panel's shape."""
    height_mm = max(size_mm[0], size_mm[1] / ZOOM_ASPECT)
    return np.asarray([height_mm, height_mm * ZOOM_ASPECT])


def _weightiest(points_mm: Points, weights: NDArray[np.float64], size_mm: Points) -> Points:
    """Return the middle of those calcifications that hold most saliency within a window of this size."""
    known = np.nan_to_num(weights, nan=1.0)
    held = [known[(np.abs(points_mm - centre) <= size_mm / 2).all(axis=1)].sum() for centre in points_mm]
    inside = (np.abs(points_mm - points_mm[int(np.argmax(held))]) <= size_mm / 2).all(axis=1)
    return np.asarray((points_mm[inside].min(axis=0) + points_mm[inside].max(axis=0)) / 2)


def grey(pixels: FloatImage, window: Window, size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Cut the window out, resample it to `size_px` (rows, cols), stretch its tissue over the grey scale."""
    cut = np.ascontiguousarray(pixels[window.top : window.bottom, window.left : window.right])
    shrinks = size_px[0] * size_px[1] < cut.size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    panel = np.asarray(cv2.resize(cut, (size_px[1], size_px[0]), interpolation=method))
    sample = panel[::4, ::4]
    tissue = sample[sample > 0.02]
    low, high = np.quantile(tissue, (0.005, 0.999)) if tissue.size else (0.0, 1.0)
    low = 0.0 if (sample <= 0.02).mean() > 0.05 else low
    return np.asarray(np.clip((panel - low) * (255 / max(high - low, 1e-3)), 0, 255), dtype=np.uint8)


def scale_bar_mm(width_mm: float) -> float:
    """Return the longest round length that takes at most a quarter of the width."""
    fitting = [length for length in SCALE_BARS_MM if length <= width_mm / 4]
    return float(fitting[-1] if fitting else SCALE_BARS_MM[0])
