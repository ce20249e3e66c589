"""A model's temperature on other images: found, kept with the model, gone on with after a kill."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from calcigraph.calibrate import calibrate_model, calibrating_cases
from calcigraph.checkpoint import load_model, load_ranges, save_model
from calcigraph.cli import main
from calcigraph.errors import BadManifest, BadModel
from calcigraph.io import read_dataset
from calcigraph.pipeline import Pipeline


@pytest.fixture(scope="module")
def overconfident(trained, tmp_path_factory):
    """A network that is too sure on any processor, with a temperature that is far too low."""
    folder = tmp_path_factory.mktemp("overconfident")
    config, networks, _ = load_model(trained("default")[0] / "model")
    with torch.no_grad():
        for parameter in networks.distribution.readout.layers[-1].parameters():
            parameter.mul_(5)
    save_model(
        folder,
        config,
        networks,
        temperature=0.01,
        ranges=load_ranges(trained("default")[0] / "model"),
        card="# Card\n\ntext\n",
    )
    return folder


def test_nothing_but_the_temperature_changes(overconfident, tiny_cohort, tmp_path):
    data = read_dataset(tiny_cohort)
    found = calibrate_model(overconfident, data, tmp_path)
    before, after = Pipeline.from_pretrained(overconfident), Pipeline.from_pretrained(tmp_path)
    assert after.temperature == found.temperature.value > 1 and before.temperature == 0.01
    assert found.temperature.low < found.temperature.value < found.temperature.high
    assert after.config == before.config and after.ranges == before.ranges
    image = data.read(data.cases[0])
    (p, q) = (model.predict(image) for model in (before, after))
    assert p.calcifications["probability"].equals(q.calcifications["probability"])
    assert max(q.probabilities.values()) < max(p.probabilities.values())
    assert found.after.ece < found.before.ece and found.after.n + found.empty == 12
    assert found.failures == {} and not (tmp_path / "logits.jsonl").exists()


def test_what_is_not_named_counts_too(overconfident, tiny_cohort, tmp_path):
    config, networks, _ = load_model(overconfident)
    strict = replace(config, confirm=replace(config.confirm, at_least=1000))
    save_model(tmp_path / "strict", strict, networks, temperature=0.01, ranges={}, card="")
    data = read_dataset(tiny_cohort)
    one, other = (
        calibrate_model(model, data, tmp_path / name)
        for name, model in (("a", overconfident), ("b", tmp_path / "strict"))
    )
    assert (one.temperature, one.empty) == (other.temperature, other.empty)


def test_images_that_trained_are_left_out(overconfident, tiny_cohort, tmp_path):
    data = read_dataset(tiny_cohort)

    def used(*splits):
        cases = [replace(case, split=split) for case, split in zip(data.cases, splits, strict=True)]
        marked = replace(data, cases=tuple(cases))
        return [case.image_id for case in calibrating_cases(marked)]

    labelled = [case.image_id for case in data.cases if case.distribution is not None]
    number = len(data.cases)
    assert used(*[None] * number) == used(*["test"] * number) == labelled
    assert used(*["train"] * number) == []
    assert used(*["train"] * 4, *[None] * (number - 4)) == [
        case.image_id for case in data.cases[4:] if case.distribution is not None
    ]
    assert used("train", "validation", *["test"] * (number - 2)) == [data.cases[1].image_id]
    assert used("train", "train", *["test"] * (number - 2)) == []  # `evaluate` will judge these
    assert used(*["test"] * 4, *[None] * (number - 4)) == [
        case.image_id for case in data.cases[4:] if case.distribution is not None
    ]
    trained_on = replace(data, cases=tuple(replace(case, split="train") for case in data.cases))
    with pytest.raises(
        BadManifest, match=r"0 distributions labelled; .* mark fewer images train or more validation"
    ):
        calibrate_model(overconfident, trained_on, tmp_path)


def test_draws_of_one_distribution_say_nothing_of_the_temperature(overconfident, tiny_cohort, tmp_path):
    """Any temperature would do for them. With one patient of each, all draws that count are the same images."""
    data = read_dataset(tiny_cohort)
    first = {case.distribution: case.patient_id for case in reversed(data.cases) if case.distribution}
    two = dict(list(first.items())[:2])
    cases = tuple(case for case in data.cases if case.patient_id == two.get(case.distribution))
    found = calibrate_model(overconfident, replace(data, cases=cases), tmp_path).temperature
    assert 0.1 <= found.value <= 10 and math.isnan(found.low) and math.isnan(found.high)
    assert str(found).endswith("[–, –]")


def test_classes_weigh_as_training_drew_them(overconfident, tiny_cohort, tmp_path):
    data = read_dataset(tiny_cohort)
    kinds = sorted({str(case.distribution) for case in data.cases if case.distribution})
    rare = [case for case in data.cases if case.distribution == kinds[0]][1:]
    fewer = replace(data, cases=tuple(case for case in data.cases if case not in rare))
    config, networks, _ = load_model(overconfident)
    plain = replace(config, graph_training=replace(config.graph_training, balance_classes=False))
    save_model(tmp_path / "plain", plain, networks, temperature=0.01, ranges={}, card="")
    balanced = calibrate_model(overconfident, fewer, tmp_path / "a")
    unbalanced = calibrate_model(tmp_path / "plain", fewer, tmp_path / "b")
    assert balanced.before.ece != unbalanced.before.ece


def test_a_run_of_something_else_is_not_written_over(trained, tiny_cohort):
    run = trained("default")[0]
    before = (run / "model" / "MODEL_CARD.md").read_bytes()
    with pytest.raises(BadModel, match="holds another run"):
        calibrate_model(run, read_dataset(tiny_cohort), run)
    assert (run / "model" / "MODEL_CARD.md").read_bytes() == before


def test_the_card_says_it_once(overconfident, tiny_cohort, tmp_path):
    data = read_dataset(tiny_cohort)
    once = calibrate_model(overconfident, data, tmp_path / "once")
    tested = tuple(replace(case, split="test") for case in data.cases[:6])
    marked = replace(data, cases=tested + data.cases[6:])
    second = calibrate_model(tmp_path / "once", marked, tmp_path / "twice")
    card = (tmp_path / "twice" / "model" / "MODEL_CARD.md").read_text()
    assert card.startswith("# Card\n\ntext\n\n## Calibration\n") and card.count("## Calibration") == 1
    twice = Pipeline.from_pretrained(tmp_path / "twice").temperature
    assert f"{once.temperature.value:.3f}" in card and f": {twice:.3f} [" in card and data.name in card
    assert f"- {second.after.n} images with a calcification (of no split); on" in card
    assert second.after.n < once.after.n


def test_a_killed_calibration_asks_no_image_twice(overconfident, tiny_cohort, tmp_path, monkeypatch):
    data, asked = read_dataset(tiny_cohort), []
    logits = Pipeline.logits
    monkeypatch.setattr(
        Pipeline, "logits", lambda self, image: asked.append(image.image_id) or logits(self, image)
    )

    def killed(done, total):
        assert total == 12
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate_model(overconfident, data, tmp_path / "killed", report=killed)
    whole = calibrate_model(overconfident, data, tmp_path / "killed")
    assert len(asked) == len(set(asked)) == 12
    assert whole.temperature == calibrate_model(overconfident, data, tmp_path / "whole").temperature


def test_an_unreadable_image_is_listed_and_one_class_is_refused(overconfident, tiny_cohort, tmp_path):
    data = read_dataset(tiny_cohort)
    absent = replace(data.cases[0], path=Path("images/absent.dcm"))
    found = calibrate_model(overconfident, replace(data, cases=(absent, *data.cases[1:])), tmp_path / "some")
    assert list(found.failures) == [absent.image_id] and "absent.dcm" in found.failures[absent.image_id]
    alike = tuple(case for case in data.cases if case.distribution is data.cases[0].distribution)
    with pytest.raises(BadManifest, match="1 distributions labelled; allowed: two or more of diffuse"):
        calibrate_model(overconfident, replace(data, cases=alike), tmp_path / "alike")
    absents = tuple(replace(case, path=Path("images/absent.dcm")) for case in data.cases)
    with pytest.raises(BadManifest, match=r"0 distributions on images .* the first: .*absent\.dcm"):
        calibrate_model(overconfident, replace(data, cases=absents), tmp_path / "absents")
    assert not (tmp_path / "alike" / "model").exists()


def test_the_command(overconfident, tiny_cohort, tmp_path, capsys, monkeypatch):
    call = ["calcigraph", "calibrate", str(overconfident), str(tiny_cohort), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", call)
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code in (0, None) and told.err == ""
    assert "expected calibration error" in told.out and "Research use only" in told.out
    assert Pipeline.from_pretrained(tmp_path / "out").temperature > 1
