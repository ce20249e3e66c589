"""`calcigraph check`: whether a folder is a data set."""

from __future__ import annotations

from typing import Annotated

import typer

from calcigraph.cli.terminal import USAGE, DatasetFolder, app
from calcigraph.lexicon import DISTRIBUTIONS, count


@app.command()
def check(
    dataset: DatasetFolder,
    images: Annotated[
        bool, typer.Option("--images", help="Also open every image, which takes longer.")
    ] = False,
) -> None:
    """List every problem of a data set.

    Of a table of truth or outlines the first. Without problems, what it holds. Exit codes: 0 no problems, 2 problems.
    """
    from calcigraph.io import problems, read_dataset
    from calcigraph.io.truth import truth_path

    found = problems(dataset, open_images=images)
    for problem in found:
        print(problem)
    if found:
        print(f"{dataset}: {count(len(found), 'problem')}")
        raise typer.Exit(USAGE)
    data = read_dataset(dataset)
    patients = len({case.patient_id for case in data.cases})
    print(f"{data.name} (licence: {data.licence}; source: {data.source})")
    print(f"{count(len(data), 'image')} of {count(patients, 'patient')}")
    for distribution in (*DISTRIBUTIONS, None):
        cases = [case for case in data.cases if case.distribution is distribution]
        if cases or distribution is not None:
            of = len({case.patient_id for case in cases})
            print(
                f"  {distribution or 'not stated':<10} {count(len(cases), 'image')} of {count(of, 'patient')}"
            )
    known = sum(truth_path(data.folder, case.image_id).exists() for case in data.cases)
    print(f"calcifications known (truth/<image_id>.csv) on {count(known, 'image')}")
    print("no problems found" if images else "no problems found (images were not opened; see --images)")
