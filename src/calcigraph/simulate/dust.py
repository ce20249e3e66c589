"""What lies on an image and not in the breast: defective pixels of a detector, dust and fibres on a film."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from calcigraph.records import FloatImage, Mask
from calcigraph.simulate.draw import log_uniform

DEFECT_HEIGHT = (4.0, 25.0)
DUST_HEIGHT = (4.0, 150.0)
FIBRE_HEIGHT = (4.0, 40.0)
"""Least and greatest height in units of a pixel's noise. Dust between screen and film keeps the light away: specks
brighter than any calcification so small could be, as nothing blurs them."""

DUST_LENGTH_MM = (0.05, 0.3)
DUST_WIDTH_MM = (0.03, 0.15)
"""Of a speck. Less than a pixel covers part of it, and is as much lower."""

DARK_SHARE = 0.3
"""Of what lies on a film: scratches, and dust on the film while it is scanned, whose light it keeps away."""

SCAN_BLUR_PX = (0.3, 0.6)
"""Standard deviation of a scanner's spread."""

FIBRE_LENGTH_MM = (0.4, 4.0)
FIBRE_BEND = 1.0
"""Standard deviation of the angle (radians) by which a fibre turns from one end to the other."""


def add_defects(
    exposed: FloatImage, sigma: FloatImage, breast: Mask, count: int, rng: np.random.Generator
) -> None:
    """Raise single pixels and pairs of a digital detector.

    Args:
        exposed: (rows, cols) attenuation; changed.
        sigma: (rows, cols) standard deviation of its noise.
        breast: where to.
        count: how many.
        rng: source of chance.
    """
    for row, col in _places(breast, count, rng):
        height = np.float32(rng.uniform(*DEFECT_HEIGHT)) * sigma[row, col]
        long, wide = ((1, 1), (1, 1), (2, 1), (1, 2))[int(rng.integers(4))]
        exposed[row : row + long, col : col + wide] += height


def add_dust(
    exposed: FloatImage,
    sigma: FloatImage,
    breast: Mask,
    count: int,
    rng: np.random.Generator,
    *,
    spacing_mm: float,
) -> None:
    """Lay specks of dust on a film, along rows or columns as a scanner draws them out; see `add_defects`."""
    _lay(partial(_speck, spacing_mm, rng), DUST_HEIGHT, exposed, sigma, breast, count, rng)


def add_fibres(
    exposed: FloatImage,
    sigma: FloatImage,
    breast: Mask,
    count: int,
    rng: np.random.Generator,
    *,
    spacing_mm: float,
) -> None:
    """Lay thin bent fibres on a film; see `add_defects`."""
    _lay(partial(_fibre, spacing_mm, rng), FIBRE_HEIGHT, exposed, sigma, breast, count, rng)


def _speck(spacing_mm: float, rng: np.random.Generator) -> FloatImage:
    sides_mm = np.array([rng.uniform(*DUST_LENGTH_MM), rng.uniform(*DUST_WIDTH_MM)])
    sides_px = np.maximum(1, np.rint(sides_mm / spacing_mm)).astype(int)
    covered = np.minimum(1, sides_mm / spacing_mm).prod()
    return np.full(sides_px if rng.random() < 0.5 else sides_px[::-1], covered, np.float32)


def _fibre(spacing_mm: float, rng: np.random.Generator) -> FloatImage:
    length_px = log_uniform(rng, *FIBRE_LENGTH_MM) / spacing_mm
    steps = np.linspace(-0.5, 0.5, 33)
    angle = rng.uniform(0, 2 * np.pi) + FIBRE_BEND * rng.standard_normal() * steps
    way = np.cumsum(np.stack([np.cos(angle), np.sin(angle)], axis=1), axis=0) * length_px / len(steps)
    way = np.rint(way - way.min(axis=0)).astype(np.int32)
    stamp = np.zeros(tuple(way.max(axis=0)[::-1] + 1), np.float32)
    cv2.polylines(stamp, [way[:, None]], isClosed=False, color=1.0)
    return stamp


def _places(breast: Mask, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    inside = np.argwhere(breast[:-1, :-1])
    if not len(inside) or not count:
        return []
    return [(int(row), int(col)) for row, col in inside[rng.integers(0, len(inside), count)]]


def _lay(
    draw_stamp: Callable[[], FloatImage],
    heights: tuple[float, float],
    exposed: FloatImage,
    sigma: FloatImage,
    breast: Mask,
    count: int,
    rng: np.random.Generator,
) -> None:
    """Add stamps, spread as the scanner does; what reaches beyond the image is cut."""
    spread_px = rng.uniform(*SCAN_BLUR_PX)
    for row, col in _places(breast, count, rng):
        stamp = cv2.GaussianBlur(np.pad(draw_stamp(), 2), (0, 0), spread_px)
        height = np.float32(log_uniform(rng, *heights)) * sigma[row, col]
        if rng.random() < DARK_SHARE:
            height = -height
        part = exposed[row:, col:][: stamp.shape[0], : stamp.shape[1]]
        part += height * stamp[: part.shape[0], : part.shape[1]]
