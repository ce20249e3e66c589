"""The verbs. The only file that prints; heavy libraries are imported inside the commands that need them."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calcigraph.errors import BadConfig, CalcigraphError
from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE

if TYPE_CHECKING:
    from calcigraph.batch import BatchResult
    from calcigraph.results import ImageResult

USAGE, NOTHING_PROCESSED, INTERRUPTED = 2, 4, 130
LISTED = 20
"""Up to so many answers are listed on the terminal; the report holds all."""

# ClickException: typer has moved it about, but its place above BadParameter is fixed.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


class _Interrupted(Exception):  # noqa: N818
    """Ctrl-C where there is more to say than that."""


app = typer.Typer(
    help=f"Calcifications on mammograms as graphs, and their BI-RADS distribution. {RESEARCH_USE}",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; every error that a user can mend is one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        # Names of files need not be text in the terminal's encoding.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = app(standalone_mode=False)
    except CalcigraphError as error:
        code = _complain(str(error))
    except _USAGE_ERROR as error:
        code = _complain(error.format_message())  # type: ignore[attr-defined]
    except OSError as error:
        code = _complain(f"{error.filename or ''} {error.strerror or error}")
    except _Interrupted as stop:
        print(f"interrupted: {stop}", file=sys.stderr)
        code = INTERRUPTED
    else:
        # typer turns Ctrl-C anywhere else into this code and says nothing.
        if code == INTERRUPTED:
            print("interrupted", file=sys.stderr)
    sys.exit(code)


def _complain(line: str) -> int:
    print("error:", " ".join(line.split()), file=sys.stderr)
    return USAGE


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"calcigraph {version('calcigraph')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before any verb."""


@app.command()
def predict(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...", help="Files, folders or zips of DICOM, PNG or TIFF.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; a rerun goes on from what is there.")],
    model: Annotated[str, typer.Option(help="Name of a shipped model, or a model folder.")] = "default",
    spacing: Annotated[
        float | None, typer.Option(metavar="MM", help="Pixel pitch in mm of files that state none.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N or mps.")] = "cpu",
    candidates: Annotated[bool, typer.Option("--candidates", help="Also write every candidate.")] = False,
) -> None:
    """Find calcifications and their distribution.

    Writes predictions.csv, a folder per image (tables, overlay), run.json and report.html. Exit codes: 0 all
    done, 2 wrong usage, 3 some inputs failed (they are listed), 4 nothing processed.
    """
    from calcigraph.batch import predict_batch, prepare_folder
    from calcigraph.io import find_inputs
    from calcigraph.io.spacing import check_given
    from calcigraph.provenance import weights_digest
    from calcigraph.results import is_own_output

    check_given(spacing)
    sources = [source for source in find_inputs(inputs) if not is_own_output(source.path)]
    if not sources:
        print(f"error: no images in {', '.join(map(str, inputs))}", file=sys.stderr)
        raise typer.Exit(NOTHING_PROCESSED)
    prepare_folder(out)
    _check_device(device)
    start = time.perf_counter()
    from calcigraph.checkpoint import find_model
    from calcigraph.pipeline import Pipeline

    pipeline = Pipeline.from_pretrained(model, device=device)
    model_seconds = time.perf_counter() - start
    try:
        with _progress(len(sources)) as on_done:
            batch = predict_batch(
                sources,
                pipeline,
                out=out,
                spacing_mm=spacing,
                write_candidates=candidates,
                on_done=on_done,
                model_digest=weights_digest(find_model(model)),
                model_seconds=model_seconds,
            )
    except KeyboardInterrupt:
        raise _Interrupted(f"results so far are in {out}; the same command goes on from there") from None
    _show_batch(batch)
    raise typer.Exit(batch.exit_code)


def _check_device(name: str) -> None:
    """Refuse a device that does not exist here.

    Raises:
        BadConfig: an unknown name, or a device this machine does not have.
    """
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise BadConfig(
            f"device {name!r}", allowed="cpu, cuda, cuda:N, mps", do="choose one of these with --device"
        )
    if name != "cpu" and name not in (devices := _devices()):
        raise BadConfig(
            f"device {name!r}, which is not here", allowed=", ".join(devices), do="choose one of these"
        )


def _devices() -> list[str]:
    import torch

    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [
        "cpu",
        *(["cuda", *cuda] if cuda else []),
        *(["mps"] if torch.backends.mps.is_available() else []),
    ]


@contextmanager
def _progress(total: int) -> Iterator[Callable[[ImageResult], None] | None]:
    """Show a bar on a terminal; in a pipe or a log, nothing."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)

        def advance(result: ImageResult) -> None:
            progress.update(task, advance=1, description=result.image_id)

        yield advance


def _show_batch(batch: BatchResult) -> None:
    done = [result for result in batch.results if result.status == "ok"]
    for result in done if len(done) <= LISTED else ():
        answer = "no distribution"
        if result.distribution is not None:
            answer = f"{result.distribution} ({result.probabilities[result.distribution]:.2f})"
        print(f"{result.image_id}: {answer}, {_count(result.n_calcifications, 'calcification')}")
        for warning in result.warnings:
            print(f"  warning: {warning}")
    for result in batch.failures:
        print(f"{result.image_id}: failed: {result.error}")
    reused = f", {len(batch.reused)} of them from an earlier run" if batch.reused else ""
    print(f"{_count(len(batch.results), 'image')}: {len(done)} done{reused}, {len(batch.failures)} failed")
    print(f"report: {batch.report}")
    print(RESEARCH_USE)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@app.command()
def check(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="A data set's folder.", show_default=False)
    ],
    images: Annotated[
        bool, typer.Option("--images", help="Also open every image, which takes longer.")
    ] = False,
) -> None:
    """List every problem of a data set.

    Without problems, what it holds. Exit codes: 0 no problems, 2 problems.
    """
    from calcigraph.io import problems, read_dataset

    found = problems(dataset, open_images=images)
    for problem in found:
        print(problem)
    if found:
        print(f"{dataset}: {_count(len(found), 'problem')}")
        raise typer.Exit(USAGE)
    data = read_dataset(dataset)
    patients = len({case.patient_id for case in data.cases})
    print(f"{data.name} (licence: {data.licence}; source: {data.source})")
    print(f"{_count(len(data), 'image')} of {_count(patients, 'patient')}")
    for distribution in (*DISTRIBUTIONS, None):
        cases = [case for case in data.cases if case.distribution is distribution]
        if cases or distribution is not None:
            of = len({case.patient_id for case in cases})
            print(
                f"  {distribution or 'not stated':<10} {_count(len(cases), 'image')} of {_count(of, 'patient')}"
            )
    print("no problems found" if images else "no problems found (images were not opened; see --images)")


@app.command()
def info() -> None:
    """Show versions, models and devices."""
    from calcigraph.provenance import versions

    for name, version in versions().items():
        print(f"{name:<24} {version}")
    weights = Path(__file__).parent / "weights"
    models = sorted(path.name for path in weights.glob("*") if any(path.glob("*.safetensors")))
    print(f"{'models':<24} {', '.join(models) or 'none'}")
    print(f"{'weights in':<24} {weights}")
    print(f"{'devices':<24} {', '.join(_devices())}")
    print(RESEARCH_USE)
