"""Small windows of training images, as crops, spot and magnification views show them: all tissue, no breast edge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from calcigraph.records import Mammogram

SIDE_MM = (5.0, 30.0)
TISSUE_SHARE = 0.98
"""Least share of a window that is not black: air makes it an image with a breast edge."""


def draw_windows(
    mammogram: Mammogram, truth: pd.DataFrame, rng: np.random.Generator
) -> Iterator[tuple[Mammogram, pd.DataFrame]]:
    """Cut one window around a known calcification and one anywhere; those that show air are left out.

    Args:
        mammogram: a whole view.
        truth: its calcifications, `row_px, col_px, …`.
        rng: source of chance.

    Yields:
        The window and the part of the truth that reaches into it, in its own pixels.
    """
    for near in (True, False):
        side = np.ceil(rng.uniform(*SIDE_MM) / np.asarray(mammogram.spacing_mm)).astype(int)
        room = np.maximum(np.array(mammogram.shape) - side, 0)
        corner = np.array([rng.integers(0, most + 1) for most in room])
        if near and len(truth):
            place = truth[["row_px", "col_px"]].to_numpy()[rng.integers(len(truth))]
            corner = np.clip((place - rng.uniform(0.2, 0.8, 2) * side).astype(int), 0, room)
        end = corner + side
        pixels = mammogram.pixels[corner[0] : end[0], corner[1] : end[1]]
        if pixels.size and (pixels > 0.02).mean() >= TISSUE_SHARE:
            yield (
                replace(mammogram, pixels=np.ascontiguousarray(pixels)),
                _reaching_in(truth, corner, pixels.shape, mammogram.spacing_mm),
            )


def _reaching_in(
    truth: pd.DataFrame, corner: np.ndarray, shape: tuple[int, ...], spacing_mm: tuple[float, float]
) -> pd.DataFrame:
    moved = truth.assign(row_px=truth["row_px"] - corner[0], col_px=truth["col_px"] - corner[1])
    radius_px = [truth["diameter_mm"] / 2 / pitch for pitch in spacing_mm]
    row_in, col_in = (
        moved[name].between(-radius, side - 1 + radius)
        for name, radius, side in zip(("row_px", "col_px"), radius_px, shape, strict=True)
    )
    return moved[row_in & col_in]
