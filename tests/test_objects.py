"""Objects: all candidates on one drawn calcification share a number, those on two never do."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from calcigraph.config import CandidateConfig, Config, paper
from calcigraph.detect import detect_candidates
from calcigraph.detect.objects import label_objects
from calcigraph.detect.working import WorkingImage
from calcigraph.records import Mammogram

SIDE_MM = 16.0
MIDDLE = np.array([8.02, 7.97])
HEIGHT, FAINT, BRIGHT = 0.25, 0.05, 0.2
FINE_MM = 0.01
PITCHES = [0.05, 0.07, 0.085, 0.1, 0.2]
REACH_MM = CandidateConfig().object_reach_mm
PLACES = {
    "flat": lambda row, col: np.zeros_like(row + col),
    "slope": lambda row, col: (row + 0.5 * col - 12) / 5,
    "fibre": lambda row, col: np.exp(-(((row - MIDDLE[0] - 0.2 * (col - MIDDLE[1])) / 0.4) ** 2)),
    "edge of gland": lambda row, col: np.tanh((row - 0.6 * col - 3) / 0.3) / 2,
    "patch of gland": lambda row, col: (np.hypot(row - MIDDLE[0], col - MIDDLE[1]) < 3.0).astype(float),
}
"""What lies under a calcification, some 1 in height, by (row, col) in mm."""


def disc(row, col, *, diameter_mm, at=MIDDLE):
    return np.hypot(row - at[0], col - at[1]) < diameter_mm / 2


def ring(row, col, *, diameter_mm, hole_mm):
    return disc(row, col, diameter_mm=diameter_mm) & ~disc(row, col, diameter_mm=hole_mm)


def draw(shape, place, pitch_mm, *, rise, noise=0.006):
    """Draw a shape on a place of height `rise`, average it over each pixel and add noise."""
    count, fine = round(SIDE_MM / pitch_mm), round(pitch_mm / FINE_MM) or 1
    steps = (np.arange(count * fine) + 0.5) / fine * pitch_mm - pitch_mm / 2
    row, col = steps[:, None], steps[None]
    seen = rise * PLACES[place](row, col) + HEIGHT * shape(row, col)
    seen = gaussian_filter(seen.astype(np.float32), 0.05 * fine / pitch_mm)
    pixels = 0.4 + seen.reshape(count, fine, count, fine).mean(axis=(1, 3))
    pixels += noise * np.random.default_rng(0).normal(size=pixels.shape)
    return Mammogram(pixels.clip(0, 1).astype(np.float32), (pitch_mm, pitch_mm))


def near(image, at, reach_mm):
    """Object numbers of the candidates within `reach_mm` of a place, strongest first."""
    table = detect_candidates(image, Config())[1].table
    distance = np.hypot(*(table[["row_mm", "col_mm"]].to_numpy() - at).T)
    return table["object_id"].to_numpy()[distance <= reach_mm]


@pytest.mark.parametrize("pitch_mm", PITCHES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("diameter_mm", [0.5, 1.0, 1.6])
def test_a_disc_is_one_object(diameter_mm, place, pitch_mm):
    image = draw(lambda row, col: disc(row, col, diameter_mm=diameter_mm), place, pitch_mm, rise=FAINT)
    found = near(image, MIDDLE, diameter_mm / 2)
    assert len(found) >= (1 if diameter_mm == 0.5 else 2), "with a single candidate there is nothing to join"
    assert len(set(found)) == 1


@pytest.mark.parametrize("pitch_mm", PITCHES)
@pytest.mark.parametrize("place", PLACES)
def test_a_hollow_calcification_is_one_object(place, pitch_mm):
    image = draw(lambda row, col: ring(row, col, diameter_mm=1.0, hole_mm=0.4), place, pitch_mm, rise=FAINT)
    found = near(image, MIDDLE, 0.5)
    assert len(found) >= 2 and len(set(found)) == 1


@pytest.mark.parametrize("pitch_mm", PITCHES)
@pytest.mark.parametrize("place", PLACES)
def test_two_neighbours_are_two_objects(place, pitch_mm):
    apart = np.array([0.1, 0.5]) if pitch_mm < 0.2 else np.array([0.2, 0.8])
    ends = MIDDLE - apart / 2, MIDDLE + apart / 2
    image = draw(
        lambda row, col: sum(disc(row, col, diameter_mm=0.25, at=end) for end in ends),
        place,
        pitch_mm,
        rise=BRIGHT,
    )
    one, other = (near(image, end, 0.15) for end in ends)
    assert len(one) and len(other) and not set(one) & set(other)


@pytest.mark.parametrize("bridge", [0.3, 0.9])
def test_a_bridge_joins_only_where_it_is_nearly_as_bright(bridge):
    pixels = np.full((60, 60), 0.4, np.float32)
    pixels[29:32, 20:39] += np.float32(bridge * HEIGHT)
    pixels[28:33, 18:23] = pixels[28:33, 36:41] = 0.4 + HEIGHT
    working = WorkingImage(pixels, (0.07, 0.07), (1.0, 1.0))
    ends = np.array([[30.0, 20.0], [30.0, 38.0]])
    assert len(set(label_objects(working, ends, reach_mm=REACH_MM))) == (2 if bridge == 0.3 else 1)


def test_others_join_what_is_out_of_reach():
    pixels = np.full((60, 90), 0.4, np.float32)
    pixels[25:36, 20:70] += HEIGHT
    working = WorkingImage(pixels, (0.05, 0.05), (1.0, 1.0))
    ends, between = [[30.0, 25.0], [30.0, 65.0]], [30.0, 45.0]
    assert len(set(label_objects(working, np.array(ends), reach_mm=REACH_MM))) == 2
    assert len(set(label_objects(working, np.array([*ends, between]), reach_mm=REACH_MM))) == 1


def test_without_reach_each_candidate_is_its_own_object():
    image = draw(lambda row, col: disc(row, col, diameter_mm=1.0), "flat", 0.085, rise=0.0)
    config = Config(candidates=CandidateConfig(object_reach_mm=0.0))
    alone = detect_candidates(image, config)[1].table
    np.testing.assert_array_equal(alone["object_id"], np.arange(len(alone)))
    joined = detect_candidates(image, Config())[1].table
    assert joined["object_id"].nunique() < len(joined)
    assert joined.drop(columns="object_id").equals(alone.drop(columns="object_id"))
    assert paper().candidates.object_reach_mm == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 3)])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_small_images_and_few_candidates(shape, count):
    pixels = np.random.default_rng(0).random(shape, np.float32)
    places = np.random.default_rng(1).uniform(-0.5, np.array(shape) - 0.5, (count, 2))
    working = WorkingImage(pixels, (0.05, 0.05), (1.0, 1.0))
    assert label_objects(working, places, reach_mm=REACH_MM).shape == (count,)


@pytest.mark.parametrize("columns", [0, 1, 2, 3], ids="{} columns fewer".format)
def test_a_mirrored_image_has_the_same_objects(columns):
    pixels = gaussian_filter(np.random.default_rng(0).random((160, 160 - columns), np.float32), 1.2)
    places = np.random.default_rng(1).uniform(4, 150, (60, 2))
    mirrored = np.stack([places[:, 0], pixels.shape[1] - 1 - places[:, 1]], axis=1)
    one, two = (
        label_objects(WorkingImage(image, (0.085, 0.085), (1.0, 1.0)), at, reach_mm=REACH_MM)
        for image, at in ((pixels, places), (np.ascontiguousarray(pixels[:, ::-1]), mirrored))
    )
    assert 1 < len(set(one)) < 60
    np.testing.assert_array_equal(one, two)
