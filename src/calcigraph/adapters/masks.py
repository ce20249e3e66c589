"""The outline of a lesion from the mask that somebody drew."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd

from calcigraph.io.truth import OUTLINE_COLUMNS
from calcigraph.records import FloatImage

SMOOTH_MM = 0.2
"""An outline leaves the border of its mask by no more."""

SMALLEST_MM2 = 0.5
"""A smaller region is no lesion's outline."""

_TWO_VALUED = 0.99
"""A mask is black and white, but for what JPEG blurs: so much of it at least."""


def is_mask(pixels: FloatImage) -> bool:
    """Whether an image (rows, cols) in [0, 1] is black and white, with some of both."""
    white = pixels > 0.5
    sure = np.abs(pixels - white) < 0.1
    return bool(white.any() and not white.all() and sure.mean() >= _TWO_VALUED)


def outline_of(pixels: FloatImage, spacing_mm: float) -> pd.DataFrame:
    """Return the outline of the largest white region of a mask: `row_px, col_px` of its corners in turn.

    Empty where there is none of `SMALLEST_MM2`.
    """
    white = (pixels > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(white, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea, default=np.empty((0, 1, 2), np.int32))
    if len(largest):
        largest = cv2.approxPolyDP(largest, SMOOTH_MM / spacing_mm, closed=True)
    if len(largest) < 3 or cv2.contourArea(largest) * spacing_mm**2 < SMALLEST_MM2:
        largest = largest[:0]
    return pd.DataFrame(largest[:, 0, ::-1].astype(np.float64), columns=list(OUTLINE_COLUMNS))
