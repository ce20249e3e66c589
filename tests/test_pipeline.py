"""The whole road with untrained networks: the shape of the answer, few calcifications, and odd images."""

import math
import re
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch

from calcigraph.config import default, paper
from calcigraph.encode import encode
from calcigraph.errors import BadConfig, UnreadableImage
from calcigraph.evidence import CHANCE, Evidence
from calcigraph.io import read_dataset
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.models import build_networks
from calcigraph.pipeline import CLOSE_CALL, Pipeline
from calcigraph.prevalence import PREVALENCE, expect, shares_of
from calcigraph.records import CALCIFICATION_COLUMNS, CANDIDATE_COLUMNS, Mammogram

CONFIGS = {"default": default(), "paper": paper()}


def pipeline(name="default", *, threshold=0.0, at_most=120, seed=0, temperature=1.0, prevalence="equal"):
    config = CONFIGS[name]
    config = replace(
        config,
        prevalence=prevalence,
        prevalence_weight=1.0,
        confirm=replace(config.confirm, threshold=threshold),
        candidates=replace(config.candidates, at_most=at_most),
    )
    torch.manual_seed(seed)
    networks = build_networks(config)
    for network in (networks.confirm, networks.describe, networks.distribution):
        network.eval()
    return Pipeline(config, networks, temperature, name)


@pytest.fixture(scope="module")
def image(tiny_cohort):
    data = read_dataset(tiny_cohort)
    return data.read(data.cases[0])


@pytest.mark.parametrize("name", CONFIGS)
def test_a_prediction(image, name):
    prediction = pipeline(name).predict(image)
    table = prediction.calcifications
    assert prediction.image_id == image.image_id
    assert tuple(table.columns) == CALCIFICATION_COLUMNS
    assert tuple(prediction.candidates.columns) == CANDIDATE_COLUMNS
    assert 5 <= len(table) <= len(prediction.candidates) <= 120
    assert table["saliency"].between(0, 1).all() and table["saliency"].max() in (0.0, 1.0)
    assert prediction.candidates["probability"].between(0, 1).all()
    assert np.isfinite(table.to_numpy(float)).all()
    assert tuple(prediction.probabilities) == DISTRIBUTIONS
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert prediction.distribution == max(prediction.probabilities, key=prediction.probabilities.get)
    rows, cols = image.shape
    assert table["row_px"].between(-0.5, rows - 0.5).all() and table["col_px"].between(-0.5, cols - 0.5).all()
    assert prediction.edge_index.dtype == np.int64 and prediction.edge_index.max() < len(table)
    assert set(prediction.seconds) == {"detect", "confirm", "describe", "graph", "classify", "explain"}
    assert not any("coarser" in said for said in prediction.warnings)


def test_pixels_coarser_than_the_simulator_shows_are_said(image):
    prediction = pipeline().predict(replace(image, spacing_mm=(0.3, 0.3)))
    assert any("coarser than any it was trained on" in said for said in prediction.warnings)


@pytest.mark.parametrize("name", CONFIGS)
def test_same_input_same_output(image, name):
    one, two = pipeline(name).predict(image), pipeline(name).predict(image)
    assert one.probabilities == two.probabilities and one.distribution is two.distribution
    assert one.calcifications.equals(two.calcifications) and one.candidates.equals(two.candidates)
    assert np.array_equal(one.edge_index, two.edge_index) and one.warnings == two.warnings


def test_the_image_is_left_as_it_was(image):
    before = image.pixels.copy()
    pipeline().predict(image)
    assert np.array_equal(image.pixels, before)


def test_temperature_changes_confidence_and_not_the_answer(image):
    cold, hot = pipeline(temperature=0.5).predict(image), pipeline(temperature=5.0).predict(image)
    assert cold.distribution is hot.distribution
    assert max(cold.probabilities.values()) > max(hot.probabilities.values())
    of_all = [one.calcifications.drop(columns="saliency") for one in (cold, hot)]
    assert of_all[0].equals(of_all[1])


def test_a_close_call_is_said(image):
    for temperature in (0.05, 1e6):  # as good as certain, and all but equal
        prediction = pipeline(temperature=temperature).predict(image)
        first, second = sorted(prediction.probabilities.values(), reverse=True)[:2]
        said = any("a close call between" in warning for warning in prediction.warnings)
        assert said == (first - second < CLOSE_CALL) == (temperature > 1)


def biased(bias):
    """A road whose network takes everything (20) or half of it (0) for the lesion's."""
    road = pipeline()
    with torch.no_grad():
        road.networks.distribution.readout.member[-1].bias.fill_(bias)
    return road


