"""`calcigraph adapt`: a public data set, as it was downloaded, becomes a data set of the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calcigraph.cli.terminal import SOME_FAILED, Interrupted, TrainingLines, app
from calcigraph.errors import BadConfig
from calcigraph.lexicon import count

LISTED = 10
"""Of more films than these, the first are listed."""


@app.command()
def adapt(
    name: Annotated[str, typer.Argument(metavar="NAME", help="cbis-ddsm.", show_default=False)],
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where it was downloaded to.", show_default=False)
    ],
    spacing: Annotated[
        float,
        typer.Option(metavar="MM", help="Pixel pitch of its films, which nothing states; 0.042 to 0.050."),
    ] = 0.05,
) -> None:
    """Make the folder of a public data set one that the other commands take.

    Nothing is copied or changed: dataset.json, manifest.csv, outlines/ and outlines.json are written beside what is
    there. A killed call goes on when it is started again. Exit codes: 0 all done, 2 wrong usage, 3 films of the
    tables are missing or have no outline (they are listed).
    """
    from calcigraph.adapters import ADAPTERS

    if name not in ADAPTERS:
        raise BadConfig(f"data set {name!r}", allowed=", ".join(ADAPTERS), do="choose one")
    lines = TrainingLines()
    try:
        done = ADAPTERS[name](
            folder, spacing_mm=spacing, report=lambda number, total: lines.stage("films", number, total)
        )
    except KeyboardInterrupt:
        raise Interrupted(f"outlines are kept in {folder}; the same command goes on from there") from None
    _list([f"{image_id}: no outline: {why}" for image_id, why in done.failures.items()])
    _list([f"{film}: no file, or several" for film in done.missing])
    if done.unclear:
        print(f"{count(len(done.unclear), 'film')} with several descriptors have no distribution")
    print(f"{folder}: a data set of {count(len(done.dataset), 'image')}; see `calcigraph check`")
    if done.failures or done.missing:
        raise typer.Exit(SOME_FAILED)


def _list(lines: list[str]) -> None:
    for line in lines[:LISTED]:
        print(line)
    if len(lines) > LISTED:
        print(f"... and {len(lines) - LISTED:,} more")
