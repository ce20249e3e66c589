"""Lesions that a reader would have seen: made visible, or drawn anew."""

import numpy as np
import pytest

from calcigraph.io.truth import VISIBLE_SNR, Kind
from calcigraph.lexicon import Distribution, Laterality, View
from calcigraph.simulate import CohortOptions, PlannedCase, simulate_case
from calcigraph.simulate.calcification import DENSEST_PER_MM, Calcification
from calcigraph.simulate.plan import Outline
from calcigraph.simulate.visible import draw_visible, make_visible


def lesion(*densities, kind=Kind.LESION):
    return [
        Calcification(np.zeros(3), np.zeros((1, 3)), np.array([0.1]), density, kind) for density in densities
    ]


def by_density(calcifications):
    return [10 * one.attenuation_per_mm for one in calcifications]


def never(*_):
    raise AssertionError("drawn again")


def seen(truth):
    return int(((truth["kind"] == "lesion") & (truth["snr"] >= VISIBLE_SNR)).sum())


def test_a_lesion_that_is_seen_stays():
    first = lesion(1, 1, 1, 1, 1, 1) + lesion(0.1, kind=Kind.SCATTERED)
    assert draw_visible(first, never, by_density, np.random.default_rng(0)) == first


def test_a_faint_lesion_becomes_denser_and_nothing_else_does():
    first = lesion(*[0.2] * 8) + lesion(0.1, kind=Kind.SCATTERED)
    *members, other = draw_visible(first, never, by_density, np.random.default_rng(0))
    assert other is first[-1] and all(0.5 <= one.attenuation_per_mm <= DENSEST_PER_MM for one in members)


def test_what_cannot_be_seen_is_drawn_anew():
    hidden, plain = lesion(*[0.01] * 8), lesion(*[1.0] * 8)
    draws = iter([hidden, plain])

    def look(calcifications):  # the first two lie behind what hides even the densest
        return [
            0.001 if one.radii_mm[0] < 0.3 and one.attenuation_per_mm != 1 else 9.0 for one in calcifications
        ]

    assert draw_visible(hidden, lambda: next(draws), look, np.random.default_rng(0)) == plain
    assert next(draws, None) is None


def test_where_none_is_seen_well_the_best_is_taken():
    draws = iter([lesion(*[1.0] * n) for n in (3, 4, 2, *[1] * 100)])
    best = draw_visible(lesion(1.0), lambda: next(draws), by_density, np.random.default_rng(0))
    assert len(best) == 4


@pytest.mark.parametrize("first", [[], lesion(0.01, kind=Kind.COARSE)])
def test_a_breast_without_a_lesion_is_left_alone(first):
    assert draw_visible(first, never, never, np.random.default_rng(0)) == first


def test_a_lesion_grows_no_further_than_calcifications_do():
    drawn = make_visible(lesion(*[0.5] * 6), [1e-3] * 6, np.random.default_rng(0))
    assert {one.attenuation_per_mm for one in drawn} == {DENSEST_PER_MM}
    np.testing.assert_allclose([one.radii_mm[0] for one in drawn], 0.18)


OPTIONS = CohortOptions(seed=5, spacing_mm=0.2, acquisition="digital")
SMALL = Outline(
    "p1",
    Laterality.LEFT,
    View.CC,
    Distribution.GROUPED,
    ((105.0, 70.0), (105.0, 78.0), (113.0, 78.0), (113.0, 70.0)),
)


@pytest.mark.parametrize("number", range(12))
def test_rendered_groups_are_seen(number):
    (plain,) = simulate_case(PlannedCase(number, Distribution.GROUPED, (View.CC,)), OPTIONS)
    assert seen(plain.truth) >= 5


@pytest.mark.parametrize("number", range(12))
def test_rendered_lesions_in_outlines_are_seen(number):
    (plain,) = simulate_case(PlannedCase(number, Distribution.GROUPED, (View.CC,), (SMALL,)), OPTIONS)
    assert seen(plain.truth) >= 5
