"""Calls that cannot be done, and a batch around every malformed file: one line each, and the batch goes on."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

from calcigraph.batch import predict_batch
from calcigraph.cli import main
from calcigraph.io import find_inputs
from dicom_files import dicom, save, some_pixels
from hand_made import HandMadePipeline
from malformed import malformed_files


def call(monkeypatch, capsys, *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["calcigraph", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


CALLS = {
    "no verb": [],
    "unknown verb": ["foretell"],
    "predict without inputs": ["predict", "--out", "OUT"],
    "predict without out": ["predict", "IMAGE"],
    "out is a file": ["predict", "IMAGE", "--out", "IMAGE"],
    "negative spacing": ["predict", "IMAGE", "--out", "OUT", "--spacing", "-1"],
    "spacing zero": ["predict", "IMAGE", "--out", "OUT", "--spacing", "0"],
    "spacing not a number": ["predict", "IMAGE", "--out", "OUT", "--spacing", "nan"],
    "spacing infinite": ["predict", "IMAGE", "--out", "OUT", "--spacing", "inf"],
    "spacing in metres": ["predict", "IMAGE", "--out", "OUT", "--spacing", "85"],
    "spacing a word": ["predict", "IMAGE", "--out", "OUT", "--spacing", "fine"],
    "unknown device": ["predict", "IMAGE", "--out", "OUT", "--device", "abacus"],
    "absent device": ["predict", "IMAGE", "--out", "OUT", "--device", "cuda:77"],
    "unknown model": ["predict", "IMAGE", "--out", "OUT", "--model", "absent"],
    "model is an image": ["predict", "IMAGE", "--out", "OUT", "--model", "IMAGE"],
    "model is an empty folder": ["predict", "IMAGE", "--out", "OUT", "--model", "EMPTY"],
    "unknown option": ["predict", "IMAGE", "--out", "OUT", "--fast"],
    "simulate without out": ["simulate"],
    "no cases": ["simulate", "--out", "OUT", "--cases", "0", "--normals", "0"],
    "negative cases": ["simulate", "--out", "OUT", "--cases", "-1"],
    "unknown cohort": ["simulate", "--out", "OUT", "--cohort", "triplet"],
    "unknown format": ["simulate", "--out", "OUT", "--format", "gif"],
    "simulate in metres": ["simulate", "--out", "OUT", "--spacing", "85"],
    "negative seed": ["simulate", "--out", "OUT", "--seed", "-1"],
    "no workers": ["simulate", "--out", "OUT", "--workers", "0"],
    "evaluate by no workers": ["evaluate", "default", "DATA", "--out", "OUT", "--workers", "0"],
    "calibrate by no workers": ["calibrate", "default", "DATA", "--out", "OUT", "--workers", "-2"],
    "simulate into a file": ["simulate", "--out", "IMAGE", "--cases", "1"],
    "train on nothing": ["train", "ABSENT", "--out", "OUT"],
    "train on an image": ["train", "IMAGE", "--out", "OUT"],
    "train on an empty folder": ["train", "EMPTY", "--out", "OUT"],
    "unknown preset": ["train", "EMPTY", "--out", "OUT", "--preset", "pepper"],
    "config is an image": ["train", "EMPTY", "--out", "OUT", "--config", "IMAGE"],
    "config is absent": ["train", "EMPTY", "--out", "OUT", "--config", "ABSENT"],
    "negative training seed": ["train", "EMPTY", "--out", "OUT", "--seed", "-1"],
    "unknown detector": ["train", "EMPTY", "--out", "OUT", "--detector", "absent"],
    "evaluate nothing": ["evaluate", "ABSENT", "ABSENT", "--out", "OUT"],
    "evaluate on an image": ["evaluate", "EMPTY", "IMAGE", "--out", "OUT"],
    "calibrate nothing": ["calibrate", "ABSENT", "EMPTY", "--out", "OUT"],
    "calibrate on nothing": ["calibrate", "default", "EMPTY", "--out", "OUT"],
    "negative bootstrap seed": ["evaluate", "EMPTY", "EMPTY", "--out", "OUT", "--seed", "-1"],
    "cases without end": ["simulate", "--out", "OUT", "--cases", "99999999999"],
    "an empty input": ["predict", "", "--out", "OUT"],
    "an empty out": ["predict", "IMAGE", "--out", ""],
    "check nothing": ["check", "ABSENT"],
    "check an image": ["check", "IMAGE"],
}


@pytest.mark.parametrize("words", CALLS.values(), ids=CALLS.keys())
def test_a_wrong_call_is_one_line_and_exit_2(words, tmp_path, monkeypatch, capsys):
    places = {name: tmp_path / name.lower() for name in ("OUT", "EMPTY", "ABSENT")}
    places["EMPTY"].mkdir()
    places["IMAGE"] = tmp_path / "image.png"
    cv2.imwrite(str(places["IMAGE"]), np.full((64, 64), 9, np.uint8))
    code, out, err = call(monkeypatch, capsys, *(places.get(word, word) for word in words))
    assert code == 2
    if not words:
        assert "Usage" in out and err == ""
        return
    lines = (err or out).strip().splitlines()
    assert "Traceback" not in out + err
    assert len(lines) == 1 or words[0] == "check"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_output_stops_nothing(closed, tmp_path):
    words = f"{shlex.quote(sys.executable)} -c 'from calcigraph.cli import main; main()'"
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 64), 9, np.uint8))
    done = subprocess.run(
        ["sh", "-c", f"{words} predict a.png --spacing 0.1 --out out {closed}"], cwd=tmp_path, check=False
    )
    assert done.returncode == 0 and len(pd.read_csv(tmp_path / "out" / "predictions.csv")) == 1


def test_a_backend_that_is_not_here_stops_nothing(monkeypatch, capsys):
    monkeypatch.setenv("MPLBACKEND", "nope")
    assert call(monkeypatch, capsys, "info")[0] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_input_without_permission_is_listed(tmp_path, monkeypatch, capsys):
    for name in ("a.png", "locked.png"):
        cv2.imwrite(str(tmp_path / name), np.full((64, 64), 9, np.uint8))
    (tmp_path / "locked.png").chmod(0)
    words = (tmp_path / "a.png", tmp_path / "locked.png", "--spacing", "0.1", "--out", tmp_path / "out")
    code, out, _ = call(monkeypatch, capsys, "predict", *words)
    assert code == 3 and "locked: failed" in out


@pytest.mark.parametrize("verb", ["predict", "train", "evaluate", "calibrate", "crossval"])
def test_results_are_not_written_into_a_data_set(verb, tiny_cohort, monkeypatch, capsys):
    before = sorted(tiny_cohort.rglob("*"))
    given = ["default", tiny_cohort] if verb in ("evaluate", "calibrate") else [tiny_cohort]
    code, _, err = call(monkeypatch, capsys, verb, *given, "--out", tiny_cohort)
    assert code == 2 and err.count("\n") == 1 and "which is a data set" in err
    assert sorted(tiny_cohort.rglob("*")) == before


def test_a_batch_goes_on_past_every_malformed_file(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    malformed_files(folder)
    save(dicom(some_pixels()), folder / "zz_good.dcm")
    sources = find_inputs([folder])
    assert len(sources) >= 60
    batch = predict_batch(sources, HandMadePipeline(), out=tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "predictions.csv", keep_default_na=False)
    failed = table[table["status"] == "failed"]
    assert batch.exit_code == 3
    assert len(table) == len(sources)
    assert 0 < len(failed) < len(table)
    assert table.iloc[-1]["status"] == "ok"
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert "zz_good" in json.dumps(record)
    assert "Traceback" not in json.dumps(record)
