"""How the searched tissue looks: its noise, its texture and its grey values, in a few numbers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calcigraph.records import FloatImage, Look, Mask

EVERY = 8
"""Rows and, for grey values, columns that are looked at: one in so many."""

FEWEST = 100
"""Pixels, or pairs of them, without which there is nothing to say."""


def look_at(pixels: FloatImage, noise: FloatImage, mask: Mask) -> Look:
    """Look at an image where `mask` is True.

    Args:
        pixels: (rows, cols) working image.
        noise: (rows, cols) local noise.
        mask: (rows, cols) searched tissue.
    """
    searched = mask[::EVERY, ::EVERY]
    grey = pixels[::EVERY, ::EVERY][searched]
    if len(grey) < FEWEST:
        return Look()
    spread = float(np.subtract(*np.quantile(grey, [0.95, 0.05])))
    near, far = (_differences(pixels[::EVERY], mask[::EVERY], apart) for apart in (4, 16))
    return Look(
        noise=_share(float(np.median(noise[::EVERY, ::EVERY][searched])), spread),
        texture=_share(_mean(near), _mean(far)),
        flat=_mean(near == 0),
    )


def _differences(pixels: FloatImage, mask: Mask, apart: int) -> NDArray[np.float32]:
    """How much the pixels of each pair in the mask differ, `apart` columns from each other."""
    both = mask[:, apart:] & mask[:, :-apart]
    return np.abs(pixels[:, apart:] - pixels[:, :-apart])[both]


def _mean(values: NDArray[np.float32] | NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) >= FEWEST else math.nan


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan
