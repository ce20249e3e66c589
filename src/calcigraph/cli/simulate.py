"""`calcigraph simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calcigraph.cli.terminal import Workers, app, check_workers, progress
from calcigraph.errors import BadConfig
from calcigraph.lexicon import count

if TYPE_CHECKING:
    from calcigraph.simulate.plan import Plan

MOST = 100_000
"""Cases; their plan is held in memory."""


@app.command()
def simulate(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the data set; a rerun goes on from what is there.")],
    cohort: Annotated[
        str, typer.Option(help="`balanced`, or `twin`: the paper's 292 cases and 581 images.")
    ] = "balanced",
    cases: Annotated[int, typer.Option(help="Cases of each distribution (balanced).")] = 4,
    normals: Annotated[int, typer.Option(help="Cases without a distribution (balanced).")] = 1,
    outlines: Annotated[
        Path | None,
        typer.Option(
            help="JSON file of real outlines: semi-real cases, one for each lesion, instead of a cohort."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    spacing: Annotated[
        float | None,
        typer.Option(metavar="MM", help="Pixel pitch; without it, one per case as machines have."),
    ] = None,
    acquisition: Annotated[
        str | None,
        typer.Option(
            help="`digital`, `film`, or `mixed`: a quarter are films. Without it, the twin is digital, all else mixed."
        ),
    ] = None,
    file_format: Annotated[str, typer.Option("--format", help="`dicom` or `png` (16 bit).")] = "dicom",
    workers: Workers = None,
) -> None:
    """Simulate mammograms whose every calcification is known, as a data set.

    Writes DICOM (or PNG) images of each case's views, the truth and the outline of every image, and a manifest.
    """
    from calcigraph.simulate import CohortOptions, write_cohort

    check_workers(workers)
    if outlines is not None:
        _refuse(context, "cohort", "cases", "normals", beside="--outlines")
    elif cohort == "twin":
        _refuse(context, "cases", "normals", beside="--cohort twin")
    plan = _plan(outlines, cohort, cases, normals)
    acquisition = acquisition or ("digital" if cohort == "twin" else "mixed")
    options = CohortOptions(seed=seed, spacing_mm=spacing, acquisition=acquisition, file_format=file_format)
    with progress(len(plan)) as move:
        write_cohort(
            out,
            plan,
            options,
            name=f"Simulated mammograms, {cohort if outlines is None else 'inside real outlines'}",
            licence="Apache-2.0" if outlines is None else "that of the outlines",
            source="simulated, no patient" if outlines is None else f"outlines and labels of {outlines.name}",
            workers=workers,
            report=lambda done, total: move(done, "cases"),
        )
    images = sum(len(case.views) for case in plan)
    made = "simulated, no patient" if outlines is None else "simulated inside real outlines"
    print(f"{out}: {count(images, 'image')} of {count(len(plan), 'case')}; {made}")


def _plan(outlines: Path | None, cohort: str, cases: int, normals: int) -> Plan:
    from calcigraph.simulate import plan_balanced, plan_outlined, plan_twin, read_outlines

    if cohort not in ("balanced", "twin"):
        raise BadConfig(f"cohort {cohort!r}", allowed="balanced or twin", do="choose one of these")
    if outlines is not None:
        return plan_outlined(read_outlines(outlines))
    if cohort == "twin":
        return plan_twin()
    if min(cases, normals) < 0 or not 0 < cases + normals <= MOST:
        raise BadConfig(
            f"{cases} cases and {normals} normals", allowed=f"1 to {MOST:,} in all", do="change the numbers"
        )
    return plan_balanced(cases, normals)


def _refuse(context: typer.Context, *options: str, beside: str) -> None:
    """Refuse options that were given, as they would say nothing."""
    sources = {name: context.get_parameter_source(name) for name in options}
    given = [f"--{name}" for name, source in sources.items() if source and source.name != "DEFAULT"]
    if given:
        raise BadConfig(
            f"{' and '.join(given)} beside {beside}, which says how many cases there are",
            allowed="one of these",
            do="leave out the others",
        )
