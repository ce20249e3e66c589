"""A trained model against a data set: scores with intervals, the constant answer, failures."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from calcigraph.errors import BadManifest
from calcigraph.evaluate import evaluate_model
from calcigraph.io import read_dataset
from calcigraph.pipeline import Pipeline


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
    with pytest.raises(BadManifest, match="no readable image") as caught:
        evaluate_model(pipeline, replace(data, cases=(cases[1],)), tmp_path / "none")
    assert "\n" not in str(caught.value)
