"""Dead lines are bridged, and nothing else is touched."""

from dataclasses import replace

import numpy as np
import pytest

import hand_made
from calcigraph.config import default
from calcigraph.detect import detect_candidates
from calcigraph.detect.lines import EVERY, RUN, bridge_lines


def tissue(shape=(400, 300), seed=0):
    rng = np.random.default_rng(seed)
    slope = np.linspace(0.4, 0.6, shape[0])[:, None] + np.linspace(0, 0.1, shape[1])
    return (slope + rng.normal(0, 0.01, shape)).astype(np.float32)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("line", [0, 1, 200, -1])
@pytest.mark.parametrize("across", [False, True])
def test_a_dead_line_is_bridged(line, value, across):
    whole = tissue()
    broken = whole.copy()
    (broken.T if across else broken)[line] = value
    mended = bridge_lines(broken)
    assert np.abs(mended - whole).max() < 0.1
    lost = np.zeros(whole.shape, bool)
    (lost.T if across else lost)[line] = True
    np.testing.assert_array_equal(mended[~lost], whole[~lost])
    assert mended.flags.c_contiguous and mended.dtype == np.float32


def test_a_part_of_a_line_is_bridged_and_what_it_is_given_stays():
    broken = tissue()
    broken[100, 40:200] = 0
    given = broken.copy()
    assert np.abs(bridge_lines(broken) - tissue()).max() < 0.1
    np.testing.assert_array_equal(broken, given)


def test_a_dead_part_is_bridged_from_its_first_pixel():
    """Also the shortest that is found, whose ends nothing but its own window shows."""
    whole = tissue(shape=(60, 300))
    first = 80 // EVERY
    broken = whole.copy()
    broken[30, first * EVERY : (first + 13) * EVERY] = 0
    mended = bridge_lines(broken)
    assert np.abs(mended - whole).max() < 0.1
    changed = np.flatnonzero(mended[30] != broken[30]) // EVERY
    assert changed.min() >= first - 3 and changed.max() <= first + 15


def test_calcifications_edges_and_noise_are_left_alone():
    whole = tissue()
    whole[200:206, 100:106] += 0.3
    whole[50, 20 : 20 + RUN * EVERY // 2] += 0.3  # a bright line shorter than a dead one
    whole[:, 150:] += 0.2  # the edge of a paddle
    assert bridge_lines(whole) is whole


@pytest.mark.parametrize("shape", [(1, 1), (2, 500), (500, 2), (3, 3), (60, 60)])
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_small_and_empty_images(shape, value):
    pixels = np.full(shape, value, np.float32)
    np.testing.assert_array_equal(bridge_lines(pixels), pixels)


def test_no_string_of_candidates_lies_along_a_dead_line():
    image = hand_made.mammogram()
    broken = image.pixels.copy()
    row = broken.shape[0] // 2
    broken[row] = 0
    _, found = detect_candidates(replace(image, pixels=broken), default())
    _, before = detect_candidates(image, default())
    near = [(np.abs(t.table["row_px"] - row) < 4).sum() for t in (found, before)]
    assert near[0] <= near[1] + 2
