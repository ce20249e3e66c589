"""Whether an image is like the training images: what it is judged by, the ranges, and the warning."""

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest

import hand_made
from calcigraph.config import default
from calcigraph.detect import detect_candidates
from calcigraph.detect.look import look_at
from calcigraph.encode import encode
from calcigraph.familiar import (
    FEWEST_CANDIDATES,
    FEWEST_IMAGES,
    STATISTICS,
    ranges_of,
    statistics,
    unlike,
)
from calcigraph.io import read_dataset
from calcigraph.pipeline import Pipeline
from calcigraph.records import Look, Mammogram
from test_encode import networks_of


def seen(values, name="texture"):
    return [dict.fromkeys(STATISTICS, 1.0) | {name: value} for value in values]


def test_a_range_is_that_of_the_images_and_a_margin():
    low, high = ranges_of(seen(np.linspace(100, 200, 1001)))["texture"]
    assert low == pytest.approx(100.5 - 0.4 * 49.5) and high == pytest.approx(199.5 + 0.4 * 49.5)


def test_no_range_falls_below_nothing():
    assert ranges_of(seen(np.linspace(0, 8, 50)))["texture"][0] == 0.0


def test_one_odd_training_image_of_many_does_not_decide():
    usual = np.linspace(100, 200, 1000)
    assert ranges_of(seen([*usual, 1e6, 0.0]))["texture"][1] < 300


@pytest.mark.parametrize("missing", [math.nan, math.inf])
def test_what_too_few_images_have_gets_no_range(missing):
    few = [5.0] * (FEWEST_IMAGES - 1) + [missing] * 40
    assert set(ranges_of(seen(few))) == set(STATISTICS) - {"texture"}
    assert "texture" in ranges_of(seen([*few, 5.0]))
    assert ranges_of([]) == {} == ranges_of(seen([5.0] * (FEWEST_IMAGES - 1)))


def test_what_lies_outside_is_named_with_its_range():
    found = dict.fromkeys(STATISTICS, 1.0) | {"texture": 214.2}
    assert unlike(found, {"texture": (8, 70)}) == "texture 214 (familiar: 8 to 70)"
    assert unlike(found, {"texture": (8, 214.2), "cm across the breast": (1.0, 1.0)}) == ""
    assert unlike(found | {"texture": math.nan}, {"texture": (8, 70)}) == ""
    assert unlike(found, {}) == ""
    assert unlike(found, {"texture": (8, 213.96)}) == "texture 214.2 (familiar: 8 to 214)"
    both = unlike(found, {"texture": (8, 70), "cm across the breast": (20, 400)})
    assert both == "texture 214 (familiar: 8 to 70), cm across the breast 1 (familiar: 20 to 400)"


@pytest.mark.parametrize("at_most", [0, 1, 2, FEWEST_CANDIDATES])
def test_few_candidates_are_not_judged_by_how_they_are(at_most):
    config = default()
    config = replace(config, candidates=replace(config.candidates, at_most=at_most))
    found = statistics(encode(hand_made.mammogram(spacing_mm=0.1), config, networks_of(config)))
    assert tuple(found) == STATISTICS
    unknown = {name for name, value in found.items() if math.isnan(value)}
    of_candidates = {name for name in STATISTICS if name.endswith("candidates")}
    assert len(of_candidates) == 3 and of_candidates & unknown == (
        of_candidates if at_most < FEWEST_CANDIDATES else set()
    )


def test_a_crop_is_not_judged_by_its_area():
    config = default()
    crop = Mammogram(np.random.default_rng(0).random((200, 260), dtype=np.float32), (0.085, 0.085))
    assert math.isnan(statistics(encode(crop, config, networks_of(config)))["cm across the breast"])


def look(pixels, noise=0.1):
    pixels = pixels.astype(np.float32)
    return look_at(pixels, np.full_like(pixels, noise), np.ones(pixels.shape, bool))


def test_the_look_of_noise_of_a_slope_and_of_steps():
    rng = np.random.default_rng(0)
    noise = look(rng.random((400, 300)))
    assert noise.texture == pytest.approx(1, abs=0.05)
    assert noise.flat < 0.001 and noise.noise == pytest.approx(0.1 / 0.9, rel=0.05)
    slope = look(np.tile(np.arange(300) / 300, (400, 1)))
    assert slope.texture == pytest.approx(0.25, rel=0.01)
    steps = look(np.tile(np.arange(300) // 10 / 30, (400, 1)))
    assert steps.flat == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (40, 40)])
def test_too_little_tissue_says_nothing(shape):
    assert all(math.isnan(value) for value in dataclasses.astuple(look(np.random.random(shape))))
    assert look_at(*np.zeros((2, 300, 300), np.float32), np.zeros((300, 300), bool)) != look(np.eye(300))


def test_a_single_grey_value_has_no_texture():
    flat = look(np.full((300, 300), 0.4))
    assert flat.flat == 1.0 and all(math.isnan(value) for value in (flat.noise, flat.texture))


@pytest.fixture(scope="module")
def model(trained):
    return Pipeline.from_pretrained(trained("default")[0] / "model")


def said(model, image):
    return [warning for warning in model.predict(image).warnings if "unlike the training images" in warning]


def test_training_images_are_familiar_and_noise_is_not(model, tiny_cohort):
    data = read_dataset(tiny_cohort)
    assert set(model.ranges) == set(STATISTICS)
    image = data.read(data.cases[0])
    assert said(model, image) == []
    noise = np.random.default_rng(0).random(image.shape, dtype=np.float32)
    (warning,) = said(model, replace(image, pixels=noise))
    assert warning.startswith("detector: unlike the training images: ") and "texture" in warning
    assert "\n" not in warning


def test_training_and_prediction_go_one_road(model, tiny_cohort):
    """The statistics of a training image are those of predicting it, but for patches kept with half precision."""
    data = read_dataset(tiny_cohort)
    found = [statistics(encode(data.read(case), model.config, model.networks)) for case in data.cases]
    assert ranges_of(found) == {name: pytest.approx(at, rel=0.05) for name, at in model.ranges.items()}


def test_a_model_without_ranges_does_not_warn(model):
    noise = Mammogram(np.random.default_rng(0).random((300, 300), dtype=np.float32), (0.1, 0.1))
    assert said(replace(model, ranges={}), noise) == []


@pytest.mark.parametrize("grey", [0.0, 0.4])
def test_an_empty_image_is_unlike_and_does_no_harm(model, grey):
    blank = Mammogram(np.full((300, 300), grey, np.float32), (0.1, 0.1))
    assert len(said(model, blank)) == 1
    assert detect_candidates(blank, model.config)[0].look.flat == 1.0
    assert Look() != detect_candidates(blank, model.config)[0].look
