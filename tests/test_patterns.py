"""The five distributions keep their BI-RADS definitions, in breasts of every size."""

import itertools
from functools import cache

import numpy as np
import pytest
from scipy.spatial import ConvexHull, cKDTree
from scipy.spatial.distance import pdist

from calcigraph.io.truth import Kind
from calcigraph.lexicon import DISTRIBUTIONS, Distribution, View
from calcigraph.simulate.anatomy import grow_breast
from calcigraph.simulate.calcification import draw_diameters, make_vascular
from calcigraph.simulate.extent import OUTLINE_MARGIN_MM, OUTLINES, rectangle
from calcigraph.simulate.look_alikes import place_look_alikes
from calcigraph.simulate.patterns import place_lesion
from calcigraph.simulate.projection import project_breast

SEEDS = range(20)


@cache
def lesion(name, seed):
    """A breast and the (n, 3) centres of the lesion in it, mm."""
    rng = np.random.default_rng([seed, 5])
    breast = grow_breast(rng)
    return breast, np.array([c.centre_mm for c in place_lesion(breast, Distribution(name), rng)])


def extent(points):
    return float(pdist(points).max())


def off_path(points, ducts):
    """Distance of each point from the nearest of these ducts, mm."""
    fine = [np.linspace(a, b, 8) for duct in ducts for a, b in itertools.pairwise(duct)]
    fine += list(ducts)
    return cKDTree(np.concatenate(fine)).query(points)[0]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_at_least_five_inside_the_breast(name):
    for seed in SEEDS:
        breast, points = lesion(name, seed)
        assert len(points) >= 5
        axes = [breast.depth_mm, breast.half_width_mm, breast.half_height_mm]
        assert (np.sum((points / axes) ** 2, axis=1) < 1).all() and (points[:, 0] > 0).all()


def test_most_groups_are_small():
    sizes = [extent(lesion("grouped", seed)[1]) for seed in range(60)]
    assert np.median(sizes) < 20 and max(sizes) < 65


@pytest.mark.parametrize("name", list(OUTLINES))
def test_extents_are_those_of_outlines(name):
    sides = []
    for seed in range(80):
        breast, points = lesion(name, seed)
        for view in (View.CC, View.MLO):
            shown = rectangle(project_breast(breast, view, np.random.default_rng(0)).project(points))
            sides.append((shown.long_mm + 2 * OUTLINE_MARGIN_MM, shown.short_mm + 2 * OUTLINE_MARGIN_MM))
    long_mm, short_mm = np.median(sides, axis=0)
    assert long_mm == pytest.approx(OUTLINES[name].long_mm[2], rel=0.25)
    assert short_mm == pytest.approx(OUTLINES[name].short_mm[2], rel=0.25)


def test_a_region_is_larger_than_two_centimetres():
    assert all(extent(lesion("regional", seed)[1]) > 20 for seed in SEEDS)


def test_diffuse_is_a_large_part_of_the_breast():
    for seed in SEEDS:
        breast, points = lesion("diffuse", seed)
        view = project_breast(breast, View.CC, np.random.default_rng(0))
        row, col = view.outline_mm().T
        area = abs(row @ np.roll(col, -1) - col @ np.roll(row, -1)) / 2
        assert ConvexHull(view.project(points)).volume > 0.15 * area
        assert np.ptp(points[:, 0]) > 0.4 * breast.depth_mm
        assert np.ptp(points[:, 1]) > 0.35 * 2 * breast.half_width_mm


def typical_distance(name, choices):
    """Median over breasts of the calcifications' median distance from the nearest of the best of some sets of ducts."""
    found = []
    for seed in SEEDS:
        breast, points = lesion(name, seed)
        found.append(min(np.median(off_path(points, ducts)) for ducts in choices(breast)))
    return np.median(found)


def test_a_line_follows_one_duct():
    assert typical_distance("linear", lambda breast: [[d] for lobe in breast.lobes for d in lobe]) < 5


def test_a_segment_lies_in_one_lobe():
    assert typical_distance("segmental", lambda breast: breast.lobes) < 8


def test_a_segment_points_to_the_nipple():
    def aim(name):
        cosines = []
        for seed in SEEDS:
            breast, points = lesion(name, seed)
            centre = points.mean(axis=0)
            axis = np.linalg.svd(points - centre)[2][0]
            from_nipple = centre - [0.9 * breast.depth_mm, 0, 0]
            cosines.append(abs(axis @ from_nipple) / np.linalg.norm(from_nipple))
        return np.mean(cosines)

    assert aim("segmental") > aim("regional") + 0.15


def test_every_breast_has_ducts():
    for seed in SEEDS:
        breast = lesion("grouped", seed)[0]
        assert 8 <= len(breast.lobes) <= 14
        longest = max(len(duct) for lobe in breast.lobes for duct in lobe)
        assert longest > 0.3 * breast.depth_mm, f"seed {seed}: {breast.depth_mm:.0f} mm deep"


@pytest.mark.parametrize(("name", "least_mm"), [("linear", 7), ("segmental", 15)])
def test_lines_and_segments_are_longer_than_a_group_can_be_narrow(name, least_mm):
    short = [seed for seed in SEEDS if extent(lesion(name, seed)[1]) < least_mm]
    assert len(short) <= 2, f"shorter than {least_mm} mm: seeds {short}"


def test_a_line_is_narrow():
    share = []
    for seed in SEEDS:
        points = lesion("linear", seed)[1]
        spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
        share.append(spread[1] / spread[0])
    assert np.median(share) < 0.45


def test_look_alikes_are_of_other_kinds():
    kinds, diameters = [], []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        found = place_look_alikes(grow_breast(rng), rng)
        kinds += [c.kind for c in found]
        diameters += [c.diameter_mm for c in found if c.kind is Kind.COARSE]
    assert set(kinds) == {Kind.SCATTERED, Kind.COARSE, Kind.VASCULAR}
    assert min(diameters) >= 1.2 and max(diameters) <= 3


def test_calcifications_measure_a_tenth_to_one_and_a_half_millimetres():
    rng = np.random.default_rng(0)
    drawn = draw_diameters(5000, median_mm=0.3, rng=rng)
    assert drawn.min() >= 0.1 and drawn.max() <= 1.4
    assert np.median(drawn) == pytest.approx(0.3, rel=0.05)
    assert draw_diameters(0, median_mm=0.3, rng=rng).shape == (0,)


@pytest.mark.parametrize("points", [0, 2])
def test_a_vessel_too_short_to_see_is_none(points):
    assert make_vascular(np.zeros((points, 3)), np.random.default_rng(0)) == []
