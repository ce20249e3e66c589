"""Dust, fibres and defective pixels: sharp, of the size and height that are stated, where the breast is."""

import numpy as np
import pytest
from scipy import ndimage

from calcigraph.simulate.acquire import draw_acquisition
from calcigraph.simulate.dust import (
    DEFECT_HEIGHT,
    DUST_HEIGHT,
    DUST_LENGTH_MM,
    FIBRE_LENGTH_MM,
    add_defects,
    add_dust,
    add_fibres,
)

SHAPE = (300, 400)
PITCH_MM = 0.05
WAYS = {
    "defects": add_defects,
    "dust": lambda *given: add_dust(*given, spacing_mm=PITCH_MM),
    "fibres": lambda *given: add_fibres(*given, spacing_mm=PITCH_MM),
}


def soil(way, count, *, breast=None, seed=0, noise=0.5):
    exposed = np.zeros(SHAPE, np.float32)
    breast = np.ones(SHAPE, bool) if breast is None else breast
    way(exposed, np.full(SHAPE, noise, np.float32), breast, count, np.random.default_rng(seed))
    return exposed


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_same_seed_same_image_and_none_without_count_or_breast(way):
    assert np.array_equal(soil(way, 20), soil(way, 20))
    assert not np.array_equal(soil(way, 20), soil(way, 20, seed=1))
    assert not soil(way, 0).any()
    assert not soil(way, 20, breast=np.zeros(SHAPE, bool)).any()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_it_starts_within_the_breast_and_is_cut_at_the_image(way):
    corner = np.zeros(SHAPE, bool)
    corner[-3:, -3:] = True
    exposed = soil(way, 50, breast=corner)
    assert exposed[-4:, -4:].any() and not exposed[:-3].any() and not exposed[:, :-3].any()


def test_dust_is_small_and_as_high_as_stated():
    exposed = soil(WAYS["dust"], 40, noise=0.5)
    labels, found = ndimage.label(np.abs(exposed) > 1e-3, structure=np.ones((3, 3)))
    assert 25 <= found <= 40  # some touch
    alone = ndimage.find_objects(labels)
    longest_px = round(DUST_LENGTH_MM[1] / PITCH_MM) + 4  # and its spread to both sides
    sides = np.array([[part.stop - part.start for part in box] for box in alone])
    assert np.median(sides.max(axis=1)) <= longest_px
    peaks = np.array([exposed[box].flat[np.abs(exposed[box]).argmax()] for box in alone]) / 0.5
    assert (np.abs(peaks) <= DUST_HEIGHT[1] * 1.01).all()
    assert np.abs(peaks).max() > 50 > 10 > np.abs(peaks).min()
    assert 0.5 < (peaks > 0).mean() < 0.9


def test_dust_smaller_than_a_pixel_is_lower():
    def highest(pitch_mm):
        exposed = np.zeros(SHAPE, np.float32)
        every = np.ones(SHAPE, bool)
        add_dust(
            exposed, np.ones(SHAPE, np.float32), every, 200, np.random.default_rng(1), spacing_mm=pitch_mm
        )
        return np.quantile(np.abs(exposed), 0.999)

    assert highest(0.2) < 0.7 * highest(0.1)


def test_a_fibre_is_long_and_thin():
    for seed in range(8):
        exposed = soil(
            WAYS["fibres"], 1, seed=seed, breast=np.pad(np.ones((100, 100), bool), ((99, 101), (99, 201)))
        )
        rows, cols = np.nonzero(np.abs(exposed) > 0.3 * np.abs(exposed).max())
        length_mm = np.hypot(np.ptp(rows), np.ptp(cols)) * PITCH_MM
        assert length_mm <= FIBRE_LENGTH_MM[1] + 0.2
        assert len(rows) * PITCH_MM**2 <= 4 * PITCH_MM * max(length_mm, FIBRE_LENGTH_MM[0]) * 1.5


def test_defective_pixels_are_one_or_two_pixels_wide_and_bright():
    exposed = soil(WAYS["defects"], 1)
    assert 1 <= (exposed > 0).sum() <= 2 and (exposed >= 0).all()
    assert DEFECT_HEIGHT[0] <= exposed.max() / 0.5 <= DEFECT_HEIGHT[1]


def test_only_films_have_fibres():
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert draw_acquisition(rng, acquisition="digital").fibres_per_cm2 == 0
        film = draw_acquisition(rng, acquisition="film")
        assert 0.001 <= film.fibres_per_cm2 <= 0.03 <= film.specks_per_cm2 <= 0.8
