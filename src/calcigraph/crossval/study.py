"""The study: every contestant on every fold, then everything that is judged from their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

import tomli_w

from calcigraph.checkpoint import find_model
from calcigraph.crossval.bench import PREDICTIONS, Bench, StudyReporter
from calcigraph.crossval.beside import read_other
from calcigraph.crossval.cnn import first_network
from calcigraph.crossval.contestants import CONTESTANTS, contestant_key, line_up
from calcigraph.crossval.folds import SPLITS_FILE, freeze_folds, leave_out, lone_classes, require_patients
from calcigraph.crossval.options import StudyOptions
from calcigraph.crossval.page import write_page
from calcigraph.crossval.results import Study, write_results
from calcigraph.errors import BadManifest, BadModel
from calcigraph.io import Dataset
from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE
from calcigraph.provenance import fingerprint
from calcigraph.training import Workers
from calcigraph.training.run_folder import claim_folder, data_key, read_record
from calcigraph.training.state import STATE_FILE


def run_study(
    dataset: Dataset,
    models: Sequence[str],
    options: StudyOptions,
    run: Path,
    *,
    device: str = "cpu",
    workers: Workers | None = None,
    beside: Sequence[Path] = (),
    reporter: StudyReporter,
) -> Study:
    """Cross-validate models on a data set; a killed study goes on when called again.

    What a model has answered in a fold is kept, and stays in the results of a later call that names others. They
    show the folds that most has been answered of, and the models that have answered all of these. Marks in the
    manifest (`split`) are not used: every patient with a distribution is tested once; a distribution that a single
    patient has is left out.

    Args:
        dataset: of the contract.
        models: names in `CONTESTANTS`.
        options: everything that decides the numbers.
        run: folder for everything.
        device: where to train.
        workers: devices that share the training of an image network.
        beside: folders of studies of the same folds, whose image networks the page shows beside those of this one.
        reporter: hears of the progress.

    Raises:
        BadConfig: no such model, or one that needs what is not installed.
        BadManifest: too few patients, no distribution of two of them, or a data set on which a model cannot be
            trained.
        BadModel: `run` holds a study of other data, folds or seed, or answers of a model that was made with other
            options or weights; a file of pretrained weights or a folder of `beside` cannot be used.
    """
    names, workers = line_up(models), workers or Workers()
    lone = lone_classes(dataset.cases)
    asked = leave_out(dataset, lone)
    _require_patients(asked, options)
    _require_models(names, options, workers)
    key = study_key(dataset, options)
    others = [read_other(folder, key=key) for folder in beside]
    with _claim(run, dataset, options, names, key=key):
        folds = freeze_folds(
            run / SPLITS_FILE,
            asked.cases,
            folds=options.folds,
            seed=options.seed,
            validation_share=options.default.validation_share,
        )
        marked = [Bench(run, fold, fold.mark(asked), options, device, workers, reporter) for fold in folds]
        benches = [bench for bench in marked if bench.labelled("test")]
        for bench in benches[: options.first_folds or None]:
            for name in names:
                answer_fold(bench, name)
        shown, complete, partial = _what_to_show(benches)
        study = write_results(shown, complete, of=len(benches), partial=partial, others=others)
        write_page(shown, study, left_out=lone)
    return study


def _require_patients(dataset: Dataset, options: StudyOptions) -> None:
    """Refuse a data set that cannot be divided or has nothing to tell apart, before anything is written."""
    known = {case.distribution for case in dataset.cases} - {None}
    if len(known) < 2:
        raise BadManifest(
            f"data set {dataset.folder} with {len(known) or 'no'} distribution that two patients have",
            allowed=f"two or more of {', '.join(DISTRIBUTIONS)}, each of two patients or more",
            do="fill the distribution column of manifest.csv, or add patients",
        )
    require_patients(dataset.cases, options.folds)


def _require_models(names: Sequence[str], options: StudyOptions, workers: Workers) -> None:
    """Refuse what cannot be built or read, before anything is trained; what is given to models of other calls too."""
    images = {name for name in names if CONTESTANTS[name].kind == "image"}
    if images:
        workers.require()
    for name in sorted(images | options.pretrained.keys()):
        first_network(name, options)
    if options.detector:
        find_model(options.detector)


def answer_fold(bench: Bench, name: str) -> None:
    """Let a contestant answer a fold, unless it has: the file of its answers appears when all is done."""
    folder = bench.folder / name
    before = _has_answered(bench, name)
    if not before:
        bench.write_answers(name, CONTESTANTS[name].answer(bench, name))
    # Adam's moments take three times the room of the weights and are for going on, which is over.
    for moments in folder.rglob(STATE_FILE):
        moments.unlink()
    bench.reporter.answered(bench.fold.number, name, before=before)


def _what_to_show(benches: Sequence[Bench]) -> tuple[list[Bench], list[str], dict[str, int]]:
    """Return the folds that some model has answered, as many as any; who has answered all these; who some, how many."""
    answered = {name: [b for b in benches if _has_answered(b, name)] for name in CONTESTANTS}
    shown = max(answered.values(), key=len)
    complete = [name for name, own in answered.items() if all(bench in own for bench in shown)]
    partial = {name: len(own) for name, own in answered.items() if own and name not in complete}
    return shown, complete, partial


def _has_answered(bench: Bench, name: str) -> bool:
    """Whether a model has answered a fold, now or in an earlier call."""
    return (bench.folder / name / PREDICTIONS).exists()


def study_key(dataset: Dataset, options: StudyOptions) -> str:
    """Return a fingerprint of all that every model of a study shares: data, folds and seed."""
    return fingerprint(data_key(dataset), options.folds, options.seed, options.default.validation_share)


def _claim(
    run: Path, dataset: Dataset, options: StudyOptions, names: Sequence[str], *, key: str
) -> AbstractContextManager[None]:
    """Note what a study and each model that was ever named is made of; refuse to go on with anything else."""
    held = read_record(run)
    ever = {*names, *held.get("models", ())}
    made = {name: contestant_key(options, name) for name in CONTESTANTS if name in ever}
    if held.get("key") == key:
        _refuse_stale(run, held.get("models", {}), made)
    return claim_folder(
        run,
        dataset,
        key,
        settings=tomli_w.dumps({"models": list(made), **asdict(options)}),
        notes={"notice": RESEARCH_USE, "models": made},
    )


def _refuse_stale(run: Path, held: Mapping[str, str], made: Mapping[str, str]) -> None:
    """Refuse to show answers beside others that were made with other options; those of which nothing is left pass."""
    stale = [n for n, key in made.items() if held.get(n, key) != key and any(run.glob(f"fold_*/{n}"))]
    if stale:
        folders = ", ".join(f"fold_*/{name}" for name in stale)
        raise BadModel(
            f"{run} with {', '.join(stale)} of other settings or weights",
            allowed="the options they were made with",
            do=f"give those again, choose another --out, or delete {folders}",
        )
