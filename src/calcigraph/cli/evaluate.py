"""`calcigraph evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calcigraph.cli.terminal import (
    NOTHING_PROCESSED,
    SOME_FAILED,
    DatasetFolder,
    Device,
    Interrupted,
    Prevalence,
    RunOrModel,
    Workers,
    app,
    check_workers,
    progress,
)
from calcigraph.devices import check_device
from calcigraph.lexicon import RESEARCH_USE, count

if TYPE_CHECKING:
    from calcigraph.evaluate import Evaluation

SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "kappa", "ece")


@app.command()
def evaluate(
    model: RunOrModel,
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    prevalence: Prevalence = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    device: Device = "cpu",
    workers: Workers = None,
) -> None:
    """Score a model on a data set with known answers.

    Where the manifest marks images test, these alone are judged. Writes predictions.csv, metrics.json (bootstrap
    intervals by patient), froc.csv and figures. A killed evaluation goes on when it is started again. Exit codes: 0 all
    done, 2 wrong usage, 3 some images failed (they are listed), 4 all failed.
    """
    check_device(device)
    check_workers(workers)
    from calcigraph.checkpoint import find_model
    from calcigraph.evaluate import evaluate_model, scored_cases
    from calcigraph.io import prepare_folder, read_dataset
    from calcigraph.pipeline import Pipeline
    from calcigraph.results import RUN
    from calcigraph.seed import require_seed
    from calcigraph.training.parts import parts_of

    require_seed(seed)
    data = read_dataset(dataset)
    pipeline = Pipeline.from_pretrained(model, device=device)
    if prevalence is not None:
        pipeline = pipeline.expecting(prevalence)
    prepare_folder(out, refused=(RUN,))
    judged = scored_cases(data)
    asked = len(judged)
    try:
        with progress(asked) as move:
            result = evaluate_model(
                pipeline,
                data,
                out,
                seed=seed,
                workers=workers,
                report=lambda done, total: move(done, "images"),
            )
    except KeyboardInterrupt:
        raise Interrupted(f"judged images are kept in {out}; the same command goes on from there") from None
    if asked < len(data):
        print(f"{count(asked, 'image')} of {len(data)}: those that the manifest marks test")
    if seen := len(judged) - parts_of(find_model(model), data, judged).count(""):
        print(
            f"{count(seen, 'image')} trained this model or chose its settings: its scores on them are too good"
        )
    _show(result)
    figures = ", figures" if result.distribution is not None else ""
    print(f"{out}: predictions.csv, metrics.json{figures}")
    print(RESEARCH_USE)
    if result.failures:
        raise typer.Exit(NOTHING_PROCESSED if len(result.failures) == asked else SOME_FAILED)


def _show(result: Evaluation) -> None:
    for image_id, why in result.failures.items():
        print(f"{image_id}: failed: {why}")
    if result.distribution is not None and result.constant is not None:
        number = int(result.distribution["n"].value)
        print(f"distribution, {count(number, 'image')} ({result.unnamed} not named):")
        for name in SHOWN:
            at, constant = result.distribution[name], getattr(result.constant, name)
            print(f"  {name.replace('_', ' '):<18} {at}   constant answer {constant:.3f}")
    if result.breasts is not None:
        auc, number = result.breasts["macro_auc"], int(result.breasts["n"].value)
        print(f"{count(number, 'breast')}, views fused: macro auc {auc}")
    if result.detection is not None:
        found = result.detection
        print(
            f"detection, {count(found.targets, 'visible calcification')} on {count(found.images, 'image')}: "
            f"{found.true_positive_rate:.3f} found, {found.false_per_cm2:.3f} false marks per cm²"
        )
