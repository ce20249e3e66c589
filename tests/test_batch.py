from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import hand_made
from calcigraph.batch import ALL_DONE, NOTHING_PROCESSED, SOME_FAILED, BatchResult, predict_batch
from calcigraph.config import CandidateConfig, Config
from calcigraph.errors import BadConfig, UnreadableImage
from calcigraph.io import Source, find_inputs
from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE
from calcigraph.provenance import weights_digest
from calcigraph.records import CALCIFICATION_COLUMNS, CANDIDATE_COLUMNS

COLUMNS = (
    "image_id path status distribution p_diffuse p_regional p_grouped p_linear p_segmental "
    "n_calcifications warnings"
)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Four images whose alphabetical order is d, c, b, a when given by name below."""
    folder = tmp_path / "images"
    folder.mkdir()
    for seed, name in enumerate("abcd"):
        pixels = hand_made.mammogram(rows=120, cols=90, seed=seed).pixels
        cv2.imwrite(str(folder / f"{name}.png"), (pixels * 65535).astype(np.uint16))
    return folder


def sources(folder: Path, order: str = "dcba") -> list[Source]:
    return find_inputs([folder / f"{name}.png" for name in order])


def run(
    inputs: list[Source], out: Path, pipeline: hand_made.HandMadePipeline | None = None, **options
) -> BatchResult:
    return predict_batch(inputs, pipeline or hand_made.HandMadePipeline(), out=out, spacing_mm=0.5, **options)


def table(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "predictions.csv", keep_default_na=False, dtype=str)


def test_writes_what_the_contract_says(images, tmp_path):
    out = tmp_path / "new" / "out"
    batch = run(sources(images), out, write_candidates=True)
    assert batch.exit_code == ALL_DONE
    predictions = table(out)
    assert " ".join(predictions.columns) == COLUMNS
    assert list(predictions["image_id"]) == ["d", "c", "b", "a"]
    assert set(predictions["status"]) == {"ok"} and set(predictions["distribution"]) == {"grouped"}
    assert predictions[[f"p_{d}" for d in DISTRIBUTIONS]].astype(float).sum(
        axis=1
    ).to_numpy() == pytest.approx(1)
    kept = pd.read_csv(out / "a" / "calcifications.csv")
    assert tuple(kept.columns) == CALCIFICATION_COLUMNS and len(kept) == 24
    assert kept["row_px"].to_numpy() == pytest.approx(kept["row_mm"].to_numpy() / 0.5, abs=1e-2)
    candidates = pd.read_csv(out / "a" / "candidates.csv")
    assert tuple(candidates.columns) == CANDIDATE_COLUMNS and len(candidates) == 48
    record = json.loads((out / "a" / "prediction.json").read_text())
    assert record["distribution"] == "grouped" and record["n_calcifications"] == 24
    assert record["transforms"] and record["spacing_mm"] == [0.5, 0.5] and record["model"] == "hand-made"
    assert record["predict_seconds"]["detect"] == 0.5 and record["notice"] == RESEARCH_USE
    assert cv2.imread(str(out / "a" / "overlay.png")) is not None
    assert (out / "report.html").is_file()
    assert not list(out.rglob(".*")), "temporary files are left"


def test_run_record_tells_how_it_was_made(images, tmp_path):
    run(sources(images), tmp_path / "out", model_seconds=1.5)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert {"calcigraph", "numpy", "torch", "python"} <= set(record["versions"])
    assert record["model"]["settings"]["graph"]["neighbours"] == 8
    assert record["options"] == {"spacing_mm": 0.5, "candidates": False}
    assert set(record["stages"]) == {"load model", "read", "predict", "write", "draw"}
    assert record["stages"]["draw"]["seconds"] > 0 and record["stages"]["draw"]["peak_rss_mb"] > 10
    assert record["seconds"] >= 1.5
    assert [image["status"] for image in record["images"]] == ["ok"] * 4
    assert all(image["transforms"] for image in record["images"])


def test_candidates_are_written_only_when_asked_for(images, tmp_path):
    run(sources(images, "a"), tmp_path)
    assert not (tmp_path / "a" / "candidates.csv").exists()
    asked = hand_made.HandMadePipeline()
    run(sources(images, "a"), tmp_path, asked, write_candidates=True)
    assert (tmp_path / "a" / "candidates.csv").exists() and asked.asked == ["a"]


def test_goes_on_past_every_kind_of_failure(images, tmp_path):
    (images / "d.png").write_bytes(b"not an image")
    pipeline = hand_made.HandMadePipeline(
        fails_on={"c": ZeroDivisionError("in the\nmiddle"), "b": MemoryError("7 GiB")}
    )
    batch = run([*sources(images), *find_inputs([tmp_path / "absent.png"])], tmp_path / "out", pipeline)
    assert batch.exit_code == SOME_FAILED
    predictions = table(tmp_path / "out").set_index("image_id")
    assert list(predictions.index) == ["d", "c", "b", "a", "absent"]
    assert list(predictions["status"]) == ["failed", "failed", "failed", "ok", "failed"]
    assert predictions.loc["c", "warnings"] == "ZeroDivisionError: in the middle"
    assert predictions.loc["b", "warnings"] == "MemoryError: 7 GiB"
    assert "allowed" in predictions.loc["d", "warnings"]
    failed = predictions.loc["c"]
    assert failed["distribution"] == failed["p_grouped"] == failed["n_calcifications"] == ""
    report = (tmp_path / "out" / "report.html").read_text()
    assert "ZeroDivisionError: in the middle" in report
    status = json.loads((tmp_path / "out" / "run.json").read_text())["images"]
    assert [image["error"] for image in status if image["image_id"] == "b"] == ["MemoryError: 7 GiB"]


def test_missing_spacing_is_a_failure_of_that_image(images, tmp_path):
    batch = predict_batch(sources(images, "a"), hand_made.HandMadePipeline(), out=tmp_path)
    assert batch.exit_code == NOTHING_PROCESSED
    assert "--spacing" in batch.failures[0].error


def test_nothing_to_do_is_an_ordinary_run(tmp_path):
    batch = run([], tmp_path)
    assert batch.exit_code == NOTHING_PROCESSED
    assert " ".join(table(tmp_path).columns) == COLUMNS and len(table(tmp_path)) == 0
    assert (tmp_path / "report.html").is_file()


def test_second_run_computes_nothing(images, tmp_path):
    first, second = hand_made.HandMadePipeline(), hand_made.HandMadePipeline()
    run(sources(images), tmp_path, first)
    before = (tmp_path / "predictions.csv").read_bytes()
    seen: list[str] = []
    batch = run(sources(images), tmp_path, second, on_done=lambda result: seen.append(result.image_id))
    assert first.asked == ["d", "c", "b", "a"] and second.asked == []
    assert batch.exit_code == ALL_DONE and batch.reused == {"a", "b", "c", "d"}
    assert seen == ["d", "c", "b", "a"]
    assert (tmp_path / "predictions.csv").read_bytes() == before


def test_other_images_of_earlier_runs_stay_and_are_told_of(images, tmp_path):
    assert run(sources(images, "ab"), tmp_path).unlisted == ()
    batch = run(sources(images, "cb"), tmp_path)
    assert batch.unlisted == ("a",) and (tmp_path / "a" / "overlay.png").exists()
    assert list(table(tmp_path)["image_id"]) == ["c", "b"]


def test_a_file_of_the_same_name_does_not_cost_the_results_of_another(images, tmp_path):
    """Also where it is broken; asked again, each finds its own."""
    out, other = tmp_path / "out", tmp_path / "other"
    other.mkdir()
    (other / "a.png").write_bytes((images / "b.png").read_bytes())
    run(sources(images, "a"), out)
    first = (out / "a" / "prediction.json").read_bytes()
    assert [result.image_id for result in run(sources(other, "a"), out).results] == ["a-2"]
    assert run(sources(other, "a"), out).reused == {"a-2"} and run(sources(images, "a"), out).reused == {"a"}
    (other / "a.png").write_bytes(b"broken")
    assert run(sources(other, "a"), out).exit_code == NOTHING_PROCESSED
    assert (out / "a" / "prediction.json").read_bytes() == first
    assert not (out / "a-2" / "prediction.json").exists()


def test_a_spelling_of_the_same_path_is_the_same_file(images, tmp_path, monkeypatch):
    run(sources(images, "a"), tmp_path / "out")
    monkeypatch.chdir(images)
    assert [result.image_id for result in run(find_inputs(["a.png"]), tmp_path / "out").results] == ["a"]


def test_a_relative_path_is_told_from_the_same_one_in_another_folder(images, tmp_path, monkeypatch):
    other, out = tmp_path / "other", tmp_path / "out"
    other.mkdir()
    (other / "a.png").write_bytes((images / "b.png").read_bytes())
    for folder, expected in ((images, "a"), (other, "a-2")):
        monkeypatch.chdir(folder)
        assert [result.image_id for result in run(find_inputs(["a.png"]), out).results] == [expected]
    monkeypatch.chdir(tmp_path)
    assert run(find_inputs(["images/a.png", "other/a.png"]), out).reused == {"a", "a-2"}


@pytest.mark.parametrize("part", ["write_tables", "write_overlay"])
def test_a_full_disk_stops_the_batch_and_leaves_nothing_half_written(images, tmp_path, monkeypatch, part):
    def full(*rest: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(f"calcigraph.batch.job.{part}", full)
        with pytest.raises(OSError, match="No space left"):
            run(sources(images, "ab"), tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.parent.name == "a"]
    assert run(sources(images, "ab"), tmp_path / "out").exit_code == ALL_DONE


@pytest.mark.parametrize("name", ["metrics.json", "splits.json"])
def test_results_of_other_commands_are_not_written_over(images, tmp_path, name):
    (tmp_path / name).write_text("{}")
    (tmp_path / "predictions.csv").write_text("theirs")
    with pytest.raises(BadConfig, match=f"results of another command .{name}"):
        run(sources(images), tmp_path)
    assert (tmp_path / "predictions.csv").read_text() == "theirs"


def test_a_folder_out_of_reach_fails_alone(images, tmp_path, monkeypatch):
    """Root may read every folder, so that the system's answer is made up."""
    is_file, mkdir = Path.is_file, Path.mkdir

    def refuse(path, ask, *args, **options):
        if "b" in path.relative_to(path.anchor).parts[-2:] and tmp_path in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return ask(path, *args, **options)

    monkeypatch.setattr(Path, "is_file", lambda path: refuse(path, is_file))
    monkeypatch.setattr(Path, "mkdir", lambda path, *args, **options: refuse(path, mkdir, *args, **options))
    batch = run(sources(images), tmp_path / "out")
    assert [result.status for result in batch.results] == ["ok", "ok", "failed", "ok"]
    assert "Permission denied" in batch.failures[0].error


