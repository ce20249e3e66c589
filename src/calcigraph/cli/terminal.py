"""What the verbs share: the app, exit codes and progress on a terminal."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calcigraph.errors import BadConfig
from calcigraph.lexicon import RESEARCH_USE

if TYPE_CHECKING:
    from calcigraph.training import EpochReport

USAGE, SOME_FAILED, NOTHING_PROCESSED, INTERRUPTED = 2, 3, 4, 130

app = typer.Typer(
    help=f"Calcifications on mammograms as graphs, and their BI-RADS distribution. {RESEARCH_USE}",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Prevalence = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|SHARES",
        help="How often diffuse, regional, grouped, linear and segmental are met where the images come from: five "
        "shares, as 2,8,66,8,16, `equal` or `cbis-ddsm`. By default as the model's settings say.",
    ),
]

RunOrModel = Annotated[
    str,
    typer.Argument(
        metavar="RUN|MODEL", help="Run folder, model folder or shipped model.", show_default=False
    ),
]

DatasetFolder = Annotated[
    Path, typer.Argument(metavar="DATASET", help="A data set's folder.", show_default=False)
]

Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:N or mps.")]

Workers = Annotated[int | None, typer.Option(help="Processes; one per core unless given.")]


class Interrupted(Exception):  # noqa: N818
    """Ctrl-C where there is more to say than that."""


def check_workers(number: int | None) -> None:
    """Refuse a number of processes that can do nothing.

    Raises:
        BadConfig: less than one.
    """
    if number is not None and number < 1:
        raise BadConfig(f"{number} workers", allowed="1 or more", do="change --workers")


@contextmanager
def progress(total: int) -> Iterator[Callable[[int, str], None]]:
    """Show a bar on a terminal; in a pipe or a log, nothing. It is moved by (how many are done, a description)."""
    if not sys.stderr.isatty():
        yield lambda done, description: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, description: bar.update(task, completed=done, description=description)


class TrainingLines:
    """Progress of a training on standard error: a line that is written over on a terminal, nothing in a pipe."""

    def stage(self, name: str, done: int, total: int) -> None:
        """So many of a stage's images, or graphs of marks, are done."""
        self.show(f"{name}: {done:,} of {total:,}", end=done == total)

    def epoch(self, network: str, report: EpochReport) -> None:
        """An epoch of a network has ended."""
        held_out = f"held out {report.validation_loss:.4f}, score {report.validation_score:.4f}"
        if math.isnan(report.validation_loss):
            held_out = "nobody held out"
        elif math.isnan(report.validation_score):
            held_out = f"held out {report.validation_loss:.4f}, no score (one class held out)"
        line = f"{network}: epoch {report.epoch + 1}, loss {report.training_loss:.4f}, {held_out}"
        self.show(f"{line}, {report.seconds:.0f} s", end=True)

    def show(self, line: str, *, end: bool) -> None:
        """Write a line over the one before, unless that had ended."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="\n" if end else "", file=sys.stderr, flush=True)
