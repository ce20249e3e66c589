"""Patches: centred on their candidates, in units of the noise, and of the right shape everywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import planted
from calcigraph.config import Config, PatchConfig
from calcigraph.detect import detect_candidates
from calcigraph.detect.patches import extract_patches

SMALL = PatchConfig(size_px=8, scales=(1,))


def ramp(shape=(40, 30), seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@pytest.mark.parametrize("scales", [(1,), (1, 3), (2, 1, 5)])
def test_no_candidates_no_patches(scales):
    image = ramp()
    patches = extract_patches(image, image, np.empty((0, 2)), PatchConfig(size_px=10, scales=scales))
    assert patches.shape == (0, len(scales), 10, 10) and patches.dtype == np.float32


def test_a_patch_is_brightest_in_its_middle():
    places = planted.centres((30.0, 24.0))
    image = planted.discs(places, diameter_mm=0.3)
    _, candidates = detect_candidates(image, Config())
    patches = candidates.patches[: len(places)]
    assert patches.shape == (len(places), 2, 14, 14) and np.isfinite(patches).all()
    for channel in range(2):
        brightest = patches[:, channel].reshape(len(places), -1).argmax(axis=1)
        row, col = np.unravel_index(brightest, (14, 14))
        assert row.min() >= 5 and row.max() <= 8 and col.min() >= 5 and col.max() <= 8
    np.testing.assert_allclose(np.median(patches, axis=(2, 3)), 0, atol=0.02)


def test_numbers_of_a_patch():
    """asinh of what lies above the median, in units of three times the noise at the centre."""
    image, noise = ramp(), 0.1 + ramp(seed=1)
    patch = extract_patches(image, noise, np.array([[20.2, 11.9]]), SMALL)[0, 0]
    window = image[17:25, 8:16]  # rows 20.2 ± 4: its 8 pixels lie as evenly around the centre as they can
    above = (window - np.median(window)) / (3 * noise[20, 12])
    np.testing.assert_allclose(patch, np.arcsinh(above), rtol=1e-5, atol=1e-6)


def test_a_coarse_channel_shows_means_of_squares():
    image, noise = ramp((60, 60)), np.ones((60, 60), np.float32)
    config = PatchConfig(size_px=8, scales=(1, 3))
    patch = extract_patches(image, noise, np.array([[31.0, 31.0]]), config)[0, 1]
    means = image.reshape(20, 3, 20, 3).mean(axis=(1, 3))
    at = int(np.rint(31.5 / 3 - 4))
    window = means[at : at + 8, at : at + 8]
    np.testing.assert_allclose(np.sinh(patch) * 3, window - np.median(window), atol=1e-5)


@pytest.mark.parametrize("centre", [(0, 0), (39, 29), (-0.4, 15), (39.4, 29.4), (20, 0)])
def test_beyond_the_border_the_image_is_mirrored(centre):
    image = ramp()
    patch = extract_patches(image, np.ones_like(image), np.array([centre], float), SMALL)[0, 0]
    mirrored = np.pad(image, 8, mode="symmetric")
    top, left = np.rint(np.array(centre) + 0.5 - 4).astype(int) + 8
    window = mirrored[top : top + 8, left : left + 8]
    np.testing.assert_allclose(np.sinh(patch) * 3, window - np.median(window), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (7, 7), (5, 4)])
def test_images_smaller_than_a_patch(shape):
    image = ramp(shape)
    corners = np.array([[0.0, 0.0], np.array(shape) - 1.0])
    patches = extract_patches(image, np.ones_like(image), corners, PatchConfig())
    assert patches.shape == (2, 2, 14, 14) and np.isfinite(patches).all()


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.sampled_from([8, 14, 20]),
    scales=st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple),
    seed=st.integers(0, 99),
)
def test_any_place_of_any_image_gives_a_patch(shape, size, scales, seed):
    rng = np.random.default_rng(seed)
    image = rng.random(shape, dtype=np.float32)
    centres = rng.uniform(-0.5, np.array(shape) - 0.5, (5, 2))
    config = PatchConfig(size_px=size, scales=scales)
    patches = extract_patches(image, np.full(shape, 0.1, np.float32), centres, config)
    assert patches.shape == (5, len(scales), size, size) and patches.dtype == np.float32
    assert np.isfinite(patches).all()
    # A brighter image has the same patches: only what stands out from the median counts.
    again = extract_patches(image + 1, np.full(shape, 0.1, np.float32), centres, config)
    np.testing.assert_allclose(patches, again, atol=1e-4)
