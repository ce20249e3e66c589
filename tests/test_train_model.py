"""A whole training on a tiny simulated cohort: end to end, killed and resumed, refused."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from calcigraph.checkpoint import load_model, read_card
from calcigraph.config import default
from calcigraph.config_toml import read_config
from calcigraph.crossval.deletion import without
from calcigraph.errors import BadManifest, BadModel
from calcigraph.io import read_dataset, write_manifest, write_truth
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.models import build_networks
from calcigraph.pipeline import Pipeline
from calcigraph.training import KeptDetector, train_model
from calcigraph.training.card import detector_lines
from calcigraph.training.model import encode_cases, hold_against
from calcigraph.training.parts import hold_out, training_cases
from calcigraph.training.points import draw_views
from calcigraph.training.run_folder import claim_folder, read_record, run_key
from inline_pool import InlinePool
from tiny_training import CONFIGS, WEIGHTS, Heard, Killed


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr("calcigraph.processes.ProcessPoolExecutor", InlinePool)


def weights(run):
    return {name: (run / "model" / f"{name}.safetensors").read_bytes() for name in WEIGHTS}


def one_line(caught):
    assert "\n" not in str(caught.value) and "allowed:" in str(caught.value)


@pytest.mark.parametrize("name", CONFIGS)
def test_end_to_end(name, trained, tiny_cohort):
    run, heard, model = trained(name)
    pretraining = ["pretraining"] if name == "default" else []
    stages = ["confirm", "describe", *pretraining, "distribution"]
    expected = [f"{stage} epoch {e}" for stage in stages for e in (0, 1)]
    assert heard.epochs == expected
    assert heard.words[0] == "detect 0/13" and "graphs 13/13" in heard.words
    assert read_config(run / "config.toml") == CONFIGS[name]
    held_out = json.loads((run / "splits.json").read_text())["validation"]
    patients = {case.patient_id: case.distribution for case in read_dataset(tiny_cohort).cases}
    assert sorted(patients[patient] for patient in held_out) == sorted(DISTRIBUTIONS)
    assert model.folder == run / "model" and model.held_out is not None and model.temperature > 0
    config, _, temperature = load_model(model.folder)
    assert (config, temperature) == (model.config, model.temperature)
    assert config == replace(CONFIGS[name], confirm=config.confirm) and 0 <= config.confirm.threshold <= 1
    assert "Research use only" in (model.folder / "MODEL_CARD.md").read_text()
    assert not list(run.rglob("*.pkl")) and not list(run.rglob("*.pt"))
    for network in ("confirm", "describe", "distribution"):
        assert len(pd.read_csv(run / network / "history.csv")) == 2


def test_a_finished_run_changes_nothing(trained, tiny_cohort):
    run, _, model = trained("default")
    before, heard = weights(run), Heard()
    again = train_model(read_dataset(tiny_cohort), CONFIGS["default"], run, reporter=heard)
    assert weights(run) == before and again.config == model.config and again.temperature == model.temperature
    assert heard.epochs == []


KILLS = ("detect 7/13", "confirm epoch 0", "describe epoch 1", "graphs 5/13", "distribution epoch 0")


@pytest.mark.parametrize("name", ["default", pytest.param("paper", marks=pytest.mark.long)])
def test_killed_again_and_again_ends_bit_for_bit_the_same(name, trained, tiny_cohort, tmp_path):
    run, _, model = trained(name)
    data = read_dataset(tiny_cohort)
    for kill_at in KILLS:
        with pytest.raises(Killed):
            train_model(data, CONFIGS[name], tmp_path, reporter=Heard(kill_at))
        assert not (tmp_path / "model").exists()
    resumed = train_model(data, CONFIGS[name], tmp_path, reporter=Heard())
    assert weights(tmp_path) == weights(run)
    assert (resumed.config, resumed.temperature) == (model.config, model.temperature)
    assert (tmp_path / "model" / "config.toml").read_bytes() == (run / "model" / "config.toml").read_bytes()


@pytest.mark.parametrize("change", [{"seed": 4}, {"graph": replace(default().graph, neighbours=3)}])
def test_other_settings_in_the_same_run_folder_are_refused(change, trained, tiny_cohort):
    run, _, _ = trained("default")
    before = weights(run)
    with pytest.raises(BadModel, match="a run on other data, settings or weights") as caught:
        train_model(read_dataset(tiny_cohort), replace(CONFIGS["default"], **change), run, reporter=Heard())
    one_line(caught)
    assert weights(run) == before


def test_another_data_set_in_the_same_run_folder_is_refused(trained, tiny_cohort):
    """Image ids are those of every simulated cohort: its candidates would be taken for these."""
    run, _, _ = trained("default")
    data = read_dataset(tiny_cohort)
    others = (replace(data, folder=Path("elsewhere")), replace(data, cases=data.cases[2:]))
    for other in others:
        with pytest.raises(BadModel) as caught:
            train_model(
                other, CONFIGS["default"], run, detector=KeptDetector.load(run / "model"), reporter=Heard()
            )
        one_line(caught)


def test_several_processes_encode_what_one_encodes(trained, tiny_cohort, monkeypatch):
    run, _, model = trained("default")
    config, networks, _ = load_model(model.folder)
    cases, heard = read_dataset(tiny_cohort).cases, []

    def encode(each):
        monkeypatch.setattr("calcigraph.processes.IMAGES_EACH", each)
        return list(
            encode_cases(
                networks,
                config,
                run / "candidates",
                cases,
                device="cpu",
                report=lambda *n: heard.append(n),
            )
        )

    for here, there in zip(encode(1000), encode(1), strict=True):
        assert here.graph.pos.equal(there.graph.pos) and here.graph.member.equal(there.graph.member)
        torch.testing.assert_close(here.graph.visual, there.graph.visual)
    assert heard == [(done, len(cases)) for done in range(1, len(cases) + 1)] * 2


def test_a_detector_is_kept(trained, tiny_cohort, tmp_path):
    run, _, _ = trained("default")
    kept = KeptDetector.load(run / "model")
    recipe = replace(CONFIGS["default"].graph_training, epochs=1)
    config = replace(CONFIGS["default"], seed=9, graph_training=recipe)
    heard = Heard()
    model = train_model(read_dataset(tiny_cohort), config, tmp_path, detector=kept, reporter=heard)
    assert heard.epochs == ["pretraining epoch 0", "pretraining epoch 1", "distribution epoch 0"]
    for name in ("confirm", "describe"):
        old, new = (getattr(load_model(at / "model")[1], name).state_dict() for at in (run, tmp_path))
        assert all(np.array_equal(old[key], new[key]) for key in old)
    assert weights(tmp_path)["distribution"] != weights(run)["distribution"]
    assert model.config.confirm == kept.config.confirm and model.config.seed == 9


def test_a_run_is_decided_by_all_the_weights_it_is_given(tiny_cohort):
    data, config = read_dataset(tiny_cohort), CONFIGS["default"]
    kept, start, other = (build_networks(config) for _ in range(3))
    other = replace(start, distribution=other.distribution)
    given = ((), (kept,), (start,), (other,), (kept, start), (kept, other), (start, kept))
    keys = [run_key(data, config, *networks) for networks in given]
    assert len(set(keys)) == len(given) and keys[4] == run_key(data, config, kept, start)


def test_a_run_is_decided_by_the_code(tiny_cohort, monkeypatch):
    data, config = read_dataset(tiny_cohort), CONFIGS["default"]
    before = run_key(data, config)
    monkeypatch.setattr("calcigraph.training.run_folder.code_digest", lambda: "other code")
    assert run_key(data, config) != before


def test_where_images_are_marked_train_these_alone_do(tiny_cohort):
    data = read_dataset(tiny_cohort)

    def used(*splits):
        marks = [*splits, *[None] * (len(data) - len(splits))]
        cases = tuple(replace(case, split=split) for case, split in zip(data.cases, marks, strict=True))
        return [
            data.cases.index(replace(case, split=None)) for case in training_cases(replace(data, cases=cases))
        ]

    every = list(range(len(data)))
    assert used() == used("validation") == every
    assert used("test") == used("test", "validation") == every[1:]
    assert used("train", "test", "train", "validation") == [0, 2, 3]


def without_truth(tiny_cohort, folder):
    """The same images and labels in another folder, without the tables."""
    data = read_dataset(tiny_cohort)
    folder.mkdir()
    (folder / "images").symlink_to(tiny_cohort / "images")
    write_manifest(folder, name="No truth", licence="none", source="tiny", cases=data.cases)
    # The images lie behind a link, which the contract forbids; `replace` gets around reading the folder.
    return replace(data, name="No truth", folder=folder)


def test_views_that_are_not_named_are_not_left_out_of_the_held_out_scores(trained, tiny_cohort, tmp_path):
    run, _, _ = trained("default")
    config, networks, _ = load_model(run / "model")
    data = read_dataset(tiny_cohort)
    held_out = json.loads((run / "splits.json").read_text())["validation"]
    judged = [case for case in data.cases if case.patient_id in held_out and case.distribution is not None]
    pipeline, views = Pipeline.from_pretrained(run / "model"), len(judged)
    found = sorted(len(pipeline.predict(data.read(case)).calcifications) for case in judged)
    strict = replace(config, confirm=replace(config.confirm, at_least=found[0] + 1))
    assert found[0] < found[-1]
    model = train_model(data, strict, tmp_path, detector=KeptDetector(strict, networks), reporter=Heard())
    assert model.held_out.model.n == model.held_out.constant.n == views
    assert f"| n | {views} | {views} |" in (model.folder / "MODEL_CARD.md").read_text()


def test_names_do_not_change_the_temperature_nor_what_probabilities_are_worth():
    torch.manual_seed(0)
    network = build_networks(default()).distribution
    graphs = list(draw_views(20, default(), np.random.default_rng(0)))
    empty = without(graphs[0], np.arange(len(graphs[0].pos)), default().graph)
    empty.y, empty.member = graphs[0].y, graphs[0].member[:0]
    (warm, named), (cold, unnamed) = (
        hold_against(
            network,
            [*graphs, empty],
            replace(default(), confirm=replace(default().confirm, at_least=least)),
            device="cpu",
        )
        for least in (1, 1000)
    )
    assert warm == cold and named.model.n == unnamed.model.n == 21
    assert named.model.accuracy > unnamed.model.accuracy == 0
    assert (named.model.macro_auc, named.model.ece) == (unnamed.model.macro_auc, unnamed.model.ece)


def test_a_run_folder_is_for_one_process_at_a_time(tiny_cohort, tmp_path):
    data, settings = read_dataset(tiny_cohort), {"settings": ""}
    with (
        claim_folder(tmp_path, data, "one", **settings),
        pytest.raises(BadModel, match="another process") as caught,
    ):
        claim_folder(tmp_path, data, "one", **settings).__enter__()
    one_line(caught)
    with claim_folder(tmp_path, data, "one", **settings):
        assert read_record(tmp_path)["key"] == "one"
    with (
        pytest.raises(BadModel, match="other data, settings"),
        claim_folder(tmp_path, data, "two", **settings),
    ):
        pass
    with claim_folder(tmp_path, data, "one", **settings):
        pass


def test_a_patient_is_of_the_known_class_of_its_views(tiny_cohort):
    cases = read_dataset(tiny_cohort).cases
    patients = Counter(case.patient_id for case in cases)
    for number, case in enumerate(cases):
        if patients[case.patient_id] == 2:
            bare = [replace(each, distribution=None) if each is case else each for each in cases]
            assert hold_out(bare, default()) == hold_out(cases, default()), number


def test_who_is_held_out_may_be_said(trained, tiny_cohort, tmp_path):
    """In a study the folds say it, also that nobody is."""
    kept = KeptDetector.load(trained("default")[0] / "model")
    data = read_dataset(tiny_cohort)
    one = frozenset([data.cases[0].patient_id])
    for name, held_out in (("nobody", frozenset()), ("one", one)):
        run = tmp_path / name
        train_model(data, CONFIGS["default"], run, detector=kept, held_out=held_out, reporter=Heard())
        assert json.loads((run / "splits.json").read_text()) == {"validation": sorted(held_out)}


def test_without_truth_there_is_no_detector_to_train(tiny_cohort, tmp_path):
    data = without_truth(tiny_cohort, tmp_path / "data")
    with pytest.raises(BadManifest, match=r"without known calcifications.*--detector") as caught:
        train_model(data, CONFIGS["default"], tmp_path / "run", reporter=Heard())
    one_line(caught)
    assert not (tmp_path / "run").exists()


def test_without_truth_a_kept_detector_will_do(trained, tiny_cohort, tmp_path):
    folder = trained("default")[0] / "model"
    data = without_truth(tiny_cohort, tmp_path / "data")
    model = train_model(
        data,
        CONFIGS["default"],
        tmp_path / "run",
        detector=KeptDetector.load(folder),
        reporter=Heard(),
    )
    assert load_model(model.folder)[0] == model.config
    card, of = read_card(model.folder), read_card(folder)
    (source,) = (line for line in of.splitlines() if line.startswith("- Data set:"))
    assert f"> {source}" in card.partition("## Detector")[2] and "## Detector" not in of
    assert card.count("Temperature of the distribution's logits") == 1
    assert detector_lines(card) == detector_lines(of), "a detector that is kept twice was trained once"
    assert detector_lines("") == []
    assert card.count("## Held-out patients") == 1


def test_without_labels_there_is_nothing_to_train(trained, tiny_cohort, tmp_path):
    kept = KeptDetector.load(trained("default")[0] / "model")
    data = read_dataset(tiny_cohort)
    bare = replace(data, cases=tuple(replace(case, distribution=None) for case in data.cases[:4]))
    with pytest.raises(BadManifest, match="no image with a distribution") as caught:
        train_model(bare, CONFIGS["default"], tmp_path, detector=kept, reporter=Heard())
    one_line(caught)


def test_everybody_held_out_is_refused_in_one_line(trained, tiny_cohort, tmp_path):
    kept = KeptDetector.load(trained("default")[0] / "model")
    data = read_dataset(tiny_cohort)
    judges = replace(data, cases=tuple(replace(case, split="validation") for case in data.cases[:4]))
    with pytest.raises(BadManifest, match=r"^no image with a distribution[^\n]*allowed[^\n]*$"):
        train_model(judges, CONFIGS["default"], tmp_path, detector=kept, reporter=Heard())


def test_truth_that_no_candidate_meets_is_refused_in_one_line(tiny_cohort, tmp_path):
    data = read_dataset(shutil.copytree(tiny_cohort, tmp_path / "data"))
    for case in data.cases:
        elsewhere = data.truth(case).assign(row_px=0.0, col_px=0.0)
        write_truth(data.folder, case.image_id, elsewhere)
    with pytest.raises(
        BadManifest, match=r"^no candidate that lies on a known calcification[^\n]*rows and columns[^\n]*$"
    ):
        train_model(data, CONFIGS["default"], tmp_path / "run", reporter=Heard())


def test_a_run_belongs_to_what_is_in_the_files(tiny_cohort, tmp_path):
    copied = shutil.copytree(tiny_cohort, tmp_path / "copied", copy_function=shutil.copyfile)
    here, there = (run_key(read_dataset(folder), default()) for folder in (tiny_cohort, copied))
    assert here == there
    image = copied / read_dataset(copied).cases[0].path
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(content)
    assert run_key(read_dataset(copied), default()) != here
