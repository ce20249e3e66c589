"""The mammogram at the working pitch, and the way back to its own pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from calcigraph.records import FloatImage, Mammogram, Points


@dataclass(frozen=True)
class WorkingImage:
    """A resampled mammogram.

    Attributes:
        pixels: (rows, cols) float32 in [0, 1].
        spacing_mm: (row, col) pitch of `pixels`.
        step: (row, col) original pixels per working pixel.
    """

    pixels: FloatImage
    spacing_mm: tuple[float, float]
    step: tuple[float, float]

    @property
    def pitch_mm(self) -> float:
        """Mean of the row and column pitch."""
        return (self.spacing_mm[0] + self.spacing_mm[1]) / 2

    def to_original(self, points_px: Points) -> Points:
        """Turn (n, 2) working pixels into original ones; the edges of both images coincide."""
        step = np.asarray(self.step)
        return (points_px + 0.5) * step - 0.5


def at_pitch(mammogram: Mammogram, spacing_mm: float, *, tolerance: float = 0.2) -> WorkingImage:
    """Resample to square pixels of `spacing_mm`, unless both pitches are within `tolerance` of it.

    Shrinking averages areas, so that noise falls as on a coarser detector; 0 keeps the image as it is. Where pixels are
    not square, one side may shrink and the other grow.
    """
    ratios = [pitch / spacing_mm if spacing_mm else 1.0 for pitch in mammogram.spacing_mm]
    if all(abs(ratio - 1) <= tolerance for ratio in ratios):
        return WorkingImage(mammogram.pixels, mammogram.spacing_mm, (1.0, 1.0))
    shape = [max(1, round(n * ratio)) for n, ratio in zip(mammogram.shape, ratios, strict=True)]
    least = [min(sides) for sides in zip(shape, mammogram.shape, strict=True)]
    pixels = cv2.resize(mammogram.pixels, (least[1], least[0]), interpolation=cv2.INTER_AREA)
    pixels = cv2.resize(pixels, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    step = (mammogram.shape[0] / shape[0], mammogram.shape[1] / shape[1])
    pitch = (mammogram.spacing_mm[0] * step[0], mammogram.spacing_mm[1] * step[1])
    return WorkingImage(np.clip(pixels, 0.0, 1.0, out=pixels), pitch, step)
