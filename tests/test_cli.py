from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

import hand_made
from calcigraph import cli
from calcigraph.cli.terminal import TrainingLines, progress
from calcigraph.errors import BadModel
from calcigraph.io import Case, write_manifest
from calcigraph.lexicon import RESEARCH_USE, Distribution
from calcigraph.training.state import EpochReport


class Shell:
    """`main()` in this process, with a pipeline made by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.pipeline = hand_made.HandMadePipeline()
        self.asked_for: list[tuple[str, str]] = []
        pipeline, checkpoint = (types.ModuleType(f"calcigraph.{name}") for name in ("pipeline", "checkpoint"))
        pipeline.Pipeline = self  # type: ignore[attr-defined]
        checkpoint.find_model = Path  # type: ignore[attr-defined]
        checkpoint.shipped_models = lambda: {"default": Path("weights/default")}  # type: ignore[attr-defined]
        for module in (pipeline, checkpoint):
            monkeypatch.setitem(sys.modules, module.__name__, module)

    def from_pretrained(self, name: str = "default", *, device: str = "cpu") -> hand_made.HandMadePipeline:
        self.asked_for.append((name, device))
        if name == "absent":
            raise BadModel("no model", allowed="a model folder", do="check the path")
        return self.pipeline

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["calcigraph", *map(str, arguments)])
        with pytest.raises(SystemExit) as raised:
            cli.main()
        captured = self._capsys.readouterr()
        return raised.value.code or 0, captured.out, captured.err


@pytest.fixture
def shell(monkeypatch, capsys):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(getattr(sys, name), "reconfigure", lambda **_: None, raising=False)
    return Shell(monkeypatch, capsys)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), (hand_made.mammogram(rows=120, cols=90).pixels * 65535).astype(np.uint16))
    return path


def test_importing_the_command_line_imports_nothing_heavy():
    code = (
        "import sys, calcigraph.cli;"
        "heavy = {'torch', 'torch_geometric', 'pandas', 'matplotlib', 'cv2', 'numpy', 'pydicom', 'rich', 'jinja2'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"imported: {done.stderr}"


def test_help_names_every_verb(shell):
    code, out, _ = shell("--help")
    assert code == 0
    assert all(verb in out for verb in ("predict", "check", "info")) and "Research use" in out


def test_names_of_the_package_are_lazy_and_all_there():
    code = (
        "import sys, calcigraph as cg;"
        "assert 'numpy' not in sys.modules and 'importlib.metadata' not in sys.modules;"
        "cg.Distribution; assert 'numpy' not in sys.modules;"
        "assert set(cg.__all__) <= set(dir(cg));"
        "names = [n for n in cg.__all__ if n != 'Pipeline']; [getattr(cg, n) for n in names];"
        "assert cg.__version__[0].isdigit() and callable(cg.figures.overlay) and 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_name_of_the_package():
    import calcigraph

    with pytest.raises(AttributeError, match="nothing"):
        _ = calcigraph.nothing  # type: ignore[attr-defined]


def test_predict(shell, image, tmp_path):
    code, out, err = shell("predict", image, "--out", tmp_path / "out", "--spacing", "0.5", "--candidates")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "image: grouped (0.60), 24 calcifications"
    assert f"report: {tmp_path / 'out' / 'report.html'}" in lines and lines[-1] == RESEARCH_USE
    assert (tmp_path / "out" / "image" / "candidates.csv").exists()
    assert shell.asked_for == [("default", "cpu")]
    _, out, _ = shell("predict", image, "--out", tmp_path / "out", "--spacing", "0.5")
    assert "1 of them from an earlier run" in out


def test_results_among_the_inputs_are_not_read_as_mammograms(shell, image, tmp_path):
    for _ in range(2):
        code, out, _ = shell("predict", tmp_path, "--out", tmp_path / "out", "--spacing", "0.5")
        assert code == 0 and "1 image: 1 done" in out


def test_some_failed(shell, image, tmp_path):
    code, out, err = shell(
        "predict", image, tmp_path / "absent", "--out", tmp_path / "out", "--spacing", "0.5"
    )
    assert code == 3 and "absent: failed:" in out and "2 images: 1 done, 1 failed" in out
    assert "Traceback" not in out + err


def test_all_failed_and_no_images_are_nothing_processed(shell, tmp_path):
    assert shell("predict", tmp_path / "absent", "--out", tmp_path / "out")[0] == 4
    (tmp_path / "empty").mkdir()
    code, _, err = shell("predict", tmp_path / "empty", "--out", tmp_path / "out2")
    assert code == 4 and err.startswith("error: no images in") and not (tmp_path / "out2").exists()


def test_an_input_without_images_beside_others_is_told(shell, image, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, err = shell(
        "predict", image, tmp_path / "empty", "--out", tmp_path / "out", "--spacing", "0.5"
    )
    assert code == 0 and err == f"no images in {tmp_path / 'empty'}\n" and "1 image: 1 done" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--spacing", "-1"], "allowed"),
        (["--spacing", "nan"], "allowed"),
        (["--spacing", "inf"], "allowed"),
        (["--spacing", "85"], "allowed"),
        (["--spacing", "wide"], "--spacing"),
        (["--device", "gpu"], "allowed: cpu, cuda"),
        (["--device", "cuda:99"], "allowed: cpu"),
        (["--model", "absent"], "allowed: a model folder"),
        (["--colour"], "--colour"),
    ],
)
def test_wrong_usage_is_one_line(shell, image, tmp_path, options, words):
    code, out, err = shell("predict", image, "--out", tmp_path / "out", *options)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1 and words in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--cohort", "twin", "--cases", "5", "--normals", "0"],
            "--cases and --normals beside --cohort twin",
        ),
        (["--outlines", "absent.json", "--cohort", "balanced"], "--cohort beside --outlines"),
        (["--outlines", "absent.json", "--cases", "1"], "--cases beside --outlines"),
    ],
)
def test_a_cohort_is_planned_in_one_way(shell, tmp_path, options, words):
    code, out, err = shell("simulate", "--out", tmp_path / "out", *options)
    assert (code, out, err.count("\n")) == (2, "", 1) and words in err
    assert not (tmp_path / "out").exists()


def test_output_that_is_a_file(shell, image):
    code, _, err = shell("predict", image, "--out", image, "--spacing", "0.5")
    assert code == 2 and err.count("\n") == 1 and "--out" in err


def test_a_full_disk_is_one_line_that_says_what_to_do(shell, image, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("calcigraph.batch.run.append_prediction", full)
    code, _, err = shell("predict", image, "--out", tmp_path / "out", "--spacing", "0.5")
    assert code == 2 and err.count("\n") == 1
    assert os.strerror(errno.ENOSPC) in err and "run the same command again" in err


def test_missing_arguments_and_unknown_verbs_are_one_line(shell):
    for arguments in (["predict"], ["predict", "x"], ["conquer"], ["check"]):
        code, _, err = shell(*arguments)
        assert code == 2 and err.startswith("error: ") and err.count("\n") == 1


def test_interruption(shell, image, tmp_path):
    shell.pipeline.fails_on["image"] = KeyboardInterrupt()
    code, _, err = shell("predict", image, "--out", tmp_path / "out", "--spacing", "0.5")
    assert code == 130 and err.count("\n") == 1 and str(tmp_path / "out") in err
    assert (tmp_path / "out" / "predictions.csv").exists()


def test_a_real_interrupt_signal(image, tmp_path):
    script = f"""
