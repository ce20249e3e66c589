"""The patches around candidates on which the patch networks look (section 3.1: 14 × 14 pixels)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from calcigraph.config import PatchConfig
from calcigraph.records import FloatImage, Points


def extract_patches(
    pixels: FloatImage, noise: FloatImage, centres_px: Points, config: PatchConfig
) -> NDArray[np.float32]:
    """Cut patches and put them on one intensity scale.

    Args:
        pixels: (rows, cols) working image.
        noise: (rows, cols) local noise, the unit of intensity.
        centres_px: (n, 2) row, col.
        config: side and scales.

    Returns:
        (n, scales, size, size) float32: asinh of intensity above the patch's median in units of noise.
    """
    if not len(centres_px):
        return np.empty((0, len(config.scales), config.size_px, config.size_px), np.float32)
    rows, cols = np.rint(centres_px).astype(int).T
    unit = noise[rows.clip(0, noise.shape[0] - 1), cols.clip(0, noise.shape[1] - 1)]
    channels = [_cut(_shrink(pixels, scale), centres_px, scale, config.size_px) for scale in config.scales]
    stacked = np.stack(channels, axis=1)
    stacked -= np.median(stacked, axis=(2, 3), keepdims=True)
    stacked /= unit[:, None, None, None] * 3
    return np.arcsinh(stacked, out=stacked)


def _shrink(pixels: FloatImage, scale: int) -> FloatImage:
    if scale == 1:
        return pixels
    rows, cols = (max(1, -(-n // scale)) for n in pixels.shape)
    padded = cv2.copyMakeBorder(
        pixels, 0, rows * scale - pixels.shape[0], 0, cols * scale - pixels.shape[1], cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.resize(padded, (cols, rows), interpolation=cv2.INTER_AREA))


def _cut(pixels: FloatImage, centres_px: Points, scale: int, size: int) -> NDArray[np.float32]:
    """Cut (n, size, size) windows of the shrunk image; the border is mirrored."""
    corners = np.rint((centres_px + 0.5) / scale - size / 2).astype(int)
    padded = (
        np.pad(pixels, size, mode="symmetric") if min(pixels.shape) >= size else np.pad(pixels, size, "edge")
    )
    steps = np.arange(size)
    top = (corners[:, 0] + size).clip(0, padded.shape[0] - size)
    left = (corners[:, 1] + size).clip(0, padded.shape[1] - size)
    return padded[top[:, None, None] + steps[:, None], left[:, None, None] + steps].astype(np.float32)
