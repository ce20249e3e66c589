"""Discs planted in noise: images whose every candidate is known."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from calcigraph.records import Mammogram

FINE = 5
"""Samples per pixel side with which a disc's edge is averaged."""


def centres(shape_mm: tuple[float, float], *, apart_mm: float = 4.0, seed: int = 0) -> np.ndarray:
    """(n, 2) positions in mm on a grid, each moved at random so that no two have the same place in their pixel."""
    rng = np.random.default_rng(seed)
    grid = np.stack(
        np.meshgrid(
            *(np.arange(apart_mm, side - apart_mm / 2, apart_mm) for side in shape_mm), indexing="ij"
        ),
        -1,
    )
    return grid.reshape(-1, 2) + rng.uniform(-0.4, 0.4, (grid.size // 2, 2))


def discs(
    places_mm: np.ndarray,
    *,
    diameter_mm: float = 0.4,
    spacing_mm: tuple[float, float] = (0.085, 0.085),
    shape_mm: tuple[float, float] = (30.0, 24.0),
    height: float = 0.25,
    blur_mm: float = 0.06,
    noise: float = 0.004,
    seed: int = 0,
) -> Mammogram:
    """Bright discs, as unsharp as an X-ray shows them, at places in mm from the centre of the first pixel.

    Grey tissue with noise fills the rest of the image.
    """
    rows, cols = (round(side / pitch) for side, pitch in zip(shape_mm, spacing_mm, strict=True))
    shadow = np.zeros((rows, cols))
    fine = (np.arange(FINE) + 0.5) / FINE - 0.5
    reach = int(np.ceil(diameter_mm / min(spacing_mm))) + 1
    for place in places_mm:
        middle = np.rint(place / spacing_mm).astype(int)
        steps = np.arange(-reach, reach + 1)
        row = ((middle[0] + steps)[:, None] + fine).ravel() * spacing_mm[0] - place[0]
        col = ((middle[1] + steps)[:, None] + fine).ravel() * spacing_mm[1] - place[1]
        inside = row[:, None] ** 2 + col[None] ** 2 < (diameter_mm / 2) ** 2
        share = inside.reshape(len(steps), FINE, len(steps), FINE).mean(axis=(1, 3))
        r, c = middle[0] + steps, middle[1] + steps
        on_row, on_col = (r >= 0) & (r < rows), (c >= 0) & (c < cols)
        shadow[np.ix_(r[on_row], c[on_col])] += share[np.ix_(on_row, on_col)]
    shadow = gaussian_filter(shadow, blur_mm / np.asarray(spacing_mm))
    pixels = 0.4 + height * shadow + noise * np.random.default_rng(seed).normal(size=shadow.shape)
    return Mammogram(pixels.astype(np.float32), spacing_mm)
