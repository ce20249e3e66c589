"""A whole study on a tiny cohort: what it leaves, killed and resumed, refused."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calcigraph.crossval import run_study
from calcigraph.crossval.bench import Bench, shift
from calcigraph.crossval.contestants import CONTESTANTS, contestant_key
from calcigraph.crossval.folds import SPLITS_FILE, freeze_folds
from calcigraph.crossval.study import answer_fold
from calcigraph.crossval.table import OUR_METRICS, PAPER_METRICS, labels, probabilities
from calcigraph.errors import BadConfig, BadManifest, BadModel
from calcigraph.io import read_dataset
from calcigraph.io.tables import read_table
from calcigraph.io.truth import truth_path
from calcigraph.lexicon import DISTRIBUTIONS, Distribution
from calcigraph.metrics import bootstrap, scores
from calcigraph.training import Workers
from inline_pool import InlinePool
from tiny_study import MODELS, OPTIONS, HeardStudy, study
from tiny_training import Killed

NETWORKS = ("confirm", "describe", "distribution")
NUMBERS = ("predictions.csv", "metrics.json", "splits.json", "MODEL_CARD.md")


def numbers(run):
    return {name: (run / name).read_bytes() for name in NUMBERS}


@pytest.fixture(scope="module")
def finished(tiny_cohort, tmp_path_factory):
    run = tmp_path_factory.mktemp("study")
    result, heard = study(tiny_cohort, run)
    return run, result, heard


def test_every_labelled_image_is_answered_once_by_models_that_did_not_see_its_patient(finished, tiny_cohort):
    run, _, heard = finished
    assert heard.folds == [(k, model, False) for k in (1, 2) for model in MODELS]
    table = pd.read_csv(run / "predictions.csv")
    labelled = [case for case in read_dataset(tiny_cohort).cases if case.distribution is not None]
    for _, own in table.groupby("model"):
        assert sorted(own["image_id"]) == sorted(case.image_id for case in labelled)
    assert np.allclose(probabilities(table).sum(axis=1), 1, atol=1e-5)
    folds = json.loads((run / "splits.json").read_text())["folds"]
    for fold in folds:
        trained = json.loads((run / f"fold_{fold['number']}" / "default" / "splits.json").read_text())
        assert set(trained["validation"]) == set(fold["validation"]) and not set(fold["test"]) & set(
            fold["validation"]
        )
        tested = table[table["fold"] == fold["number"]]["patient_id"]
        assert set(tested) <= set(fold["test"])


def test_nothing_of_test_patients_reaches_what_is_trained(finished, tiny_cohort, tmp_path):
    run, _, _ = finished
    shutil.copytree(tiny_cohort, tmp_path / "data")
    given = read_dataset(tmp_path / "data")
    fold = freeze_folds(run / SPLITS_FILE, given.cases, folds=2, seed=3, validation_share=0.5)[0]
    donor = next(case for case in given.cases if case.patient_id not in fold.test)
    for case in given.cases:
        if case.patient_id in fold.test:
            shutil.copyfile(given.folder / donor.path, given.folder / case.path)
            truth = truth_path(given.folder, case.image_id)
            truth.write_text(truth.read_text().splitlines()[0] + "\n")
    other = [
        replace(c, distribution=Distribution.LINEAR) if c.patient_id in fold.test else c for c in given.cases
    ]
    changed = fold.mark(replace(given, cases=tuple(other)))
    bench = Bench(tmp_path / "run", fold, changed, OPTIONS, "cpu", Workers(), HeardStudy())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calcigraph.processes.ProcessPoolExecutor", InlinePool)
        for name in ("default", "mobilenetv2"):
            answer_fold(bench, name)
    before = run / "fold_1"
    trained = [
        p.relative_to(before) for name in ("default", "mobilenetv2") for p in (before / name).rglob("*")
    ]
    trained = [path for path in trained if path.suffix in (".safetensors", ".toml", ".json")]
    assert len(trained) > 8
    kept = [path for path in trained if path.name != "run.json"]  # which holds the key of the data
    assert [path for path in kept if (before / path).read_bytes() != (bench.folder / path).read_bytes()] == []
    assert (before / "default" / "predictions.csv").read_bytes() != (
        bench.folder / "default" / "predictions.csv"
    ).read_bytes()


def test_networks_expect_the_classes_as_the_training_data_have_them(finished, tiny_cohort, tmp_path):
    run, _, _ = finished
    models = ("default", "mobilenetv2", "boosting")
    level = replace(OPTIONS, default=replace(OPTIONS.default, prevalence="equal"))
    study(tiny_cohort, tmp_path, models=models, options=level)
    moved, plain = (pd.read_csv(folder / "predictions.csv") for folder in (run, tmp_path))
    for fold in (1, 2):
        here, there = (
            table[(table["fold"] == fold) & table["model"].isin(models) & (table["answered"] == 1)]
            for table in (moved, plain)
        )
        others = plain.loc[(plain["fold"] != fold) & (plain["model"] == "default"), "truth"]
        shares = np.array([(others == name).mean() for name in DISTRIBUTIONS])
        expected = probabilities(there) * shares**OPTIONS.default.prevalence_weight
        expected /= expected.sum(axis=1, keepdims=True)
        assert len(here) and np.allclose(probabilities(here), expected, atol=1e-4)
    assert shift(OPTIONS.default, balanced=False) == 0 == shift(level.default, balanced=True)
    moved = {name for name, contestant in CONTESTANTS.items() if contestant.shift(OPTIONS)}
    assert moved == set(CONTESTANTS) - {"paper", "rule", "constant"}
    assert (
        "“graph, default”, “MobileNetV2”, “boosting on geometry” are then moved"
        in (run / "report.html").read_text()
    )
    assert "are then moved" not in (tmp_path / "report.html").read_text()


def test_the_tables_are_those_of_the_answers(finished):
    run, result, _ = finished
    table = pd.read_csv(run / "predictions.csv")
    said = json.loads((run / "metrics.json").read_text())
    assert said["notice"].startswith("Research use only")
    for row in result.rows:
        own = table[table["model"] == row.model]
        folds = [scores(labels(part), probabilities(part)) for _, part in own.groupby("fold")]
        for name in PAPER_METRICS:
            values = [getattr(fold, name) for fold in folds]
            assert row.folds[name].mean == pytest.approx(np.mean(values))
            assert row.folds[name].sd == pytest.approx(np.std(values, ddof=1))
        pooled = bootstrap(
            labels(own), probabilities(own), patients=list(own["patient_id"]), seed=3, repeats=20
        )
        assert row.pooled == {name: pooled[name] for name in (*PAPER_METRICS, *OUR_METRICS)}
        assert sum(share.n for share in row.sensitivity.values()) == 12
        hits = sum(share.hits for share in row.sensitivity.values())
        assert hits / 12 == pytest.approx(row.pooled["accuracy"].value)
    assert [row["model"] for row in said["models"]] == list(MODELS)
    assert len(said["paper, another data set"]) == 5


def test_the_page_shows_everything(finished):
    run, result, _ = finished
    page = (run / "report.html").read_text()
    assert page.count("Research use only") >= 1 and "another data set" in page
    for row in result.rows:
        assert row.title in page
    pictures = re.findall(r'src="(figures/[^"]+)"', page)
    assert sorted(Path(name).name for name in pictures) == sorted(result.figures)
    assert all((run / name).stat().st_size > 1000 for name in pictures)
    assert {"examples.jpg", "deletion.png", "learning_curves.png"} <= set(result.figures)
    links = re.findall(r'href="([^"#:]+)"', page)
    assert links and all((run / name).exists() for name in links)
    assert str(run) not in page and "<script" not in page


def test_moments_are_not_kept_and_nothing_is_pickled(finished):
    run, _, _ = finished
    assert not list(run.glob("fold_*/**/state.safetensors"))
    assert [path.parent.parent.name for path in run.rglob("state.safetensors")] == ["pretraining"]
    assert list(run.glob("fold_*/mobilenetv2/best.safetensors"))
    assert not list(run.rglob("*.pkl")) and not list(run.rglob("*.pt"))


def test_the_budget_counts_the_pretraining_that_folds_share_once(finished):
    run, result, _ = finished
    row = next(each for each in result.budgets if each.model == "default")
    own = [read_table(path) for path in run.glob("fold_*/default/**/history.csv")]
    (shared,) = (read_table(path) for path in run.glob("pretraining/*/history.csv"))
    assert row.seconds == pytest.approx(sum(table["seconds"].sum() for table in [*own, shared]))


def in_two_classes(cases):
    """Cases whose patients are *grouped* and *diffuse* in turn."""
    patients = sorted({case.patient_id for case in cases})
    names = {patient: ("grouped", "diffuse")[place % 2] for place, patient in enumerate(patients)}
    return [replace(case, distribution=Distribution(names[case.patient_id])) for case in cases]


def test_a_distribution_of_a_single_patient_is_left_out(tiny_cohort, tmp_path):
    dataset = read_dataset(tiny_cohort)
    one = dataset.cases[0].patient_id
    linear = [replace(c, distribution=Distribution.LINEAR) for c in dataset.cases if c.patient_id == one]
    others = in_two_classes([c for c in dataset.cases if c.patient_id != one])
    mixed = replace(dataset, cases=(*linear, *others))
    result = run_study(mixed, ["constant"], OPTIONS, tmp_path, reporter=HeardStudy())
    found = {name: share.n for name, share in result.rows[0].sensitivity.items()}
    assert found["linear"] == 0 and found["grouped"] + found["diffuse"] == len(others)
    page = (tmp_path / "report.html").read_text()
    assert "Left out." in page and ": linear.</li>" in page
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == len(others)


def test_figure_5_needs_what_explains_the_answers_and_no_networks(finished, tiny_cohort, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    for weights in run.rglob("*.safetensors"):
        weights.unlink()
    again, _ = study(tiny_cohort, run)
    assert "examples.jpg" in again.figures
    picture = (run / "figures" / "examples.jpg").read_bytes()
    assert picture == (finished[0] / "figures" / "examples.jpg").read_bytes()
    for heats in run.glob("fold_*/mobilenetv2/grad_cam.npy"):
        heats.unlink()
    again, _ = study(tiny_cohort, run)
    assert "examples.jpg" in again.figures and (run / "figures" / "examples.jpg").read_bytes() != picture
    for nodes in run.glob("fold_*/default/saliency.csv"):
        nodes.unlink()
    again, _ = study(tiny_cohort, run)
    assert "examples.jpg" not in again.figures and "Figure 5: what" not in (run / "report.html").read_text()


def test_a_finished_study_repeats_nothing(finished, tiny_cohort):
    run, _, _ = finished
    before = numbers(run)
    _, heard = study(tiny_cohort, run)
    assert all(kept for _, _, kept in heard.folds) and not heard.epochs and numbers(run) == before


def test_a_model_can_be_added_later(tiny_cohort, tmp_path):
    study(tiny_cohort, tmp_path, models=("constant",))
    result, heard = study(tiny_cohort, tmp_path, models=("mobilenetv2",))
    assert heard.folds == [(1, "mobilenetv2", False), (2, "mobilenetv2", False)]
    assert [row.model for row in result.rows] == ["mobilenetv2", "constant"]
    assert set(pd.read_csv(tmp_path / "predictions.csv")["model"]) == {"mobilenetv2", "constant"}
    assert "constant answer" in (tmp_path / "report.html").read_text()
    assert list(json.loads((tmp_path / "run.json").read_text())["models"]) == ["mobilenetv2", "constant"]
    assert tomllib.loads((tmp_path / "config.toml").read_text())["models"] == ["mobilenetv2", "constant"]


def test_a_model_is_keyed_by_what_it_is_made_of_and_by_nothing_else(finished, tmp_path):
    first, second = (finished[0] / f"fold_{k}" / "default" / "model" for k in (1, 2))
    file = tmp_path / "w.safetensors"
    file.write_bytes(b"one")
    given = replace(OPTIONS, detector=str(first), pretrained={"resnet50": str(file)})

    def changed(options):
        return {n for n in CONTESTANTS if contestant_key(options, n) != contestant_key(given, n)}

    of_default = {"default", "default-scratch", "boosting", "rule"}
    images = {name for name, contestant in CONTESTANTS.items() if contestant.kind == "image"}
    assert changed(replace(given, detector=str(second))) == of_default | {"paper"}
    tuned = replace(OPTIONS.default, pretraining=replace(OPTIONS.default.pretraining, graphs=7))
    assert changed(replace(given, default=tuned)) == of_default
    assert changed(replace(given, image_size_px=80)) == images
    assert changed(replace(given, image_precision="bf16-mixed")) == images
    assert changed(replace(given, bootstraps=9, permutations=9, first_folds=1)) == set()
    before = contestant_key(given, "resnet50")
    file.write_bytes(b"other")
    assert contestant_key(given, "resnet50") != before


def test_answers_of_other_options_are_refused_until_they_are_deleted(finished, tiny_cohort, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    before, other = numbers(run), {"models": ("constant",), "options": replace(OPTIONS, image_size_px=80)}
    with pytest.raises(
        BadModel, match=r"with mobilenetv2 of other settings .* fold_\*/mobilenetv2$"
    ) as caught:
        study(tiny_cohort, run, **other)
    assert "\n" not in str(caught.value) and numbers(run) == before
    for folder in run.glob("fold_*/mobilenetv2"):
        shutil.rmtree(folder)
    result, heard = study(tiny_cohort, run, **other)
    assert all(kept for _, _, kept in heard.folds) and "mobilenetv2" not in [row.model for row in result.rows]
    _, heard = study(tiny_cohort, run, models=("mobilenetv2",), options=other["options"])
    assert heard.folds == [(1, "mobilenetv2", False), (2, "mobilenetv2", False)]


def test_nothing_of_deleted_answers_is_taken_for_new_ones(finished, tiny_cohort, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    wider = replace(OPTIONS.default, breast=replace(OPTIONS.default.breast, tissue_margin_mm=4.0))
    other = {"models": ("mobilenetv2", "rule"), "options": replace(OPTIONS, default=wider)}
    with pytest.raises(BadModel, match="of other settings") as caught:
        study(tiny_cohort, run, **other)
    named = [part.strip(",") for part in str(caught.value).split() if part.startswith("fold_*/")]
    assert {name.split("/")[1] for name in named} >= {"default", "boosting", "rule", "mobilenetv2"}
    for folder in [each for name in named for each in run.glob(name)]:
        shutil.rmtree(folder)
    assert not list(run.glob("fold_*/**/geometry.csv"))
    benches = [Bench(run, None, None, options, "cpu", None, None) for options in (OPTIONS, other["options"])]
    assert benches[0].images != benches[1].images


def test_what_an_image_network_lacks_is_said_before_anything_is_trained(tiny_cohort, tmp_path, monkeypatch):
    heard = HeardStudy()
    lacking = replace(OPTIONS, pretrained={"mobilenetv2": str(tmp_path / "absent.safetensors")})
    with pytest.raises(BadModel, match="pretrained weights"):
        study(tiny_cohort, tmp_path / "run", heard=heard, options=lacking)
    monkeypatch.setitem(sys.modules, "lightning.fabric", None)
    with pytest.raises(BadConfig, match="Lightning"):
        study(tiny_cohort, tmp_path / "run", heard=heard, workers=Workers(devices=2))
    monkeypatch.setitem(sys.modules, "monai.networks", None)
    with pytest.raises(BadConfig, match="MONAI"):
        study(tiny_cohort, tmp_path / "run", heard=heard, models=("default", "resnet50"))
    assert not heard.words and not (tmp_path / "run").exists()


def test_folds_can_follow_later(tiny_cohort, tmp_path):
    models = ("constant",)
    study(tiny_cohort, tmp_path, models=models, options=replace(OPTIONS, first_folds=1))
    assert "1 of 2 folds" in (tmp_path / "report.html").read_text()
    result, heard = study(tiny_cohort, tmp_path, models=models)
    assert heard.folds == [(1, "constant", True), (2, "constant", False)]
    assert "1 of 2 folds" not in (tmp_path / "report.html").read_text()
    assert sum(share.n for share in result.rows[0].sensitivity.values()) == 12
    again, _ = study(tiny_cohort, tmp_path, models=models, options=replace(OPTIONS, first_folds=1))
    assert again.rows == result.rows and "1 of 2 folds" not in (tmp_path / "report.html").read_text()


def test_a_model_that_has_answered_some_folds_is_listed_and_leaves_the_others_their_rows(
    tiny_cohort, tmp_path
):
    whole, _ = study(tiny_cohort, tmp_path, models=("constant",))
    (tmp_path / "figures" / "of_before.png").write_bytes(b"")
    part, _ = study(tiny_cohort, tmp_path, models=("mobilenetv2",), options=replace(OPTIONS, first_folds=1))
    assert part.rows == whole.rows and part.partial == {"mobilenetv2": 1}
    assert "MobileNetV2 (1 of 2 folds)" in (tmp_path / "report.html").read_text()
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == sorted(part.figures)
    done, _ = study(tiny_cohort, tmp_path, models=("mobilenetv2",))
    assert [row.model for row in done.rows] == ["mobilenetv2", "constant"] and not done.partial


def test_folds_without_a_label_are_none_that_is_missing(tiny_cohort, tmp_path):
    dataset = read_dataset(tiny_cohort)
    patients = sorted({case.patient_id for case in dataset.cases})
    known = in_two_classes([case for case in dataset.cases if case.patient_id in patients[:4]])
    others = [replace(c, distribution=None) for c in dataset.cases if c.patient_id not in patients[:4]]
    few, options = replace(dataset, cases=(*known, *others)), replace(OPTIONS, folds=len(patients))
    result = run_study(few, ["constant"], options, tmp_path, reporter=HeardStudy())
    assert sum(share.n for share in result.rows[0].sensitivity.values()) == len(known)
    assert "A part of the study" not in (tmp_path / "report.html").read_text()


def test_folds_in_which_nobody_chooses_say_so(tiny_cohort, tmp_path):
    """Of two patients of a class one is tested and the other trains; of five some can choose."""
    given = read_dataset(tiny_cohort)
    larger = replace(given, cases=tuple(in_two_classes(given.cases)))
    for name, dataset, said in (("none", given, True), ("some", larger, False)):
        run_study(dataset, ["constant"], OPTIONS, tmp_path / name, reporter=HeardStudy())
        page = (tmp_path / name / "report.html").read_text()
        assert ("In fold 1, 2 no patient could be spared" in page) == said


def test_damaged_answers_are_named_in_one_line(tiny_cohort, tmp_path):
    study(tiny_cohort, tmp_path, models=("constant",))
    (tmp_path / "fold_2" / "constant" / "predictions.csv").write_text("")
    with pytest.raises(BadModel, match=r"fold_2.constant.predictions.csv that cannot be read") as caught:
        study(tiny_cohort, tmp_path, models=("constant",))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["default/deletion.csv", "default/distribution/history.csv", "default/saliency.csv"]
)
def test_every_damaged_table_is_named_in_one_line(finished, tiny_cohort, tmp_path, name):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    (run / "fold_2" / name).write_text("")
    with pytest.raises(BadModel, match=rf"fold_2.{name.replace('/', '.')} that cannot be read") as caught:
        study(tiny_cohort, run)
    assert "\n" not in str(caught.value)


KILLS = (
    "fold 1, default: detect 9/13",
    "fold 1, default: describe epoch 0",
    "fold 1, default: answered",
    "fold 1, mobilenetv2: shrink 5/13",
    "fold 1, mobilenetv2: mobilenetv2 epoch 0",
    "fold 1, geometry: encode 3/12",
    "fold 2, default: distribution epoch 0",
    "fold 2, default: encode 4/6",
    "fold 2, rule: answered",
)


def test_killed_again_and_again_it_repeats_no_finished_fold_and_ends_with_the_same_numbers(
    finished, tiny_cohort, tmp_path
):
    answered = []
    for kill_at in KILLS:
        heard = HeardStudy(kill_at)
        with pytest.raises(Killed):
            study(tiny_cohort, tmp_path, heard=heard)
        answered += [(fold, model) for fold, model, before in heard.folds if not before]
        assert not (tmp_path / "metrics.json").exists()
    _, heard = study(tiny_cohort, tmp_path)
    answered += [(fold, model) for fold, model, before in heard.folds if not before]
    assert answered == [(k, model) for k in (1, 2) for model in MODELS]
    assert numbers(tmp_path) == numbers(finished[0])


def killed_at_random(cohort, run, moments, *, most):
    """Run a study in a process of its own, killed outright at random moments; returns how often."""
    program = [sys.executable, str(Path(__file__).with_name("tiny_study.py")), str(cohort), str(run)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    kills, done = 0, {}
    while True:
        process = subprocess.Popen(program, env=environment)
        try:
            process.wait(timeout=moments.uniform(3, 10) if kills < most else 600)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        now = {path: path.stat().st_mtime_ns for path in run.glob("fold_*/*/predictions.csv")}
        assert done.items() <= now.items()  # what was finished was not made again
        done = now
        if process.returncode == 0:
            return kills


@pytest.mark.long
def test_killed_outright_at_ten_random_moments_it_ends_with_the_same_numbers(finished, tiny_cohort, tmp_path):
    moments, kills, number = random.Random(5), 0, 0
    while kills < 10:
        number += 1
        kills += killed_at_random(tiny_cohort, tmp_path / str(number), moments, most=10 - kills)
        assert numbers(tmp_path / str(number)) == numbers(finished[0])
        assert number < 10


def test_a_study_at_another_size_stands_beside(finished, tiny_cohort, tmp_path):
    run, result, _ = finished
    options = replace(OPTIONS, image_size_px=96, first_folds=1)
    here, _ = study(tiny_cohort, tmp_path, models=("mobilenetv2", "constant"), options=options, beside=(run,))
    (each,) = here.beside
    answers = {
        at: pd.read_csv(at / "predictions.csv").query("model == 'mobilenetv2'") for at in (tmp_path, run)
    }
    own, other = answers.values()
    assert (each.model, each.image_size_px, each.epochs) == ("mobilenetv2", 64, 2)
    assert each.images == len(own) == (other["fold"] == 1).sum() < len(other)
    other = other.set_index("image_id").loc[own["image_id"]]
    judged = [scores(labels(table), probabilities(table)).macro_auc for table in (own, other)]
    assert [each.here.value, each.there.value] == pytest.approx(judged)
    assert each.gain.value == pytest.approx(judged[1] - judged[0])
    if own.groupby("truth")["patient_id"].nunique().max() > 1:
        assert each.gain.low <= each.gain.value <= each.gain.high
    else:  # one patient of each class: no interval
        assert np.isnan([each.gain.low, each.gain.high]).all()
    (row,) = (row for row in here.rows if row.model == "mobilenetv2")
    np.testing.assert_equal(asdict(each.here), asdict(row.pooled["macro_auc"]))
    page = (tmp_path / "report.html").read_text()
    assert "64 × 64" in page and not result.beside
    assert "Lead:" not in page
    assert ("MobileNetV2 was starved: at 64 × 64" in page) == (each.gain.low > 0)
    assert json.loads((tmp_path / "metrics.json").read_text())["beside"][0]["images"] == each.images


def test_what_cannot_stand_beside_is_refused_before_anything_is_trained(finished, tiny_cohort, tmp_path):
    run, _, _ = finished
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "run.json").write_bytes((run / "run.json").read_bytes())
    for folder, options in (
        (tmp_path / "nothing", OPTIONS),
        (unfinished, OPTIONS),
        (run, replace(OPTIONS, seed=4)),
    ):
        heard = HeardStudy()
        with pytest.raises(BadModel) as caught:
            study(tiny_cohort, tmp_path / "here", options=options, heard=heard, beside=(folder,))
        assert "allowed:" in str(caught.value) and "\n" not in str(caught.value) and not heard.words


def test_another_seed_in_the_same_folder_is_refused(finished, tiny_cohort):
    run, _, _ = finished
    before = numbers(run)
    with pytest.raises(BadModel, match="other data, settings or weights") as caught:
        study(tiny_cohort, run, options=replace(OPTIONS, seed=4))
    assert "\n" not in str(caught.value) and numbers(run) == before


def test_what_cannot_be_studied_is_refused_in_one_line(tiny_cohort, tmp_path):
    with pytest.raises(BadConfig, match=r"model 'vgg'; allowed: paper, default"):
        study(tiny_cohort, tmp_path, models=("vgg",))
    with pytest.raises(BadManifest, match="11 patients for 12 folds"):
        study(tiny_cohort, tmp_path / "folds", models=("constant",), options=replace(OPTIONS, folds=12))
    dataset = read_dataset(tiny_cohort)
    alone = {case.distribution: case.patient_id for case in dataset.cases}
    single = replace(dataset, cases=tuple(c for c in dataset.cases if c.patient_id == alone[c.distribution]))
    with pytest.raises(BadManifest, match="with no distribution that two patients have"):
        run_study(single, ["constant"], OPTIONS, tmp_path / "folds", reporter=HeardStudy())
    same = replace(dataset, cases=tuple(replace(c, distribution=Distribution.LINEAR) for c in dataset.cases))
    with pytest.raises(BadManifest, match="with 1 distribution that two patients have; allowed: two or more"):
        run_study(same, ["constant"], OPTIONS, tmp_path / "folds", reporter=HeardStudy())
    with pytest.raises(BadModel, match="nosuch"):
        lost = replace(OPTIONS, detector="nosuch")
        study(tiny_cohort, tmp_path / "folds", models=("constant",), options=lost)
    with pytest.raises(BadModel, match="pretrained weights"):
        lost = replace(OPTIONS, pretrained={"mobilenetv2": str(tmp_path / "nosuch.safetensors")})
        study(tiny_cohort, tmp_path / "folds", models=("constant",), options=lost)
    assert not (tmp_path / "folds").exists()
    with pytest.raises(BadConfig, match="folds 1; allowed: 2 or more"):
        replace(OPTIONS, folds=1)


def test_the_settings_are_all_in_the_run_folder(finished):
    run, _, _ = finished
    said = tomllib.loads((run / "config.toml").read_text())
    assert said["models"] == list(MODELS) and said["folds"] == 2
    assert said["image_training"] == asdict(OPTIONS.image_training)
    record = json.loads((run / "run.json").read_text())
    assert record["seconds"] > 0 and record["versions"]["torch"]


@pytest.mark.long
def test_every_contestant_takes_part(tiny_cohort, tmp_path):
    pytest.importorskip("monai")
    models = ("paper", "default-finetuned", "resnet50", "densenet121", "efficientnet-b7")
    result, _ = study(tiny_cohort, tmp_path, models=models)
    assert [row.model for row in result.rows] == list(models)
    assert set(result.deletions) == {"paper", "default-finetuned"}


def test_a_detector_is_kept_where_no_calcification_is_known(finished, tiny_cohort, tmp_path):
    model = str(finished[0] / "fold_1" / "default" / "model")
    options = replace(OPTIONS, detector=model)
    _, heard = study(tiny_cohort, tmp_path, models=("default",), options=options)
    stages = ((1, "pretraining"), (1, "distribution"), (2, "distribution"))  # the folds share the pretraining
    assert heard.epochs == [f"fold {k}, default: {stage} epoch {e}" for k, stage in stages for e in (0, 1)]
    page = (tmp_path / "report.html").read_text()
    assert "the detector is that of the model" in page and "The fine-tuned row" not in page


def test_unknown_calcifications_are_noticed_before_anything_is_detected(tiny_cohort, tmp_path):
    unmarked = tmp_path / "unmarked"
    shutil.copytree(tiny_cohort, unmarked, ignore=shutil.ignore_patterns("truth"))
    heard = HeardStudy()
    with pytest.raises(BadManifest, match="without known calcifications"):
        study(unmarked, tmp_path / "run", models=("default",), heard=heard)
    assert not heard.words


def test_the_fine_tuned_row_keeps_the_detector_of_the_weights_it_starts_from(
    finished, tiny_cohort, tmp_path, monkeypatch
):
    models = [finished[0] / f"fold_{k}" / "default" / "model" for k in (1, 2)]
    monkeypatch.setattr("calcigraph.crossval.graph_models.SHIPPED", str(models[0]))
    ran = {"models": ("default-finetuned",), "options": replace(OPTIONS, detector=str(models[1]))}
    study(tiny_cohort, tmp_path, **ran)
    made = tmp_path / "fold_1" / "default-finetuned" / "model"
    assert (made / "confirm.safetensors").read_bytes() == (models[0] / "confirm.safetensors").read_bytes()
    assert "The fine-tuned row keeps the shipped detector" in (tmp_path / "report.html").read_text()
    monkeypatch.setattr("calcigraph.crossval.graph_models.SHIPPED", str(models[1]))
    with pytest.raises(BadModel, match="with default-finetuned of other settings or weights"):
        study(tiny_cohort, tmp_path, **ran)


def test_the_row_from_scratch_keeps_the_fold_s_detector_and_sees_no_simulated_graph(
    finished, tiny_cohort, tmp_path
):
    for fold in (1, 2):
        shutil.copytree(finished[0] / f"fold_{fold}" / "default", tmp_path / f"fold_{fold}" / "default")
    result, heard = study(tiny_cohort, tmp_path, models=("default-scratch",))
    assert [row.model for row in result.rows] == ["default", "default-scratch"]
    assert heard.epochs == [
        f"fold {k}, default-scratch: distribution epoch {e}" for k in (1, 2) for e in (0, 1)
    ]
    models = [tmp_path / "fold_1" / name / "model" for name in ("default", "default-scratch")]
    same = {file: len({(m / f"{file}.safetensors").read_bytes() for m in models}) == 1 for file in NETWORKS}
    assert same == {"confirm": True, "describe": True, "distribution": False}
    page = (tmp_path / "report.html").read_text()
    assert "“graph, default without pretraining” is the same network" in page


@pytest.mark.long
def test_an_image_network_trains_on_two_devices_within_a_study(tiny_cohort, tmp_path):
    pytest.importorskip("lightning.fabric")
    result, heard = study(tiny_cohort, tmp_path, models=("mobilenetv2",), workers=Workers(devices=2))
    assert [row.model for row in result.rows] == ["mobilenetv2"]
    assert heard.epochs == [f"fold {k}, mobilenetv2: mobilenetv2 epoch {e}" for k in (1, 2) for e in (0, 1)]


def test_the_command(tiny_cohort, tmp_path, capsys, monkeypatch):
    from calcigraph.cli import main

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["calcigraph", "crossval", str(tiny_cohort), *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr()

    (tmp_path / "paper.toml").write_text('preset = "paper"\n[patch_training]\nepochs = 7\n')
    settings = ("--config", str(tmp_path / "paper.toml"))
    code, said = run("--out", str(tmp_path), "--folds", "3", "--models", "constant", *settings)
    assert not code and "constant answer" in said.out and "Research use only" in said.out and not said.err
    assert (tmp_path / "report.html").exists()
    kept = tomllib.loads((tmp_path / "config.toml").read_text())
    assert kept["paper"]["patch_training"]["epochs"] == 7
    assert kept["default"]["patch_training"]["epochs"] != 7
    for words in (
        ("--models", "vgg"),
        ("--folds", "1"),
        ("--pretrained", "resnet50"),
        ("--devices", "0"),
        ("--devices", "100000"),
        ("--image-epochs", "0"),
        (*settings, *settings),
        ("--strategy", "magic"),
        ("--precision", "half"),
    ):
        code, said = run("--out", str(tmp_path / "other"), *words)
        assert code == 2 and said.err.count("\n") == 1 and "allowed:" in said.err


def test_classes_of_the_lexicon_are_the_columns(finished):
    _, result, _ = finished
    assert all(tuple(row.sensitivity) == DISTRIBUTIONS for row in result.rows)
