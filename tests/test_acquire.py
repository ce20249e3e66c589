"""Noise goes by the quanta there are, over areas too, and machines differ as they do."""

from dataclasses import replace

import numpy as np
import pytest

from calcigraph.simulate.acquire import (
    DIGITAL_PHOTONS_PER_MM2,
    FILM_PHOTONS_PER_MM2,
    NOISE_BLUR_SHARE,
    draw_acquisition,
    expose,
)
from test_simulate import QUIET

PHOTONS = 1e6


def noise(*, spacing_mm, noise_blur_mm, attenuation=1.0):
    machine = replace(QUIET, spacing_mm=spacing_mm, photons_per_mm2=PHOTONS, noise_blur_mm=noise_blur_mm)
    side = round(60 / spacing_mm)
    flat = np.full((side, side), attenuation, np.float32)
    return expose(flat, np.ones(flat.shape, bool), machine, np.random.default_rng(0)) - attenuation


@pytest.mark.parametrize("spacing_mm", [0.05, 0.1])
@pytest.mark.parametrize("noise_blur_mm", [0.0, 0.05, 0.09])
def test_over_areas_noise_is_that_of_the_quanta(spacing_mm, noise_blur_mm):
    grid = noise(spacing_mm=spacing_mm, noise_blur_mm=noise_blur_mm)
    per_square = round(2 / spacing_mm)
    squares = grid.reshape(30, per_square, 30, per_square).mean(axis=(1, 3))
    expected = np.sqrt(np.exp(1.0) / (PHOTONS * 4))
    assert squares.std() == pytest.approx(expected, rel=0.1)


def test_a_spread_makes_pixels_less_noisy():
    sharp, spread = (noise(spacing_mm=0.1, noise_blur_mm=mm).std() for mm in (0.0, 0.1))
    assert sharp == pytest.approx(np.sqrt(np.exp(1.0) / (PHOTONS * 0.01)), rel=0.02)
    # A Gaussian of one pixel leaves 1 / 4 pi of the variance.
    assert spread == pytest.approx(sharp / np.sqrt(4 * np.pi), rel=0.02)


def test_what_is_dense_is_noisier():
    thin, thick = (noise(spacing_mm=0.1, noise_blur_mm=0.0, attenuation=a).std() for a in (1.0, 3.0))
    assert thick == pytest.approx(thin * np.e, rel=0.02)


@pytest.mark.parametrize(
    ("acquisition", "photons"), [("digital", DIGITAL_PHOTONS_PER_MM2), ("film", FILM_PHOTONS_PER_MM2)]
)
def test_noise_shares_part_of_the_spread(acquisition, photons):
    drawn = [draw_acquisition(np.random.default_rng(k), acquisition=acquisition) for k in range(300)]
    share = np.array([one.noise_blur_mm / one.blur_mm for one in drawn])
    low, high = NOISE_BLUR_SHARE
    assert ((share == 0) | ((share >= low) & (share <= high))).all() and share.max() > 0.75
    white = (share == 0).mean()
    assert 0.2 < white < 0.4 if acquisition == "digital" else white == 0
    count = np.array([one.photons_per_mm2 for one in drawn])
    assert photons[0] <= count.min() < 1.1 * photons[0] and 0.9 * photons[1] < count.max() <= photons[1]