def test_a_file_where_the_folder_goes_is_not_touched_nor_is_anything_computed(images, tmp_path):
    (tmp_path / "b").write_text("mine")
    pipeline = hand_made.HandMadePipeline()
    batch = run(sources(images), tmp_path, pipeline)
    assert pipeline.asked == ["d", "c", "a"] and (tmp_path / "b").read_text() == "mine"
    assert "which is a file" in batch.failures[0].error


@pytest.mark.parametrize(
    "changed", ["name", "settings", "weights", "spacing", "input", "record", "table", "overlay"]
)
def test_whatever_matters_is_computed_again(images, tmp_path, changed):
    out = tmp_path / "out"
    run(sources(images, "ab"), out)
    pipeline, spacing, digest, expected = hand_made.HandMadePipeline(), 0.5, "", ["a", "b"]
    if changed == "name":
        pipeline.model_name = "other"
    elif changed == "settings":
        pipeline.config = Config(candidates=CandidateConfig(threshold=6.0))
    elif changed == "weights":
        digest = "new"
    elif changed == "spacing":
        spacing = 0.4
    else:
        expected = ["a"]
        if changed == "input":
            (images / "a.png").write_bytes((images / "c.png").read_bytes())
        elif changed == "record":
            (out / "a" / "prediction.json").write_text("{")
        else:
            (out / "a" / {"table": "calcifications.csv", "overlay": "overlay.png"}[changed]).unlink()
    predict_batch(sources(images, "ab"), pipeline, out=out, spacing_mm=spacing, model_digest=digest)
    assert pipeline.asked == expected


