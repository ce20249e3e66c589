"""Candidates against the truth, on cases small enough to label by hand."""

import numpy as np
import pandas as pd
import pytest

from calcigraph.detect.matching import (
    LEARNT_SNR,
    REACH_MM,
    Label,
    is_visible,
    label_candidates,
    on_lesion,
    targets,
)
from calcigraph.records import CANDIDATE_COLUMNS, empty_table

SPACING = (0.1, 0.2)
NO_TRUTH = pd.DataFrame({"row_px": [], "col_px": [], "diameter_mm": []}, dtype=float)


def marks(*places_mm):
    return pd.DataFrame(places_mm, columns=["row_mm", "col_mm"], dtype=float)


def truth(*rows, columns=("row_px", "col_px", "diameter_mm", "kind", "snr")):
    return pd.DataFrame(rows, columns=list(columns)[: len(rows[0])])


def label(found, known):
    return label_candidates(found, known, spacing_mm=SPACING).tolist()


def test_near_is_true_and_far_is_false():
    known = truth((100, 50, 0.3))  # at 10 mm, 10 mm
    found = marks((10.0, 10.0), (10.15, 10.1), (10.0, 10.21), (30.0, 10.0))
    assert label(found, known) == [Label.TRUE, Label.TRUE, Label.FALSE, Label.FALSE]


def test_the_reach_includes_its_end():
    known = truth((0, 0, 0.1))
    assert label(marks((REACH_MM, 0.0), (REACH_MM + 1e-6, 0.0)), known) == [Label.TRUE, Label.FALSE]


def test_a_large_calcification_reaches_as_far_as_its_radius():
    known = truth((100, 50, 1.0))
    assert label(marks((10.45, 10.0), (10.55, 10.0)), known) == [Label.TRUE, Label.FALSE]


def test_a_mark_on_a_large_one_is_on_it_though_a_small_ones_centre_is_nearer():
    known = truth((0, 0, 4.0, "coarse"), (25, 0, 0.6, "lesion"))
    assert label(marks((1.8, 0.0), (2.4, 0.0), (2.1, 0.0)), known) == [
        Label.DOUBTFUL,
        Label.TRUE,
        Label.FALSE,
    ]


def test_of_two_that_it_lies_on_the_nearest_counts():
    known = truth((0, 0, 4.0, "coarse"), (15, 0, 0.6, "lesion"))
    assert label(marks((1.4, 0.0), (0.5, 0.0)), known) == [Label.TRUE, Label.DOUBTFUL]


def test_a_signal_that_is_not_known_counts_as_seen():
    known = truth((100, 50, 0.2, "lesion", np.nan), (300, 50, 0.2, "lesion", LEARNT_SNR))
    assert is_visible(known, least_snr=LEARNT_SNR).tolist() == [True, True]
    assert label(marks((10.0, 10.0)), known) == [Label.TRUE]


def test_several_candidates_on_one_calcification_are_all_true():
    assert label(marks((10.0, 10.1), (10.1, 10.0), (9.9, 10.0)), truth((100, 50, 0.2))) == [Label.TRUE] * 3


def test_pixels_become_millimetres_with_the_pitch_of_their_axis():
    known = truth((200, 50, 0.2))  # 20 mm down, 10 mm to the right
    assert label(marks((20.0, 10.0), (10.0, 20.0)), known) == [Label.TRUE, Label.FALSE]


def test_what_nobody_can_see_is_doubtful():
    known = truth((100, 50, 0.2, "lesion", LEARNT_SNR - 0.1), (300, 50, 0.2, "lesion", LEARNT_SNR))
    assert label(marks((10.0, 10.0), (30.0, 10.0)), known) == [Label.DOUBTFUL, Label.TRUE]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("lesion", Label.TRUE),
        ("scattered", Label.TRUE),
        ("coarse", Label.DOUBTFUL),
        ("vascular", Label.FALSE),
    ],
)
def test_look_alikes_are_no_calcifications(kind, expected):
    assert label(marks((10.0, 10.0)), truth((100, 50, 0.2, kind, 50.0))) == [expected]


def test_a_look_alike_does_not_hide_a_true_one_beside_it():
    known = truth((100, 50, 2.0, "coarse", 90.0), (101, 50, 0.2, "lesion", 20.0))
    assert label(marks((10.0, 10.0)), known) == [Label.TRUE]


def test_the_nearest_calcification_decides():
    known = truth((100, 50, 0.2, "lesion", 1.0), (103, 50, 0.2, "lesion", 20.0))
    assert label(marks((10.1, 10.0), (10.2, 10.0)), known) == [Label.DOUBTFUL, Label.TRUE]


def test_nothing_known_makes_every_candidate_false():
    found = marks((1.0, 1.0), (2.0, 2.0))
    assert label(found, NO_TRUTH) == [Label.FALSE, Label.FALSE]
    assert label(found, truth((10, 5, 2.0, "vascular", 90.0))) == [Label.FALSE, Label.FALSE]


@pytest.mark.parametrize("known", [NO_TRUTH, truth((10, 5, 0.2))])
def test_no_candidates_no_labels(known):
    labels = label_candidates(empty_table(CANDIDATE_COLUMNS), known, spacing_mm=SPACING)
    assert labels.shape == (0,) and labels.dtype == np.int8


def test_labels_follow_the_rows_and_not_the_index():
    found = marks((30.0, 10.0), (10.0, 10.0))
    found.index = [7, 3]
    assert label(found, truth((100, 50, 0.2))) == [Label.FALSE, Label.TRUE]


def test_targets_and_visibility():
    known = truth((1, 1, 0.2, "lesion", 9.0), (2, 2, 2.0, "coarse", 99.0), (3, 3, 0.3, "scattered", 2.0))
    assert targets(known)["row_px"].tolist() == [1, 3]
    assert is_visible(targets(known)).tolist() == [True, False]
    plain = known[["row_px", "col_px", "diameter_mm"]]
    assert targets(plain).equals(plain) and is_visible(plain).all()
    assert len(targets(NO_TRUTH)) == 0 and is_visible(NO_TRUTH).shape == (0,)


def test_what_lies_on_the_lesion_is_of_it_and_nothing_else():
    known = truth((100, 50, 0.3, "lesion"), (200, 100, 0.3, "scattered"))
    found = marks((10, 10), (20, 20), (30, 30))
    assert on_lesion(found, known, spacing_mm=SPACING).tolist() == [1, 0, 0]
    assert np.isnan(on_lesion(found, known.drop(columns="kind"), spacing_mm=SPACING)).all()
