"""Rendering: what the truth says lies where it says, inside the breast, in both breasts and both views."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from calcigraph.errors import BadConfig
from calcigraph.io.truth import Kind
from calcigraph.lexicon import DISTRIBUTIONS, Laterality, View
from calcigraph.simulate import CohortOptions, PlannedCase, plan_balanced, plan_twin, simulate_case
from calcigraph.simulate.acquire import Acquisition, draw_acquisition
from calcigraph.simulate.anatomy import grow_breast
from calcigraph.simulate.calcification import Calcification
from calcigraph.simulate.patterns import place_lesion
from calcigraph.simulate.plan import TWIN_IMAGES
from calcigraph.simulate.projection import project_breast
from calcigraph.simulate.render import SIMULATED_COLUMNS, expose_view, finish_view, lesion_outline
from calcigraph.simulate.tissue import outline_mask

QUIET = Acquisition(
    film=False,
    spacing_mm=0.2,
    blur_mm=0.06,
    photons_per_mm2=1e9,
    noise_blur_mm=0.0,
    equalise=0.8,
    sharpen=0.0,
    gamma=1.0,
    specks_per_cm2=0.0,
    levels=65536,
)
SIDES = tuple(Laterality)
VIEWS = (View.CC, View.MLO)


def round_one(centre_mm, *, diameter_mm=0.4, attenuation_per_mm=4.0, kind=Kind.LESION):
    radius = np.array([diameter_mm / 2])
    return Calcification(np.asarray(centre_mm, float), np.zeros((1, 3)), radius, attenuation_per_mm, kind)


def render(breast, calcifications, *, view=View.CC, laterality=Laterality.LEFT, machine=QUIET, seed=0):
    rng = np.random.default_rng(seed)
    exposure = expose_view(breast, view=view, machine=machine, rng=rng)
    return finish_view(exposure, calcifications, laterality=laterality)


def mask_of(breast, view, laterality, *, machine=QUIET, seed=0):
    """The breast on the grid of `render`: choosing the detector's area is the first thing that is random."""
    mask = outline_mask(project_breast(breast, view, np.random.default_rng(seed)), machine.spacing_mm)
    return mask[:, ::-1] if laterality is Laterality.RIGHT else mask


@pytest.mark.parametrize("laterality", SIDES)
@pytest.mark.parametrize("view", VIEWS)
def test_a_strong_calcification_is_bright_where_the_truth_says(view, laterality):
    breast = grow_breast(np.random.default_rng(3))
    deep, aside = np.linspace(0.2, 0.75, 8) * breast.depth_mm, np.tile([-20.3, 15.8], 4)
    centres = np.column_stack([deep, aside, np.linspace(-5, 5, 8)])
    shown = render(breast, [round_one(c) for c in centres], view=view, laterality=laterality)
    assert len(shown.truth) == 8 and (shown.truth["snr"] > 10).all()
    plain = render(breast, [], view=view, laterality=laterality)
    above = shown.pixels - ndimage.gaussian_filter(shown.pixels, 5)
    for row, col in shown.truth[["row_px", "col_px"]].to_numpy():
        top, left = round(row) - 4, round(col) - 4
        window = (slice(top, top + 9), slice(left, left + 9))
        corner = np.array([top, left])
        peak = corner + np.unravel_index(above[window].argmax(), (9, 9))
        assert np.hypot(*(peak - [row, col])) <= 1
        added = np.clip(shown.pixels[window] - plain.pixels[window], 0.02, None) - 0.02
        centre = corner + ndimage.center_of_mass(added)
        np.testing.assert_allclose(centre, [row, col], atol=0.25)


@pytest.mark.parametrize("laterality", SIDES)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_truth_lies_inside_the_breast(name, view, laterality):
    rng = np.random.default_rng(DISTRIBUTIONS.index(name))
    breast = grow_breast(rng)
    machine = replace(QUIET, spacing_mm=0.25)
    placed = place_lesion(breast, name, rng)
    shown = render(breast, placed, view=view, laterality=laterality, machine=machine)
    mask = mask_of(breast, view, laterality, machine=machine)
    assert shown.pixels.shape == mask.shape
    assert tuple(shown.truth.columns) == SIMULATED_COLUMNS and len(shown.truth) == len(placed)
    row, col = np.rint(shown.truth[["row_px", "col_px"]].to_numpy()).astype(int).T
    assert mask[row, col].all()


def test_the_right_breast_is_the_mirror_image_of_the_left():
    breast = grow_breast(np.random.default_rng(5))
    spots = [round_one(c) for c in breast.random_points(4, np.random.default_rng(6))]
    left, right = (render(breast, spots, laterality=side) for side in SIDES)
    width = left.pixels.shape[1]
    np.testing.assert_allclose(right.truth["col_px"], width - 1 - left.truth["col_px"])
    np.testing.assert_allclose(right.truth["row_px"], left.truth["row_px"])
    mask = mask_of(breast, View.CC, Laterality.LEFT)  # without the letters in the air
    np.testing.assert_array_equal(left.pixels[mask], right.pixels[:, ::-1][mask])
    assert mask[:, 0].any() and not mask[:, -1].any(), "the chest wall of a left breast is at the left"
    assert left.pixels[0, :].max() == 0 and left.pixels.max() == 1, "air is dark, the letters are white"