def test_images_are_told_by_what_is_in_them(tmp_path):
    def write(seed: int, time_ns: int) -> int:
        pixels = (hand_made.mammogram(rows=120, cols=90, seed=seed).pixels * 65535).astype(np.uint16)
        cv2.imwrite(str(tmp_path / "a.png"), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])
        os.utime(tmp_path / "a.png", ns=(time_ns, time_ns))
        return (tmp_path / "a.png").stat().st_size

    def asked() -> list[str]:
        pipeline = hand_made.HandMadePipeline()
        run(sources(tmp_path, "a"), tmp_path / "out", pipeline)
        return pipeline.asked

    size = write(0, 1)
    assert asked() == ["a"]
    assert write(1, 1) == size and asked() == ["a"]  # another image of the same size and time
    assert write(1, 2) == size and asked() == []  # the same one, copied


def test_failed_images_are_tried_again(images, tmp_path):
    run(sources(images), tmp_path, hand_made.HandMadePipeline(fails_on={"c": OSError("disk")}))
    again = hand_made.HandMadePipeline()
    assert run(sources(images), tmp_path, again).exit_code == ALL_DONE
    assert again.asked == ["c"]


def test_result_of_another_model_does_not_stand_where_this_one_failed(images, tmp_path):
    run(sources(images, "a"), tmp_path)
    run(sources(images, "a"), tmp_path, hand_made.HandMadePipeline("other", fails_on={"a": OSError("disk")}))
    assert not (tmp_path / "a" / "prediction.json").exists()
    assert not (tmp_path / "a" / "overlay.png").exists()


