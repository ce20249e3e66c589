"""Random fields, of which the background of a mammogram is made: power-law texture, fibres and strands."""

from __future__ import annotations

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from calcigraph.records import FloatImage


def power_law(
    shape: tuple[int, int], exponent: float, rng: np.random.Generator, *, coarsest_px: float
) -> FloatImage:
    """Return a Gaussian field whose power falls as 1 / f**exponent, mean 0, standard deviation 1.

    Mammograms have exponents near 3 (Burgess et al., Medical Physics 2001); below one cycle per
    `coarsest_px` the spectrum is flat.
    """
    rows, cols = (scipy.fft.next_fast_len(n, real=True) for n in shape)
    frequency = np.hypot(scipy.fft.fftfreq(rows)[:, None], scipy.fft.rfftfreq(cols)[None]).astype(np.float32)
    np.maximum(frequency, 1 / coarsest_px, out=frequency)
    white = scipy.fft.rfft2(rng.standard_normal((rows, cols), dtype=np.float32))
    field = scipy.fft.irfft2(white * frequency ** np.float32(-exponent / 2), s=(rows, cols))
    field = field[: shape[0], : shape[1]].astype(np.float32)
    field -= field.mean()
    return np.asarray(field / max(float(field.std()), 1e-9))


def value_noise(rows: FloatImage, cols: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Return smooth noise of about unit deviation, read at grid coordinates: one independent value per unit.

    Args:
        rows: (rows, cols) first coordinate of every pixel, in grid units.
        cols: (rows, cols) second coordinate.
        rng: source of the grid.
    """
    low = np.array([rows.min(), cols.min()])
    size = np.ceil([rows.max() - low[0], cols.max() - low[1]]).astype(int) + 4
    grid = rng.standard_normal(tuple(size), dtype=np.float32)
    read = cv2.remap(grid, cols - np.float32(low[1] - 1), rows - np.float32(low[0] - 1), cv2.INTER_CUBIC)
    return np.asarray(read * np.float32(1.4))


def fibres(rows: FloatImage, cols: FloatImage, rng: np.random.Generator, *, width: float) -> FloatImage:
    """Return a network of curved fibres, 0 to 1: the zero crossings of smooth noise.

    Args:
        rows: (rows, cols) first coordinate, in units of the mesh of the network.
        cols: (rows, cols) second coordinate.
        rng: source of the network.
        width: breadth of a fibre as a share of the mesh, about 0.05 to 0.3.
    """
    field = value_noise(rows, cols, rng)
    strength = np.clip(0.6 + 0.6 * value_noise(rows * 0.6, cols * 0.6, rng), 0, 1.6)
    return np.asarray(strength * np.exp(-np.square(field / np.float32(3 * width))), dtype=np.float32)


def strands(
    shape: tuple[int, int], spacing_mm: float, rng: np.random.Generator, *, per_cm2: float, width_mm: float
) -> FloatImage:
    """Return thin curved strands (ligaments, vessel walls, ducts) as a map of 0 to 1; where they cross they add up."""
    area_cm2 = shape[0] * shape[1] * spacing_mm**2 / 100
    total = np.zeros(shape, dtype=np.float32)
    layers = 3
    for _ in range(layers):
        canvas = np.zeros(shape, dtype=np.uint8)
        for _ in range(int(rng.poisson(per_cm2 * area_cm2 / layers))):
            path = _curve(shape, spacing_mm, rng)
            bright = int(rng.integers(60, 255))
            thickness = max(1, round(width_mm * rng.uniform(0.6, 1.4) / spacing_mm))
            cv2.polylines(
                canvas, [path], isClosed=False, color=bright, thickness=thickness, lineType=cv2.LINE_AA
            )
        total += canvas
    blur = max(0.5, 0.3 * width_mm / spacing_mm)
    return np.asarray(cv2.GaussianBlur(total / np.float32(255), (0, 0), blur))


def _curve(shape: tuple[int, int], spacing_mm: float, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return a path of 5 to 40 mm with slowly turning heading, (n, 2) as x, y for OpenCV."""
    step_px = 1.5 / spacing_mm
    count = int(rng.integers(4, 28))
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.12, count))
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * step_px
    start = rng.uniform(0, 1, 2) * [shape[1], shape[0]]
    return np.asarray((start + np.cumsum(steps, axis=0)).round(), dtype=np.int32)
