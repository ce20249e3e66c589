"""Candidates: planted discs are found where they lie, in pixels of the original image, with their size."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import cKDTree

import planted
from calcigraph.config import CandidateConfig, Config, paper
from calcigraph.detect import detect_candidates
from calcigraph.detect.candidates import find_candidates, tophat
from calcigraph.detect.working import WorkingImage, at_pitch
from calcigraph.records import CANDIDATE_COLUMNS, Breast, Mammogram
from calcigraph.training.windows import draw_windows

PLACES_MM = planted.centres((30.0, 24.0))
SPACINGS = [(0.05, 0.05), (0.1, 0.1), (0.12, 0.12), (0.05, 0.1)]
WORKING_MM = CandidateConfig().working_spacing_mm


def detect(image, **settings_):
    return detect_candidates(image, Config(candidates=replace(CandidateConfig(), **settings_)))[1]


def places(table):
    return table[["row_mm", "col_mm"]].to_numpy()


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("rule", ["peaks", "components"])
@pytest.mark.parametrize("response", ["tophat", "blob"])
def test_discs_are_found_within_half_a_pixel(response, rule, spacing_mm):
    # A peak lies anywhere on a flat top, so only small discs tell its place to half a pixel.
    diameter_mm = 0.2 if rule == "peaks" else 0.5
    image = planted.discs(PLACES_MM, diameter_mm=diameter_mm, spacing_mm=spacing_mm)
    table = detect(image, response=response, rule=rule).table
    assert tuple(table.columns) == CANDIDATE_COLUMNS
    strongest = table[: len(PLACES_MM)]
    distance, disc = cKDTree(PLACES_MM).query(places(strongest))
    assert len(set(disc)) == len(PLACES_MM), "the strongest candidates are the discs, each once"
    assert distance.max() < 0.5 * max(*spacing_mm, WORKING_MM)
    np.testing.assert_allclose(places(table), table[["row_px", "col_px"]].to_numpy() * spacing_mm)
    assert np.all(np.diff(table["contrast"]) <= 0) and table["probability"].isna().all()


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("diameter_mm", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("rule", ["peaks", "components"])
def test_diameters_within_a_quarter(rule, diameter_mm, spacing_mm):
    image = planted.discs(PLACES_MM, diameter_mm=diameter_mm, spacing_mm=spacing_mm)
    table = detect(image, rule=rule).table
    distance, nearest = cKDTree(places(table)).query(PLACES_MM)
    assert distance.max() < diameter_mm / 2
    found = table["diameter_mm"].to_numpy()[nearest]
    np.testing.assert_allclose(found, diameter_mm, rtol=0.25)


def test_the_paper_finds_them_too():
    for spacing_mm in ((0.07, 0.07), (0.085, 0.085)):
        image = planted.discs(PLACES_MM, diameter_mm=0.4, spacing_mm=spacing_mm)
        table = detect_candidates(image, paper())[1].table
        distance, _ = cKDTree(places(table)).query(PLACES_MM)
        assert distance.max() < 0.5 * spacing_mm[0]


@pytest.mark.parametrize("spacing_mm", [0.05, 0.07, 0.1])
def test_a_diameter_does_not_depend_on_the_pitch(spacing_mm):
    """As wide as the rim is sought for, on pixels as fine as there are (`paper` works on those of the image)."""
    config = paper()
    wide = replace(config, candidates=replace(config.candidates, opening_mm=2.0))
    image = planted.discs(np.array([[10.0, 10.0]]), diameter_mm=1.2, spacing_mm=(spacing_mm, spacing_mm))
    table = detect_candidates(image, wide)[1].table
    assert table["diameter_mm"].iloc[0] == pytest.approx(1.2, rel=0.1)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("rule", ["peaks", "components"])
@pytest.mark.parametrize("response", ["tophat", "blob"])
def test_a_flat_image_has_no_candidates(response, rule, level):
    flat = Mammogram(np.full((300, 200), level, np.float32), (0.1, 0.1))
    candidates = detect(flat, response=response, rule=rule)
    assert len(candidates) == 0
    assert candidates.patches.shape == (0, 2, 14, 14)
    assert tuple(candidates.table.columns) == CANDIDATE_COLUMNS
    assert all(kind == np.float64 for kind in candidates.table.dtypes)


@pytest.mark.parametrize("rule", ["peaks", "components"])
def test_at_most_keeps_the_strongest(rule):
    image = planted.discs(PLACES_MM)
    every, few = detect(image, rule=rule), detect(image, rule=rule, at_most=7)
    assert len(every) > 7 and len(few) == 7 == len(few.patches)
    assert few.table.equals(every.table[:7])
    np.testing.assert_array_equal(few.patches, every.patches[:7])


def found_in(response, rule, *, threshold=3.0, mask=None):
    rows, cols = response.shape
    pixels = np.zeros((rows, cols), np.float32)
    mask = np.ones((rows, cols), bool) if mask is None else mask
    return find_candidates(
        Mammogram(pixels, (0.1, 0.2)),
        WorkingImage(pixels, (0.1, 0.2), (1.0, 1.0)),
        Breast(mask, np.empty((0, 2)), 1.0, (0.0, 0.0), (0.0, 1.0), False),
        response=response.copy(),
        tophat_image=response,
        config=CandidateConfig(rule=rule, threshold=threshold),
    )


def random_response(seed):
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(80, 60)), 1.3)
    response = (8 * smooth).astype(np.float32)
    response[:2] = response[-2:] = response[:, :2] = response[:, -2:] = (
        0  # the border, where nothing is sought
    )
    return response


@pytest.mark.parametrize("seed", range(3))
def test_components_equal_scipy_labels(seed):
    response = random_response(seed)
    labels, count = ndimage.label(response > 3, structure=np.ones((3, 3)))
    expected = np.array(ndimage.center_of_mass(labels > 0, labels, range(1, count + 1)))
    peaks = ndimage.maximum(response, labels, range(1, count + 1))
    table, centres = found_in(response, "components")
    order = np.argsort(-np.asarray(peaks), kind="stable")
    np.testing.assert_allclose(centres, expected[order], atol=1e-5)
    np.testing.assert_allclose(table["contrast"], np.asarray(peaks)[order], rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_peaks_equal_scipy_maxima(seed):
    response = random_response(seed)
    highest = (ndimage.maximum_filter(response, 5) == response) & (response > 3)
    table, centres = found_in(response, "peaks")
    assert len(table) == highest.sum() > 5
    np.testing.assert_allclose(np.sort(table["contrast"]), np.sort(response[highest]), rtol=1e-6)
    distance, _ = cKDTree(np.argwhere(highest)).query(centres)
    assert distance.max() < 1  # the centroid of 3 × 3 pixels around a peak


@pytest.mark.parametrize("rule", ["peaks", "components"])
def test_nothing_is_found_outside_of_the_breast(rule):
    response = random_response(7)
    mask = np.zeros(response.shape, bool)
    mask[:, :30] = True
    table, centres = found_in(response, rule, mask=mask)
    assert 0 < len(table) < len(found_in(response, rule)[0])
    assert (centres[:, 1] < 30).all()


def test_close_to_a_larger_area_the_diameter_stays_that_of_the_spot():
    image = planted.discs(np.array([[12.0, 12.0]]), diameter_mm=0.3)
    pixels = image.pixels.copy()
    pixels[:, 148:150] += 0.25  # a bright line 0.6 mm beside it
    table = detect(Mammogram(pixels, image.spacing_mm), rule="peaks").table
    _, nearest = cKDTree(places(table)).query([12.0, 12.0])
    assert table["diameter_mm"][nearest] == pytest.approx(0.3, rel=0.25)


@settings(max_examples=50, deadline=None)
@given(
    shape=st.tuples(st.integers(32, 300), st.integers(32, 300)),
    spacing=st.tuples(st.floats(0.04, 0.25), st.floats(0.04, 0.25)),
    target=st.sampled_from([0.0, 0.05, 0.085, 0.1, 0.8]),
)
def test_the_edges_of_both_images_coincide(shape, spacing, target):
    working = at_pitch(Mammogram(np.zeros(shape, np.float32), spacing), target)
    rows, cols = working.pixels.shape
    corners = working.to_original(np.array([[-0.5, -0.5], [rows - 0.5, cols - 0.5]]))
    np.testing.assert_allclose(corners, [[-0.5, -0.5], np.array(shape) - 0.5])
    np.testing.assert_allclose(
        np.multiply(working.pixels.shape, working.spacing_mm), np.multiply(shape, spacing)
    )
    if target and min(rows, cols) > 20 and max(np.divide(spacing, target)) < 3:
        assert abs(working.pitch_mm / target - 1) <= 0.2 + 1e-9


@pytest.mark.parametrize("spacing_mm", [*SPACINGS, (0.2, 0.2)])
def test_resampling_moves_nothing(spacing_mm):
    shape, middle = (211, 160), np.array([93.3, 70.8])
    row, col = np.ogrid[: shape[0], : shape[1]]
    sigma_px = 0.5 / np.asarray(spacing_mm)
    spot = np.exp(-(((row - middle[0]) / sigma_px[0]) ** 2 + ((col - middle[1]) / sigma_px[1]) ** 2) / 2)
    working = at_pitch(Mammogram(spot.astype(np.float32), spacing_mm), 0.085, tolerance=0.0)
    centre = np.array(ndimage.center_of_mass(working.pixels))
    np.testing.assert_allclose(working.to_original(centre[None])[0], middle, atol=0.2)
    assert working.pixels.min() >= 0 and working.pixels.max() <= 1


def test_where_one_side_grows_the_other_is_averaged_all_the_same():
    """A bright row weighs as much whichever row of the image it is."""
    sums = []
    for row in range(40, 60):
        pixels = np.zeros((200, 60), np.float32)
        pixels[row] = 1
        working = at_pitch(Mammogram(pixels, (0.03, 0.10)), 0.085)
        sums.append(working.pixels[:, 30].sum())
    np.testing.assert_allclose(sums, 0.03 / 0.085, rtol=0.05)


def test_enhancement_is_as_strong_in_white_tissue():
    """No sum is cut off at the brightest level."""
    config = CandidateConfig(response="tophat", bottom_hat=True)
    heights = []
    for ground in (0.4, 0.85):
        pixels = np.full((80, 80), ground, np.float32)
        pixels[38:42, 38:42] += 0.1
        working = at_pitch(Mammogram(pixels, (0.085, 0.085)), 0.0)
        heights.append(tophat(working, config).max())
    assert heights == pytest.approx([0.2, 0.2], abs=1e-3)


def test_what_reaches_into_a_window_is_part_of_its_truth():
    """Also where its centre lies outside: candidates on its rim are not false."""
    image = Mammogram(np.full((900, 900), 0.5, np.float32), (0.1, 0.1))
    grid = np.arange(0.0, 900, 10)
    row, col = (each.ravel() for each in np.meshgrid(grid, grid, indexing="ij"))
    truth = pd.DataFrame({"row_px": row, "col_px": col, "diameter_mm": 4.0})
    windows = list(draw_windows(image, truth, np.random.default_rng(0)))
    assert windows
    for window, inside in windows:
        beyond = np.abs(inside[["row_px", "col_px"]].to_numpy() - (np.array(window.shape) - 1) / 2)
        outside = (beyond - (np.array(window.shape) - 1) / 2).max(axis=1)
        assert 10 < outside.max() <= 20  # of the radius of 20 pixels; one lies every 10