def test_interruption_keeps_and_reports_what_is_done(images, tmp_path):
    interrupted = hand_made.HandMadePipeline(fails_on={"b": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        run(sources(images), tmp_path, interrupted)
    assert list(table(tmp_path)["image_id"]) == ["d", "c"]
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["interrupted"] and record["not_reached"] == ["b", "a"]
    assert "2 images were not reached" in (tmp_path / "report.html").read_text()
    rest = hand_made.HandMadePipeline()
    run(sources(images), tmp_path, rest)
    assert rest.asked == ["b", "a"] and list(table(tmp_path)["image_id"]) == ["d", "c", "b", "a"]


def test_killed_run_has_listed_what_it_did_and_goes_on(images, tmp_path):
    """The process ends without any clean-up in the middle of the third image's files."""
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import hand_made, calcigraph.batch.job as job
from calcigraph.batch import predict_batch
from calcigraph.io import find_inputs
draw = job.write_overlay
job.write_overlay = lambda folder, *rest: os._exit(9) if folder.name == "b" else draw(folder, *rest)
inputs = find_inputs([os.path.join({str(images)!r}, name + ".png") for name in "dcba"])
predict_batch(inputs, hand_made.HandMadePipeline(), out=__import__("pathlib").Path(sys.argv[1]), spacing_mm=0.5)
"""
    out = tmp_path / "out"
    assert subprocess.run([sys.executable, "-c", script, str(out)], check=False).returncode == 9
    assert list(table(out)["image_id"]) == ["d", "c"]
    assert (out / "b" / "calcifications.csv").exists() and not (out / "b" / "prediction.json").exists()
    rest = hand_made.HandMadePipeline()
    assert run(sources(images), out, rest).exit_code == ALL_DONE
    assert rest.asked == ["b", "a"] and list(table(out)["image_id"]) == ["d", "c", "b", "a"]


def test_a_users_own_files_in_the_way_are_left_alone(images, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("mine")
    (tmp_path / "a" / "overlay.png").write_text("to be replaced")
    run(sources(images, "a"), tmp_path)
    run(sources(images, "a"), tmp_path, hand_made.HandMadePipeline("other"))
    assert (tmp_path / "a" / "notes.txt").read_text() == "mine"


def test_image_named_as_a_result_fails_alone(images, tmp_path):
    (images / "a.png").rename(images / "run.json.png")
    batch = run([*find_inputs([images / "run.json.png"]), *sources(images, "b")], tmp_path)
    assert batch.exit_code == SOME_FAILED and "rename" in batch.failures[0].error
    assert (tmp_path / "run.json").is_file()


def test_output_that_cannot_be_is_refused_before_anything_runs(images, tmp_path):
    (tmp_path / "file").touch()
    pipeline = hand_made.HandMadePipeline()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadConfig, match="--out"):
            run(sources(images), out, pipeline)
    assert pipeline.asked == []


def test_two_inputs_of_one_name_are_refused(images, tmp_path):
    (source,) = sources(images, "a")
    with pytest.raises(ValueError, match="image_id"):
        run([source, source], tmp_path)


def test_file_name_that_is_not_text(images, tmp_path):
    (images / "a.png").rename(images / os.fsdecode(b"m\xff<b>.png"))
    out = tmp_path / "out"
    assert run(find_inputs([images]), out).exit_code == ALL_DONE
    again = hand_made.HandMadePipeline()
    run(find_inputs([images]), out, again)
    assert again.asked == []
    assert "m\\udcff" in (out / "predictions.csv").read_text(encoding="utf-8")


def test_weights_decide_the_digest(tmp_path):
    assert weights_digest(tmp_path) == weights_digest(tmp_path / "absent") == ""
    (tmp_path / "confirm.safetensors").write_bytes(b"1")
    one = weights_digest(tmp_path)
    (tmp_path / "confirm.safetensors").write_bytes(b"2")
    other = weights_digest(tmp_path)
    (tmp_path / "familiar.json").write_text("{}")  # decides the warnings
    assert len({one, other, weights_digest(tmp_path), ""}) == 4


def test_unreadable_image_keeps_its_words(tmp_path):
    (source,) = find_inputs([tmp_path / "absent.dcm"])
    with pytest.raises(UnreadableImage) as raised:
        source.open(None)
    assert run([source], tmp_path / "out").failures[0].error == str(raised.value)
