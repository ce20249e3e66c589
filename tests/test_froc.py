"""Marks against the truth: shares found and false marks per area, with answers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcigraph.froc import (
    MATCH_MM,
    MarkedImage,
    detection_at,
    found_at,
    froc,
    match_marks,
)

SPACING = (0.1, 0.2)
NOTHING = np.empty(0)


def marks(*rows):
    return pd.DataFrame(rows, columns=["row_mm", "col_mm", "probability"], dtype=float)


def truth(*rows):
    return pd.DataFrame(rows, columns=["row_px", "col_px", "diameter_mm", "kind", "snr"])


def match(found, known, area_cm2=50.0):
    return match_marks(found, known, spacing_mm=SPACING, area_cm2=area_cm2)


def test_an_image_by_hand():
    known = truth(
        (100, 50, 0.3, "lesion", 20.0),  # 10, 10 mm: two marks, the likelier counts
        (200, 50, 0.3, "scattered", 20.0),  # 20, 10 mm: not marked
        (300, 50, 0.3, "lesion", 2.0),  # 30, 10 mm: nobody sees it; its mark is neither right nor wrong
        (400, 50, 2.0, "vascular", 90.0),  # 40, 10 mm: a look-alike; its mark is false
        (
            400,
            150,
            2.0,
            "coarse",
            90.0,
        ),  # 40, 30 mm: a calcification, no microcalcification; its mark is neither
    )
    found = marks(
        (10.1, 10.0, 0.6),
        (9.8, 10.1, 0.9),
        (30.0, 10.2, 0.8),
        (40.0, 10.0, 0.7),
        (40.0, 30.9, 0.8),
        (50.0, 10.0, 0.2),
    )
    image = match(found, known)
    assert image.found.tolist() == [0.9, -1.0]
    assert sorted(image.false.tolist()) == [0.2, 0.7]
    half = detection_at([image], 0.5)
    assert (half.images, half.targets) == (1, 2)
    assert half.true_positive_rate == 0.5
    assert half.false_per_image == 1 and half.false_per_cm2 == pytest.approx(1 / 50)
    strict = detection_at([image], 0.95)
    assert strict.true_positive_rate == 0 == strict.false_per_image
    assert detection_at([image], 0.0).false_per_image == 2


def test_a_mark_finds_up_to_the_reach():
    known = truth((100, 50, 0.3, "lesion", 20.0))
    near, far = match(marks((10 + MATCH_MM - 1e-6, 10, 0.9)), known), match(marks((10.51, 10, 0.9)), known)
    assert near.found.tolist() == [0.9] and not len(near.false)
    assert far.found.tolist() == [-1.0] and far.false.tolist() == [0.9]


def test_one_mark_may_find_two_that_touch():
    known = truth((100, 50, 0.3, "lesion", 20.0), (103, 50, 0.3, "lesion", 20.0))
    assert match(marks((10.1, 10.0, 0.8)), known).found.tolist() == [0.8, 0.8]


def test_no_truth_no_marks_and_neither():
    known, found = truth((100, 50, 0.3, "lesion", 20.0)), marks((10.0, 10.0, 0.9))
    unknown, unmarked = known[:0], found[:0]
    assert match(unmarked, known).found.tolist() == [-1.0]
    assert match(found, unknown).false.tolist() == [0.9] and match(found, unknown).found.shape == (0,)
    empty = match(unmarked, unknown)
    assert empty.found.shape == empty.false.shape == (0,)
    at = detection_at([empty], 0.5)
    assert math.isnan(at.true_positive_rate) and at.false_per_cm2 == 0 == at.false_per_image
    none = detection_at([], 0.5)
    assert none.images == 0 and math.isnan(none.false_per_cm2) and math.isnan(none.false_per_image)


def test_a_truth_that_states_neither_kind_nor_snr_counts_whole():
    known = truth((100, 50, 0.3, "coarse", 0.0))[["row_px", "col_px", "diameter_mm"]]
    assert match(marks((10.0, 10.0, 0.4)), known).found.tolist() == [0.4]


def test_images_are_pooled():
    """Calcifications, marks and areas are added up, not averaged by image."""
    one = MarkedImage(np.array([0.9, 0.4, -1.0]), np.array([0.8]), 30.0)
    two = MarkedImage(np.array([0.7]), np.array([0.6, 0.3, 0.9]), 70.0)
    at = detection_at([one, two], 0.5)
    assert at.true_positive_rate == 2 / 4
    assert at.false_per_cm2 == pytest.approx(3 / 100) and at.false_per_image == 3 / 2


def test_no_area_has_no_rate():
    assert math.isnan(detection_at([MarkedImage(NOTHING, np.array([0.9]), 0.0)], 0.5).false_per_cm2)


def test_curve_by_hand():
    image = MarkedImage(np.array([0.9, 0.4]), np.array([0.8, 0.1]), 10.0)
    curve = froc([image], thresholds=(0.0, 0.5, 0.85, 1.0))
    assert curve.columns.tolist() == ["threshold", "true_positive_rate", "false_per_cm2"]
    assert curve["true_positive_rate"].tolist() == [1.0, 0.5, 0.5, 0.0]
    assert curve["false_per_cm2"].tolist() == [0.2, 0.1, 0.0, 0.0]


SCORES = st.lists(st.floats(0, 1), max_size=20).map(np.array)


@settings(max_examples=50, deadline=None)
@given(found=SCORES, false=SCORES)
def test_a_higher_threshold_never_marks_more(found, false):
    curve = froc([MarkedImage(found, false, 12.0)])
    assert len(curve) == 51 and curve["threshold"].iloc[[0, -1]].tolist() == [0, 1]
    assert (np.diff(curve["false_per_cm2"]) <= 0).all()
    assert curve["false_per_cm2"].iloc[0] == pytest.approx(len(false) / 12)
    if len(found):
        assert (np.diff(curve["true_positive_rate"]) <= 0).all() and curve["true_positive_rate"].iloc[0] == 1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), marked=st.integers(0, 12), known=st.integers(0, 12))
def test_matching_equals_all_distances(seed, marked, known):
    rng = np.random.default_rng(seed)
    found = marks(*np.column_stack([rng.uniform(0, 4, (marked, 2)), rng.random(marked)]))
    table = truth(*((r, c, 0.3, "lesion", 20.0) for r, c in rng.uniform(0, 20, (known, 2)) * [2, 1]))
    distance = np.linalg.norm(
        table[["row_px", "col_px"]].to_numpy(float).reshape(-1, 1, 2) * SPACING
        - found[["row_mm", "col_mm"]].to_numpy().reshape(1, -1, 2),
        axis=2,
    )
    near = distance <= MATCH_MM
    image = match(found, table)
    best = np.where(near, found["probability"].to_numpy()[None], -1).max(axis=1, initial=-1)
    np.testing.assert_array_equal(image.found, best)
    np.testing.assert_array_equal(image.false, found["probability"].to_numpy()[~near.any(axis=0)])


def test_the_share_found_at_a_rate_of_false_marks():
    images = [
        MarkedImage(found=np.array([0.9, 0.4]), false=np.array([0.8, 0.3]), area_cm2=1.0),
        MarkedImage(found=np.array([0.7, -1.0]), false=np.array([0.5]), area_cm2=1.0),
    ]

    def at(rate):
        return found_at(images, ["a", "b"], false_per_cm2=rate, seed=1, repeats=50)

    assert at(0.0).value == pytest.approx(1 / 4)  # above the likeliest false mark, 0.8
    assert at(0.5).value == pytest.approx(2 / 4)  # one may pass
    assert at(1.0).value == pytest.approx(3 / 4)
    assert (at(9.0).value, at(9.0).threshold) == (pytest.approx(3 / 4), 0.0)
    assert at(0.5).low <= 2 / 4 <= at(0.5).high and at(0.5) == at(0.5)
    alone = found_at(images, ["a", "a"], false_per_cm2=0.5, seed=1, repeats=50)
    assert alone.value == at(0.5).value and np.isnan([alone.low, alone.high]).all()
