"""A model asked about a data set: the same answers by several processes, each kept once."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from calcigraph.ask import Failed, ask_all
from calcigraph.errors import LostProcess
from calcigraph.io import read_dataset
from calcigraph.judge import judge, judged
from calcigraph.pipeline import Pipeline


@pytest.fixture(scope="module")
def pipeline(trained):
    return Pipeline.from_pretrained(trained("default")[0] / "model")


@pytest.fixture
def eager(monkeypatch):
    """Start a process for a single image."""
    monkeypatch.setattr("calcigraph.processes.IMAGES_EACH", 1)


def count(pipeline, dataset, case):
    return [case.image_id, len(pipeline.predict(dataset.read(case)).calcifications)]


def die(pipeline, dataset, case):
    import os

    os._exit(9)


def test_several_processes_say_what_one_says(pipeline, tiny_cohort, tmp_path, eager):
    data = read_dataset(tiny_cohort)
    cases = [*data.cases[:4], replace(data.cases[4], path=Path("images/absent.dcm"))]
    here, there = (
        list(ask_all(judge, pipeline, data, cases, tmp_path / str(workers), workers=workers))
        for workers in (1, 2)
    )
    for case, one, other in zip(cases[:4], here, there, strict=False):
        assert judged(case, one).distribution == judged(case, other).distribution
        assert one["calcifications"] == other["calcifications"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4, nan_ok=True)
    assert here[4] == there[4] == Failed(here[4].why) and "absent.dcm" in here[4].why
    assert len((tmp_path / "2").read_text().split("\n")) == len((tmp_path / "1").read_text().split("\n")) == 5


def test_several_processes_go_on_from_what_is_kept(pipeline, tiny_cohort, tmp_path, eager):
    data, path = read_dataset(tiny_cohort), tmp_path / "kept"
    cases = data.cases[:4]
    answers = ask_all(count, pipeline, data, cases, path, workers=2)
    first = next(answers)
    answers.close()
    lines = path.read_text()
    path.write_text(lines.replace(f'"{first[0]}", {first[1]}', f'"{first[0]}", 1234'))
    again = list(ask_all(count, pipeline, data, cases, path, workers=2))
    assert again[0] == [first[0], 1234]
    assert [one[0] for one in again] == [case.image_id for case in cases]


def test_a_process_that_is_killed_is_told(pipeline, tiny_cohort, tmp_path, eager):
    data = read_dataset(tiny_cohort)
    with pytest.raises(LostProcess, match="ended before its work was done"):
        list(ask_all(die, pipeline, data, data.cases[:2], tmp_path / "kept", workers=2))


def test_few_cases_are_asked_about_here(pipeline, tiny_cohort, tmp_path, monkeypatch):
    monkeypatch.setattr("calcigraph.processes.spread", None)
    data = read_dataset(tiny_cohort)
    assert len(list(ask_all(count, pipeline, data, data.cases[:9], tmp_path / "kept", workers=8))) == 9
    assert list(ask_all(count, pipeline, data, [], tmp_path / "kept", workers=8)) == []


def test_what_is_kept_is_of_one_model_image_label_and_code(pipeline, tiny_cohort, tmp_path, monkeypatch):
    data, path = read_dataset(tiny_cohort), tmp_path / "judged.jsonl"
    case = data.cases[0]

    def lines_after(pipeline, case):
        (said,) = ask_all(judge, pipeline, data, [case], path)
        assert judged(case, said).case == case
        return len(path.read_text().split("\n")) - 1

    assert [lines_after(pipeline, case) for _ in range(2)] == [1, 1]
    assert lines_after(pipeline, replace(case, patient_id="another")) == 2
    assert lines_after(replace(pipeline, temperature=3.0), case) == 3
    assert lines_after(pipeline, replace(case, distribution=None)) == 4
    other = copy.deepcopy(pipeline)
    next(other.networks.confirm.parameters()).data += 1
    assert lines_after(other, case) == 5
    assert lines_after(pipeline, case) == 5
    monkeypatch.setattr("calcigraph.ask.code_digest", lambda: "other code")
    assert lines_after(pipeline, case) == 6
    path.write_text(path.read_text() + "\n5\n[1, 2, 3]\n[[], 1]\n\x00")
    list(ask_all(judge, pipeline, data, [case], path))