def test_what_is_said_where_chance_would_have_them_so(image):
    with patch("calcigraph.evidence.expected_by_chance", return_value=CHANCE):
        prediction = pipeline().predict(image)
    assert len(prediction.calcifications) >= 5 and prediction.distribution is None
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert (prediction.calcifications["saliency"] == 0).all()
    assert prediction.warnings[-1] == (
        f"distribution: too little evidence of a lesion: {len(prediction.calcifications)} calcifications found, "
        "no closer together than by chance"
    )
    assert pipeline().logits(image).shape == (5,) and pipeline(threshold=1.0).logits(image) is None
    with patch("calcigraph.evidence.expected_by_chance", return_value=CHANCE * 0.99):
        together = biased(20.0).predict(image)
    assert together.distribution is not None
    assert not any("lesion" in warning for warning in together.warnings)


def test_what_names_by_no_shape_has_all_the_evidence(image):
    prediction = pipeline("paper").predict(image)
    assert prediction.distribution is not None
    assert not any("evidence" in warning for warning in prediction.warnings)


def test_thin_evidence_is_said(image):
    with patch("calcigraph.pipeline.Evidence.of", return_value=Evidence(9, 0.0, 4.97, 5)):
        prediction = pipeline().predict(image)
    assert prediction.distribution is not None
    assert prediction.warnings[-1] == (
        "distribution: thin evidence: 9 calcifications found, of which the network takes 4.9 for a lesion's"
    )


def test_evidence_is_weighed_without_dropout(image):
    road = biased(0.0)
    graph = encode(image, road.config, road.networks).graph
    road.networks.distribution.train()
    weights = [Evidence.of(road.networks.distribution, graph, needed=5).weight for _ in range(3)]
    assert len(set(weights)) == 1 and road.networks.distribution.training


def test_black_tissue_is_said(image):
    darkest = np.quantile(image.pixels[image.pixels > 0.02], 0.4)
    pixels = np.maximum(image.pixels - np.float32(darkest), 0)
    said = pipeline().predict(replace(image, pixels=pixels)).warnings
    assert any(
        re.fullmatch(r"breast: [1-9]\d % of the breast is black and was not searched", one) for one in said
    ), said
    assert not any("black" in one for one in pipeline().predict(image).warnings)


@pytest.mark.parametrize("given", ["a.png", None, np.zeros((64, 64), np.float32)])
def test_what_is_no_mammogram_is_refused_in_one_line(given):
    with pytest.raises(UnreadableImage, match="allowed: a Mammogram"):
        pipeline().predict(given)


def test_a_negative_is_said(image):
    said = pipeline().predict(replace(image, pixels=1 - image.pixels)).warnings
    assert said[0] == (
        "breast: what is around the breast is bright, as on a negative; dense tissue must be bright: invert the image"
    )
    assert not any("negative" in one for one in pipeline().predict(image).warnings)


def test_half_way_is_the_root_of_the_shares():
    given, shares = np.array([[0.1, 0.3, 0.2, 0.2, 0.2]]), shares_of("cbis-ddsm")
    rooted = given * np.sqrt(shares)
    np.testing.assert_allclose(expect(given, shares, 0.5), rooted / rooted.sum())


def test_a_model_that_has_learnt_how_frequent_they_are_is_not_moved(image):
    given = pipeline(prevalence="cbis-ddsm")
    training = replace(given.config.graph_training, balance_classes=False)
    learnt = replace(given, config=replace(given.config, graph_training=training))
    assert (given.prevalence_weight, learnt.prevalence_weight) == (1.0, 0.0)
    assert learnt.expected.tolist() == pytest.approx([0.2] * 5)
    assert given.expected.tolist() == pytest.approx(list(PREVALENCE["cbis-ddsm"].values()))
    assert learnt.predict(image).probabilities == pytest.approx(pipeline().predict(image).probabilities)


def test_probabilities_follow_the_prevalence(image):
    equal = pipeline().predict(image).probabilities
    met = pipeline(prevalence="cbis-ddsm").predict(image).probabilities
    for one in DISTRIBUTIONS:
        ratio = (met[one] / met["grouped"]) / (equal[one] / equal["grouped"])
        assert ratio == pytest.approx(PREVALENCE["cbis-ddsm"][one] / PREVALENCE["cbis-ddsm"]["grouped"])


@pytest.mark.parametrize("device", ["foo", "cuda:99"])
def test_a_device_that_is_not_here_is_one_line(device):
    with pytest.raises(BadConfig, match=f"device '{device}'.*allowed: cpu"):
        Pipeline.from_pretrained(device=device)


