"""A trained model against a data set: scores with intervals, the constant answer, failures."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from calcigraph.calibrate import calibrate_model
from calcigraph.cli import main
from calcigraph.evaluate import evaluate_model
from calcigraph.io import read_dataset, write_manifest
from calcigraph.pipeline import Pipeline
from calcigraph.provenance import file_digest
from calcigraph.training import KeptDetector
from calcigraph.training.parts import note_images, parts_of, read_parts


def test_evaluation(trained, tiny_cohort, tmp_path):
    run, _, _ = trained("default")
    moves = []
    result = evaluate_model(
        Pipeline.from_pretrained(run / "model"),
        read_dataset(tiny_cohort),
        tmp_path,
        report=lambda *n: moves.append(n),
    )
    assert moves[-1] == (13, 13) and result.failures == {}
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    scores = metrics["distribution"]
    assert scores["n"]["value"] == 12
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "kappa"):
        assert scores[name]["low"] <= scores[name]["value"] <= scores[name]["high"]
    assert metrics["constant"]["accuracy"] == pytest.approx(0.25)
    assert metrics["constant"]["balanced_accuracy"] == pytest.approx(0.2)
    assert metrics["detection"]["images"] == 13 and 0 <= metrics["detection"]["true_positive_rate"] <= 1
    assert "Research use only" in metrics["notice"]
    table = pd.read_csv(tmp_path / "predictions.csv")
    assert len(table) == 13 and table["truth"].notna().sum() == 12
    assert len(pd.read_csv(tmp_path / "froc.csv")) == 51
    assert (tmp_path / "figures" / "confusion_matrix.png").stat().st_size > 1000


@pytest.mark.parametrize("verb", ["evaluate", "calibrate"])
def test_images_that_trained_the_model_are_told(trained, tiny_cohort, tmp_path, monkeypatch, capsys, verb):
    run = trained("default")[0]
    parts = json.loads((run / "images.json").read_text())
    data = read_dataset(tiny_cohort)
    assert sorted(parts) == sorted(file_digest(data.folder / case.path) for case in data.cases)
    asked = [case for case in data.cases if verb == "evaluate" or case.distribution is not None]
    seen = [parts[file_digest(data.folder / case.path)] for case in asked]
    told = len(seen) if verb == "evaluate" else seen.count("train")
    copied = shutil.copytree(run / "model", tmp_path / "model")

    def said(model: Path) -> str:
        call = ["calcigraph", verb, str(model), str(tiny_cohort), "--out", str(tmp_path / model.name)]
        monkeypatch.setattr("sys.argv", call)
        with pytest.raises(SystemExit, match=r"^(0|None)?$"):
            main()
        return capsys.readouterr().out

    assert told > 0 and f"{told} images trained this model" in said(run)
    assert "trained this model" not in said(copied)  # its run is not known
    monkeypatch.chdir(run / "model")
    assert "trained this model" in said(Path())


def test_what_trained_a_model_is_known_of_what_is_made_of_it(trained, tiny_cohort, tmp_path):
    run, data = trained("default")[0], read_dataset(tiny_cohort)
    calibrate_model(run, data, tmp_path / "calibrated")
    assert set(parts_of(tmp_path / "calibrated" / "model", data, data.cases)) == {"train", "validation"}
    assert KeptDetector.load(run / "model").parts == json.loads((run / "images.json").read_text())


def test_an_image_that_trained_once_has_trained(tiny_cohort, tmp_path):
    data = read_dataset(tiny_cohort)
    case = data.cases[0]
    (tmp_path / "model").mkdir()
    for held_out in ({case.patient_id}, (), {case.patient_id}):
        note_images(tmp_path, data, [case], held_out, earlier=read_parts(tmp_path / "model"))
    assert parts_of(tmp_path / "model", data, [case]) == ["train"]


def test_nothing_of_an_earlier_evaluation_stays_beside_a_later_one(trained, tiny_cohort, tmp_path):
    pipeline, data = Pipeline.from_pretrained(trained("default")[0] / "model"), read_dataset(tiny_cohort)
    evaluate_model(pipeline, data, tmp_path / "scores")
    silent = tmp_path / "silent"  # the same images, of which nothing is known
    shutil.copytree(tiny_cohort / "images", silent / "images")
    cases = [replace(case, distribution=None) for case in data.cases]
    less = write_manifest(silent, name="x", licence="x", source="x", cases=cases)
    evaluate_model(pipeline, less, tmp_path / "scores")
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert metrics["distribution"] is None and metrics["detection"] is None
    left = sorted(p.name for p in (tmp_path / "scores").rglob("*") if p.is_file())
    assert left == ["metrics.json", "predictions.csv"]


def test_what_is_not_named_is_judged_by_its_probabilities(trained, tiny_cohort, tmp_path):
    pipeline, data = Pipeline.from_pretrained(trained("default")[0] / "model"), read_dataset(tiny_cohort)
    confirm = replace(pipeline.config.confirm, at_least=1000)
    strict = replace(pipeline, config=replace(pipeline.config, confirm=confirm))
    named = evaluate_model(pipeline, data, tmp_path / "named")
    unnamed = evaluate_model(strict, data, tmp_path / "unnamed")
    assert unnamed.unnamed == 12 and named.unnamed < 12
    for before, after in ((named.distribution, unnamed.distribution), (named.breasts, unnamed.breasts)):
        assert after["accuracy"].value == 0 and after["macro_auc"] == before["macro_auc"]
        assert after["ece"] == before["ece"]
    table = pd.read_csv(tmp_path / "unnamed" / "predictions.csv")
    assert table["distribution"].isna().all() and table["p_grouped"].notna().any()


def test_evaluation_goes_on_past_an_unreadable_image_and_keeps_to_the_test_split(
    trained, tiny_cohort, tmp_path
):
    data = read_dataset(tiny_cohort)
    cases = [replace(case, split="test" if i < 3 else "train") for i, case in enumerate(data.cases)]
    cases[1] = replace(cases[1], path=Path("images/absent.dcm"))
    pipeline = Pipeline.from_pretrained(trained("default")[0] / "model")
    result = evaluate_model(pipeline, replace(data, cases=tuple(cases)), tmp_path)
    assert list(result.failures) == [cases[1].image_id] and "absent.dcm" in result.failures[cases[1].image_id]
    assert pd.read_csv(tmp_path / "predictions.csv")["image_id"].tolist() == [
        cases[0].image_id,
        cases[2].image_id,
    ]
    nothing = evaluate_model(pipeline, replace(data, cases=(cases[1],)), tmp_path / "none")
    assert list(nothing.failures) == [cases[1].image_id] and nothing.distribution is nothing.detection is None
    assert pd.read_csv(tmp_path / "none" / "predictions.csv").empty


def test_scores_say_what_they_come_from(trained, tiny_cohort, tmp_path):
    pipeline = Pipeline.from_pretrained(trained("default")[0] / "model")
    data = read_dataset(tiny_cohort)
    few = replace(data, cases=data.cases[:2])

    def source(pipeline, seed):
        evaluate_model(pipeline, few, tmp_path, seed=seed)
        said = json.loads((tmp_path / "metrics.json").read_text())
        return {name: said[name] for name in ("fingerprint", "temperature", "prevalence", "seed", "dataset")}

    first, second = source(pipeline, 0), source(pipeline.expecting("1,1,1,1,2"), 5)
    assert first["dataset"]["images"] == 2 and first["temperature"] == pipeline.temperature
    assert second["prevalence"] == {"name": "1,1,1,1,2", "weight": 1.0} != first["prevalence"]
    assert (first["seed"], second["seed"]) == (0, 5)
    weights = next(pipeline.networks.distribution.parameters())
    weights.data += 1
    assert source(pipeline, 0)["fingerprint"] != first["fingerprint"]


def test_a_killed_evaluation_goes_on_and_predicts_no_image_twice(trained, tiny_cohort, tmp_path, monkeypatch):
    pipeline = Pipeline.from_pretrained(trained("default")[0] / "model")
    data = read_dataset(tiny_cohort)
    asked = []
    predict = Pipeline.predict

    def counted(self, mammogram):
        asked.append(mammogram.image_id)
        return predict(self, mammogram)

    monkeypatch.setattr(Pipeline, "predict", counted)
    whole = evaluate_model(pipeline, data, tmp_path / "whole")

    def killed(done, total):
        if done == 5:
            raise KeyboardInterrupt

    asked.clear()
    with pytest.raises(KeyboardInterrupt):
        evaluate_model(pipeline, data, tmp_path / "killed", report=killed)
    kept = tmp_path / "killed" / "judged.jsonl"
    kept.write_text(kept.read_text()[:-100])  # the fifth line breaks off
    again = evaluate_model(pipeline, data, tmp_path / "killed")
    assert asked[:5] == [case.image_id for case in data.cases[:5]]
    assert asked[5:] == [case.image_id for case in data.cases[4:]]
    assert again == whole and not kept.exists()
    for name in ("metrics.json", "predictions.csv", "froc.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
