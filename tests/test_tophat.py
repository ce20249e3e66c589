"""Equation 1 against SciPy's morphology, and the local mean against a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from calcigraph.detect.tophat import black_tophat, disc, enhance, local_mean, white_tophat

DIAMETERS = (3, 5, 11, 15)
IMAGES = arrays(np.uint16, st.tuples(st.integers(1, 24), st.integers(1, 24)))
ELEMENTS = st.integers(0, 17).map(disc)


def noise(shape=(60, 47), seed=0):
    return np.random.default_rng(seed).integers(0, 65536, shape).astype(np.uint16)


def opening(image, element):
    """Erosion, then dilation, neither of which sees anything beyond the border."""
    eroded = ndimage.grey_erosion(image, footprint=element, mode="constant", cval=65535)
    return ndimage.grey_dilation(eroded, footprint=element, mode="constant", cval=0)


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_disc_is_symmetric_and_odd(diameter):
    element = disc(diameter)
    assert element.shape == (diameter, diameter)
    assert element[diameter // 2].all() and element[:, diameter // 2].all()
    assert np.array_equal(element, element[::-1]) and np.array_equal(element, element[:, ::-1])
    assert element.sum() == pytest.approx(np.pi / 4 * diameter**2, rel=0.3)


@pytest.mark.parametrize(("asked", "side"), [(-4, 3), (0, 3), (2, 3), (4, 5), (10, 11), (11, 11)])
def test_disc_takes_the_next_odd_diameter(asked, side):
    assert disc(asked).shape == (side, side)


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_white_tophat_equals_scipy_everywhere(diameter):
    """OpenCV ignores what lies beyond the border, SciPy mirrors the image there.

    That is the same as long as the mirror image of every pixel of the element that sticks out lies under the
    element too, which holds for one that is symmetric and without gaps along its rows and columns, as a disc is.
    """
    image, element = noise(), disc(diameter)
    assert np.array_equal(white_tophat(image, element), ndimage.white_tophat(image, footprint=element))
    assert np.array_equal(white_tophat(image, element), image - opening(image, element))


@pytest.mark.parametrize("diameter", DIAMETERS)
def test_black_tophat_equals_scipy_everywhere(diameter):
    image, element = noise(seed=1), disc(diameter)
    assert np.array_equal(black_tophat(image, element), ndimage.black_tophat(image, footprint=element))
    assert np.array_equal(black_tophat(image, element), white_tophat(65535 - image, element))


def test_an_image_smaller_than_the_element():
    image = noise((3, 4))
    assert np.array_equal(white_tophat(image, disc(21)), image - image.min())


def test_tophat_keeps_what_is_smaller_than_the_element_and_no_more():
    image = np.full((60, 60), 1000, np.uint16)
    image[10:15, 10:15] += 500
    image[30:50, 30:50] += 500
    kept = white_tophat(image, disc(9))
    assert (kept[10:15, 10:15] == 500).all()
    assert not kept[34:46, 34:46].any() and not kept[20:28].any()


def test_enhance_is_the_image_plus_tophat_minus_bottomhat():
    image, element = noise(seed=2), disc(7)
    levels = image.astype(np.int64)
    raised = np.clip(levels + white_tophat(image, element), 0, 65535)
    assert np.array_equal(enhance(image, element), np.clip(raised - black_tophat(image, element), 0, 65535))
    soft = (image // 4 + 20000).astype(np.uint16)  # where nothing is cut off
    added = soft.astype(np.int64) + white_tophat(soft, element) - black_tophat(soft, element)
    assert np.array_equal(enhance(soft, element), added)


@pytest.mark.parametrize("side", [3, 5, 9])
def test_local_mean_equals_a_plain_loop(side):
    rng = np.random.default_rng(3)
    image, mask = rng.random((23, 17)).astype(np.float32), rng.random((23, 17)) < 0.4
    mask[:, 11:] = False
    half = side // 2
    values, inside = (np.pad(a, half, mode="reflect") for a in (image, mask))
    expected = np.zeros(image.shape)
    for row in range(23):
        for col in range(17):
            window = (slice(row, row + side), slice(col, col + side))
            if inside[window].any():
                expected[row, col] = values[window][inside[window]].mean()
    found = local_mean(image, mask, side)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not found[:, 11 + half :].any()


def test_local_mean_over_a_wide_window_is_near_the_exact_one():
    """It is then taken on a coarser grid; what it is a unit of need not be known to a few per cent."""
    rng = np.random.default_rng(4)
    image = np.abs(rng.normal(size=(260, 220))).astype(np.float32) * np.linspace(1, 3, 220, dtype=np.float32)
    mask = np.ones(image.shape, bool)
    mask[:, :60] = False
    exact = ndimage.uniform_filter(image * mask, 71) / np.maximum(
        ndimage.uniform_filter(mask * 1.0, 71), 1e-3
    )
    inside = (slice(40, -40), slice(70, -40))
    np.testing.assert_allclose(local_mean(image, mask, 71)[inside], exact[inside], rtol=0.06)


def test_local_mean_of_an_empty_mask_is_zero():
    image = np.ones((12, 12), np.float32)
    assert not local_mean(image, np.zeros((12, 12), bool), 5).any()


@settings(max_examples=60, deadline=None)
@given(image=IMAGES, element=ELEMENTS)
def test_tophat_lies_between_nothing_and_the_image(image, element):
    top, bottom = white_tophat(image, element), black_tophat(image, element)
    assert top.shape == bottom.shape == image.shape and top.dtype == bottom.dtype == np.uint16
    assert (top <= image).all()
    assert (bottom <= 65535 - image).all()
    # Nothing is left of an opening that is opened again.
    assert not white_tophat(image - top, element).any()


@settings(max_examples=40, deadline=None)
@given(image=IMAGES, element=ELEMENTS, level=st.integers(0, 30000))
def test_tophat_does_not_see_the_level(image, element, level):
    low = image // 4
    assert np.array_equal(white_tophat((low + level).astype(np.uint16), element), white_tophat(low, element))