def test_who_has_learnt_how_frequent_they_are_expects_nothing_else(image):
    equal = pipeline(prevalence="equal")
    learnt = replace(equal.config.graph_training, balance_classes=False)
    model = replace(equal, config=replace(equal.config, graph_training=learnt))
    with pytest.raises(BadConfig, match="has learnt how frequent the distributions are; allowed") as caught:
        model.expecting("cbis-ddsm")
    assert "\n" not in str(caught.value)
    stated = replace(model, config=replace(model.config, prevalence="cbis-ddsm", prevalence_weight=1.0))
    assert stated.predict(image).probabilities == pytest.approx(equal.predict(image).probabilities)


def test_a_pipeline_can_expect_another_population(image):
    equal = pipeline()
    met = equal.expecting("cbis-ddsm")
    assert met.predict(image).probabilities == pipeline(prevalence="cbis-ddsm").predict(image).probabilities
    assert met.expecting("3,3,3,3,3").predict(image).probabilities == pytest.approx(
        equal.predict(image).probabilities
    )


@pytest.mark.parametrize(
    "wrong",
    ["", "ddsm", "1,2,3,4", "1,2,3,4,0", "1,2,3,4,-5", "1,2,3,4,nan", "1,2,3,4,inf"],
)
def test_a_prevalence_that_is_none_is_refused(wrong):
    with pytest.raises(BadConfig, match="equal, cbis-ddsm, or five numbers above 0") as caught:
        pipeline().expecting(wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("found", [0, 1, 4, 5])
def test_below_five_there_is_no_distribution(image, name, found):
    at_most = found or 120
    with patch("calcigraph.evidence.expected_by_chance", return_value=0.0):
        prediction = pipeline(name, threshold=0.0 if found else 1.0, at_most=at_most).predict(image)
    few = [said for said in prediction.warnings if "needed to name one" in said]
    count = len(prediction.calcifications)
    assert count <= found
    if count >= 5:
        assert prediction.distribution is not None and not few
        return
    assert prediction.distribution is None
    things = "calcification" if count == 1 else "calcifications"
    assert few == [f"distribution: {count} {things} found, 5 needed to name one"]
    total = sum(prediction.probabilities.values())
    assert total == pytest.approx(1) if count else math.isnan(total)
    assert tuple(prediction.calcifications.columns) == CALCIFICATION_COLUMNS
    assert (prediction.calcifications["saliency"] == 0).all()
    assert prediction.edge_index.shape[0] == 2 and prediction.edge_index.dtype == np.int64


def odd():
    rng = np.random.default_rng(0)
    yield "black", np.zeros((300, 200), np.float32)
    yield "white", np.ones((300, 200), np.float32)
    yield "32 × 32", rng.random((32, 32), dtype=np.float32)
    yield "32 × 32 grey", np.full((32, 32), 0.4, np.float32)
    yield "noise", rng.random((200, 260), dtype=np.float32)


@pytest.mark.parametrize("name", CONFIGS)
def test_odd_images_are_ordinary(name):
    asked = pipeline(name)
    for kind, pixels in odd():
        prediction = asked.predict(Mammogram(pixels, (0.085, 0.085)))
        flat = np.ptp(pixels) == 0
        assert any(said.startswith("breast:") for said in prediction.warnings), kind
        assert flat == any("single grey value" in said for said in prediction.warnings), kind
        assert (len(prediction.candidates) == 0) or not flat, kind
        answered = prediction.distribution is not None
        assert answered == (len(prediction.calcifications) >= 5), kind
        total = sum(prediction.probabilities.values())
        assert (abs(total - 1) < 1e-5) if answered else math.isnan(total), kind


def test_a_mirrored_breast_keeps_its_answer(image):
    """The default frame knows no side: up to resampling, left and right are the same."""
    mirrored = replace(image, pixels=np.ascontiguousarray(image.pixels[:, ::-1]), chest_wall="right")
    assert image.chest_wall == "left"
    one, two = pipeline().predict(image), pipeline().predict(mirrored)
    assert len(one.candidates) == len(two.candidates)
    assert one.breast.area_cm2 == pytest.approx(two.breast.area_cm2, rel=0.01)
    places = np.sort(image.shape[1] - 1 - two.candidates["col_px"].to_numpy())
    np.testing.assert_allclose(places, np.sort(one.candidates["col_px"].to_numpy()), atol=1.5)
    assert one.distribution == two.distribution is not None
    answers = [[each.probabilities[name] for name in DISTRIBUTIONS] for each in (one, two)]
    np.testing.assert_allclose(answers[0], answers[1], atol=0.05)


@pytest.mark.parametrize("gradients_off", [torch.no_grad, torch.inference_mode])
def test_a_caller_may_have_switched_gradients_off(image, gradients_off):
    with gradients_off():
        loaded = Pipeline.from_pretrained()
        inside = loaded.predict(image)
    assert inside.calcifications.equals(loaded.predict(image).calcifications)


def test_loading_a_model_leaves_the_callers_chance_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    Pipeline.from_pretrained()
    assert torch.equal(torch.rand(3), expected)
