"""`calcigraph predict`."""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calcigraph.cli.terminal import NOTHING_PROCESSED, Device, Interrupted, Prevalence, app, progress
from calcigraph.devices import check_device
from calcigraph.lexicon import RESEARCH_USE, count

if TYPE_CHECKING:
    from calcigraph.batch import BatchResult
    from calcigraph.io import Source

LISTED = 20
"""Up to so many answers are listed on the terminal; the report holds all."""


@app.command()
def predict(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="Files, folders or zips of DICOM, PNG or TIFF.",
            show_default=False,
            readable=False,  # not asked here: one that cannot be read is listed, and the others go on
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; a rerun goes on from what is there.")],
    model: Annotated[
        str, typer.Option(help="Name of a shipped model, or a model or run folder.")
    ] = "default",
    spacing: Annotated[
        float | None, typer.Option(metavar="MM", help="Pixel pitch in mm of files that state none.")
    ] = None,
    device: Device = "cpu",
    prevalence: Prevalence = None,
    candidates: Annotated[bool, typer.Option("--candidates", help="Also write every candidate.")] = False,
) -> None:
    """Find calcifications and their distribution.

    Writes predictions.csv, a folder per image (tables, overlay), run.json and report.html. Exit codes: 0 all
    done, 2 wrong usage, 3 some inputs failed (they are listed), 4 nothing processed.
    """
    from calcigraph.batch import OF_OTHERS, predict_batch
    from calcigraph.io import find_inputs, prepare_folder
    from calcigraph.io.spacing import check_given
    from calcigraph.provenance import weights_digest
    from calcigraph.results import is_own_output

    check_given(spacing)

    def images_in(*paths: Path) -> list[Source]:
        return [source for source in find_inputs(paths) if not is_own_output(source.path)]

    sources = images_in(*inputs)
    if not sources:
        print(f"error: no images in {', '.join(map(str, inputs))}", file=sys.stderr)
        raise typer.Exit(NOTHING_PROCESSED)
    if len(inputs) > 1 and (empty := [str(path) for path in inputs if not images_in(path)]):
        print(f"no images in {', '.join(empty)}", file=sys.stderr)
    check_device(device)
    start = time.perf_counter()
    from calcigraph.checkpoint import find_model
    from calcigraph.pipeline import Pipeline

    pipeline = Pipeline.from_pretrained(model, device=device)
    if prevalence is not None:
        pipeline = pipeline.expecting(prevalence)
    model_seconds = time.perf_counter() - start
    prepare_folder(out, refused=OF_OTHERS)
    done = itertools.count(1)
    try:
        with progress(len(sources)) as move:
            batch = predict_batch(
                sources,
                pipeline,
                out=out,
                spacing_mm=spacing,
                write_candidates=candidates,
                on_done=lambda result: move(next(done), result.image_id),
                model_digest=weights_digest(find_model(model)),
                model_seconds=model_seconds,
            )
    except KeyboardInterrupt:
        raise Interrupted(f"results so far are in {out}; the same command goes on from there") from None
    _show_batch(batch)
    raise typer.Exit(batch.exit_code)


def _show_batch(batch: BatchResult) -> None:
    done = [result for result in batch.results if result.status == "ok"]
    for result in done if len(done) <= LISTED else ():
        answer = "no distribution"
        if result.distribution is not None:
            answer = f"{result.distribution} ({result.probabilities[result.distribution]:.2f})"
        print(f"{result.image_id}: {answer}, {count(result.n_calcifications, 'calcification')}")
        for warning in result.warnings:
            print(f"  warning: {warning}")
    for result in batch.failures:
        print(f"{result.image_id}: failed: {result.error}")
    reused = f", {len(batch.reused)} of them from an earlier run" if batch.reused else ""
    print(f"{count(len(batch.results), 'image')}: {len(done)} done{reused}, {len(batch.failures)} failed")
    named = sum(result.distribution is not None for result in done)
    warned = sum(bool(result.warnings) for result in done)
    print(f"{named} with a distribution, {warned} with warnings")
    if batch.unlisted:
        others = count(len(batch.unlisted), "other image")
        print(
            f"{others} of earlier runs in {batch.out}, not listed: give all inputs to one call to list them"
        )
    print(f"report: {batch.report}")
    print(RESEARCH_USE)