def test_pixels_are_displayable():
    for shown in simulate_case(plan_balanced(1)[0], CohortOptions(spacing_mm=0.25)):
        assert shown.pixels.dtype == np.float32 and shown.pixels.min() >= 0 and shown.pixels.max() <= 1
        inside = shown.pixels[shown.pixels > 0.02]
        assert 0.15 < np.median(inside) < 0.8 and inside.std() > 0.05


def test_both_views_show_the_same_calcifications():
    cc, mlo = simulate_case(plan_balanced(1)[2], CohortOptions(seed=1, spacing_mm=0.25))
    assert (cc.view, mlo.view) == VIEWS and cc.laterality == mlo.laterality
    assert cc.truth["diameter_mm"].tolist() == mlo.truth["diameter_mm"].tolist()
    # Depth is the column in both.
    np.testing.assert_allclose(cc.truth["col_px"], mlo.truth["col_px"])


def test_a_stronger_or_larger_one_is_seen_better():
    breast = grow_breast(np.random.default_rng(3))
    place = [breast.depth_mm / 2, 0.0, 0.0]
    sizes = [(0.1, 0.5), (0.2, 0.5), (0.2, 1.0), (0.5, 1.0)]
    coarse = replace(QUIET, spacing_mm=0.25)
    snr = [
        render(breast, [round_one(place, diameter_mm=d, attenuation_per_mm=a)], machine=coarse).truth["snr"][
            0
        ]
        for d, a in sizes
    ]
    assert snr == sorted(snr) and snr[0] > 0
    assert snr[2] == pytest.approx(2 * snr[1], rel=1e-3)


def test_outline_holds_the_lesion_and_nothing_else():
    breast = grow_breast(np.random.default_rng(3))
    lesion = [round_one([30, 5 * k, 3 * (k % 2)]) for k in range(-2, 3)]
    shown = render(breast, [*lesion, round_one([20, -25, 0], kind=Kind.COARSE)])
    assert len(shown.truth) == 6
    points = shown.truth[shown.truth["kind"] == "lesion"][["row_px", "col_px"]].to_numpy()
    low, high = shown.outline_px.min(axis=0), shown.outline_px.max(axis=0)
    np.testing.assert_allclose(low, points.min(axis=0) - 1 / 0.2, atol=0.2)
    np.testing.assert_allclose(high, points.max(axis=0) + 1 / 0.2, atol=0.2)
    assert lesion_outline(render(breast, []).truth, 0.2).shape == (0, 2)


def test_twin_is_the_cohort_of_the_paper():
    plan = plan_twin()
    assert len(plan) == 292 == len({case.patient_id for case in plan})
    assert sum(len(case.views) for case in plan) == 581
    counts = [sum(len(c.views) for c in plan if c.distribution is name) for name in DISTRIBUTIONS]
    assert counts == [67, 115, 337, 8, 54] == list(TWIN_IMAGES.values())
    assert len({case.image_id(view) for case in plan for view in case.views}) == 581


def test_balanced_plan():
    plan = plan_balanced(3, 2)
    assert len(plan) == 17 and all(case.views == VIEWS for case in plan)
    labels = [case.distribution for case in plan]
    assert all(labels.count(name) == 3 for name in DISTRIBUTIONS) and labels.count(None) == 2
    for name in DISTRIBUTIONS:
        assert {case.laterality for case in plan if case.distribution is name} == set(SIDES)
    assert plan_balanced(0, 0) == ()


def test_machines():
    drawn = [draw_acquisition(np.random.default_rng(seed)) for seed in range(200)]
    films = [machine for machine in drawn if machine.film]
    assert 25 < len(films) < 75 and {m.spacing_mm for m in films} == {0.05, 0.1, 0.2}
    assert {m.spacing_mm for m in drawn if not m.film} == {0.05, 0.065, 0.07, 0.083, 0.085, 0.094, 0.1}
    assert draw_acquisition(np.random.default_rng(0), spacing_mm=0.2).spacing_mm == 0.2
    for film in (True, False):
        kind = "film" if film else "digital"
        assert all(
            draw_acquisition(np.random.default_rng(k), acquisition=kind).film is film for k in range(20)
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"file_format": "bmp"},
        {"acquisition": "tape"},
        {"spacing_mm": 0.01},
        {"spacing_mm": 1.0},
        {"seed": -1},
    ],
)
def test_wrong_options_are_one_line(wrong):
    with pytest.raises(BadConfig, match="allowed") as caught:
        CohortOptions(**wrong)
    assert "\n" not in str(caught.value)


def test_a_case_follows_from_its_seed_and_number():
    case, options = PlannedCase(9, DISTRIBUTIONS[2], (View.CC,)), CohortOptions(seed=2, spacing_mm=0.25)
    one, two = simulate_case(case, options)[0], simulate_case(case, options)[0]
    np.testing.assert_array_equal(one.pixels, two.pixels)
    assert one.truth.equals(two.truth)
    for other in (
        simulate_case(case, replace(options, seed=3))[0],
        simulate_case(replace(case, number=10), options)[0],
    ):
        assert other.pixels.shape != one.pixels.shape or not np.array_equal(other.pixels, one.pixels)
