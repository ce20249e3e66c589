"""Shadows hold the mass of what casts them, whichever way the beam goes."""

from dataclasses import replace

import numpy as np
import pytest

from calcigraph.io.truth import Kind
from calcigraph.lexicon import View
from calcigraph.simulate.calcification import DENSEST_PER_MM, Calcification
from calcigraph.simulate.patterns import make_lesion
from calcigraph.simulate.projection import Projection
from calcigraph.simulate.shadow import cast_shadow
from test_simulate import QUIET

FINE = replace(QUIET, spacing_mm=0.02, blur_mm=0.01)
CENTRE = np.array([10.0, 0.0, 0.0])


def shadow_of(offsets_mm, radii_mm, *, view=View.CC, hollow=0.0):
    one = Calcification(CENTRE, np.array(offsets_mm, float), np.array(radii_mm), 1.5, Kind.LESION, hollow)
    projection = Projection(view, 10.0, 20.0, 0.0, 2.0, (24.0, 24.0))
    shadow, _ = cast_shadow(one, projection, FINE, (1200, 1200))
    return shadow


def volume_of(shadow):
    return float(shadow.sum()) * FINE.spacing_mm**2 / 1.5


def ball(radius):
    return 4 / 3 * np.pi * radius**3


@pytest.mark.parametrize("view", [View.CC, View.MLO])
@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (0, -1, 1)])
def test_a_rod_weighs_the_same_from_every_side(view, direction):
    way = np.array(direction) / np.linalg.norm(direction)
    chain = np.linspace(-0.3, 0.3, 25)[:, None] * way
    rod = volume_of(shadow_of(chain, np.full(25, 0.1), view=view))
    assert rod == pytest.approx(np.pi * 0.1**2 * 0.6 + ball(0.1), rel=0.03)


def test_a_rod_end_on_is_as_deep_as_it_is_long():
    end_on = shadow_of(np.linspace(-0.3, 0.3, 25)[:, None] * [0, 0, 1], np.full(25, 0.1))
    assert end_on.max() / 1.5 == pytest.approx(0.8, rel=0.02)
    across = shadow_of(np.linspace(-0.3, 0.3, 25)[:, None] * [1, 0, 0], np.full(25, 0.1))
    assert across.max() / 1.5 == pytest.approx(0.2, rel=0.05)


def test_spheres_apart_add_up_and_shared_parts_count_once():
    alone = volume_of(shadow_of([[0, 0, 0]], [0.2]))
    assert alone == pytest.approx(ball(0.2), rel=0.01)
    behind = volume_of(shadow_of([[0, 0, 0.5], [0, 0, -0.5], [0, 0, 0]], [0.2, 0.2, 0.2]))
    assert behind == pytest.approx(3 * alone, rel=0.01)
    within = volume_of(shadow_of([[0, 0, 0], [0, 0, 0.05], [0.03, 0, 0]], [0.2, 0.1, 0.05]))
    assert within == pytest.approx(alone, rel=0.01)


def test_a_lucent_core_weighs_nothing():
    shell = volume_of(shadow_of([[0, 0, 0]], [0.2], hollow=0.5))
    assert shell == pytest.approx(ball(0.2) - ball(0.1), rel=0.01)


def test_no_calcification_is_denser_than_apatite():
    drawn = [make_lesion(np.zeros((20, 3)), np.random.default_rng(seed)) for seed in range(50)]
    density = np.array([one.attenuation_per_mm for lesion in drawn for one in lesion])
    assert density.max() == DENSEST_PER_MM and density.min() >= 0.35