import signal, sys, types, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.path.insert(0, {str(Path(__file__).parent)!r})
import hand_made
class Slow(hand_made.HandMadePipeline):
    def predict(self, image):
        print("predicting", flush=True)
        time.sleep(60)
    @classmethod
    def from_pretrained(cls, name, *, device):
        return cls()
for name in ("pipeline", "checkpoint"):
    module = types.ModuleType("calcigraph." + name)
    module.Pipeline, module.find_model = Slow, lambda name: __import__("pathlib").Path(name)
    sys.modules["calcigraph." + name] = module
sys.argv = ["calcigraph", "predict", {str(image)!r}, "--out", {str(tmp_path / "out")!r}, "--spacing", "0.5"]
from calcigraph.cli import main
main()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "predicting\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read().count("\n") == 1


def test_a_prevalence_is_expected_and_another_one_is_predicted_anew(shell, image, tmp_path):
    call = ("predict", image, "--out", tmp_path / "out", "--spacing", "0.5", "--prevalence")
    for given, asked in (("equal", 1), ("1,1,1,1,6", 2), ("1,1,1,1,6", 2)):
        assert shell(*call, given)[0] == 0 and len(shell.pipeline.asked) == asked
    code, _, err = shell(*call, "often")
    assert code == 2 and err.startswith("error: prevalence 'often'; allowed: equal") and err.count("\n") == 1


def test_check(shell, image, tmp_path):
    cases = [
        Case("one", "p1", Path(image.name), distribution=Distribution.LINEAR, spacing_mm=0.5),
    ]
    write_manifest(tmp_path, name="small", licence="CC0", source="made by hand", cases=cases)
    code, out, _ = shell("check", tmp_path)
    assert code == 0 and "small (licence: CC0; source: made by hand)" in out
    assert "1 image of 1 patient" in out and "no problems found" in out
    line = next(line for line in out.splitlines() if "linear" in line)
    assert line.split() == ["linear", "1", "image", "of", "1", "patient"]
    assert shell("check", tmp_path, "--images")[0] == 0
    image.unlink()
    code, out, _ = shell("check", tmp_path)
    assert code == 2 and "is not a file" in out and "1 problem" in out


def test_check_of_no_data_set(shell, tmp_path):
    code, out, err = shell("check", tmp_path / "absent")
    assert code == 2 and "no such folder" in out and "Traceback" not in err


def test_info_and_version(shell):
    code, out, _ = shell("info")
    assert code == 0 and "torch" in out and "cpu" in out and "weights/default" in out and RESEARCH_USE in out
    code, out, _ = shell("--version")
    assert code == 0 and out.startswith("calcigraph ")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals on this system")
def test_bar_on_a_terminal_only(capfd, monkeypatch):
    with progress(3) as move:
        move(1, "one")
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress(3) as move:
        move(1, "one")
    assert "1/3" in capfd.readouterr().err


@pytest.mark.parametrize(
    "loss, score, said",
    [
        (0.5, 0.75, "held out 0.5000, score 0.7500"),
        (0.5, float("nan"), "held out 0.5000, no score (one class held out)"),
        (float("nan"), float("nan"), "nobody held out"),
    ],
)
def test_an_epoch_says_in_words_what_has_no_number(loss, score, said, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    TrainingLines().epoch("confirm", EpochReport(0, 1e-3, 0.25, loss, score, 2.0))
    assert f"confirm: epoch 1, loss 0.2500, {said}, 2 s\n" in capsys.readouterr().err
