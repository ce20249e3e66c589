"""The study: every contestant on every fold, then everything that is judged from their answers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any

import tomli_w

from calcigraph.crossval.bench import PREDICTIONS, Bench, StudyReporter
from calcigraph.crossval.contestants import CONTESTANTS, line_up
from calcigraph.crossval.folds import SPLITS_FILE, freeze_folds
from calcigraph.crossval.options import StudyOptions
from calcigraph.crossval.page import write_page
from calcigraph.crossval.results import Study, write_results
from calcigraph.errors import BadManifest, BadModel
from calcigraph.io import Dataset
from calcigraph.io.tables import write_text
from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE
from calcigraph.provenance import fingerprint, versions
from calcigraph.training import Workers
from calcigraph.training.run_folder import run_key

CONFIG_FILE, RUN_FILE = "config.toml", "run.json"


def run_study(
    dataset: Dataset,
    models: Sequence[str],
    options: StudyOptions,
    run: Path,
    *,
    device: str = "cpu",
    workers: Workers | None = None,
    reporter: StudyReporter,
) -> Study:
    """Cross-validate models on a data set; a killed study goes on when called again.

    What a model has answered in a fold is kept, also by a later call that names more models. Marks in the
    manifest (`split`) are not used: every patient with a distribution is tested once.

    Args:
        dataset: of the contract.
        models: names in `CONTESTANTS`.
        options: everything that decides the numbers.
        run: folder for everything.
        device: where to train.
        workers: devices that share the training of an image network.
        reporter: hears of the progress.

    Raises:
        BadConfig: no such model, or one that needs what is not installed.
        BadManifest: too few patients, or a data set on which a model cannot be trained.
        BadModel: `run` holds a study of other data or options.
    """
    names = line_up(models)
    if not any(case.distribution is not None for case in dataset.cases):
        raise BadManifest(
            f"data set {dataset.folder} without a distribution",
            allowed=f"images with one of {', '.join(DISTRIBUTIONS)}",
            do="fill the distribution column of manifest.csv",
        )
    with _claim(run, dataset, options, names):
        folds = freeze_folds(
            run / SPLITS_FILE,
            dataset.cases,
            folds=options.folds,
            seed=options.seed,
            validation_share=options.default.graph_training.validation_share,
        )
        benches = [
            Bench(run, fold, fold.mark(dataset), options, device, workers or Workers(), reporter)
            for fold in folds[: options.first_folds or None]
        ]
        for bench in benches:
            for name in names:
                answer_fold(bench, name)
        shown = [bench for bench in benches if bench.labelled("test")]
        study = write_results(shown, names)
        write_page(shown, study)
    return study


def answer_fold(bench: Bench, name: str) -> None:
    """Let a contestant answer a fold, unless it has: the file of its answers appears when all is done."""
    folder = bench.folder / name
    before = (folder / PREDICTIONS).exists()
    if not before and bench.labelled("test"):
        bench.write_answers(name, CONTESTANTS[name].answer(bench, name))
    # Adam's moments take three times the room of the weights and are for going on, which is over.
    (folder / "state.safetensors").unlink(missing_ok=True)
    bench.reporter.answered(bench.fold.number, name, before=before)


@contextmanager
def _claim(run: Path, dataset: Dataset, options: StudyOptions, names: Sequence[str]) -> Iterator[None]:
    """Note what a study is made of and, at the end, its seconds; refuse to go on with anything else."""
    settings = _plain(options)
    key = fingerprint(run_key(dataset, options.default, None), settings | {"first_folds": 0})
    held = _read(run / RUN_FILE)
    if held and held.get("key") != key:
        raise BadModel(
            f"{run} with a study on other data or options, or of another version",
            allowed="a new folder, or the same data and options; models may be added",
            do="choose another --out",
        )
    write_text(run / CONFIG_FILE, tomli_w.dumps({"models": list(names), **settings}))
    started, before = time.perf_counter(), float(held.get("seconds", 0.0))
    record = {
        "notice": RESEARCH_USE,
        "key": key,
        "dataset": {"name": dataset.name, "source": dataset.source, "images": len(dataset)},
        "models": list(names),
        "versions": versions(),
    }
    try:
        write_text(run / RUN_FILE, json.dumps({**record, "seconds": round(before, 1)}, indent=2) + "\n")
        yield
    finally:
        seconds = round(before + time.perf_counter() - started, 1)
        write_text(run / RUN_FILE, json.dumps({**record, "seconds": seconds}, indent=2) + "\n")


def _plain(options: StudyOptions) -> dict[str, Any]:
    """Options as TOML knows them."""
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {
        name: asdict(value)
        if is_dataclass(value) and not isinstance(value, type)
        else dict(value)
        if name == "pretrained"
        else value
        for name, value in values.items()
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
