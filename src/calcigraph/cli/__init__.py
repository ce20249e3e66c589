"""The verbs, one module each. The only package that prints; heavy libraries are imported inside the verbs."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from calcigraph.cli import adapt, calibrate, crossval, dataset, evaluate, info, predict, simulate, train
from calcigraph.cli.terminal import INTERRUPTED, USAGE, Interrupted, app
from calcigraph.errors import DISK_FULL, BadConfig, CalcigraphError

VERBS = (predict, simulate, train, crossval, evaluate, calibrate, adapt, dataset, info)
"""Each has put its command into `app`."""

# ClickException: typer has moved it about, but its place above BadParameter is fixed.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]


def main() -> None:
    """Run the command line; every error that a user can mend is one line on standard error."""
    _settle()
    try:
        _refuse_empty(sys.argv[1:])
        code = app(standalone_mode=False)
    except CalcigraphError as error:
        code = _complain(str(error))
    except _USAGE_ERROR as error:
        code = _complain(error.format_message())  # type: ignore[attr-defined]
    except OSError as error:
        again = "; make room and run the same command again" if error.errno in DISK_FULL else ""
        code = _complain(f"{error.filename or ''} {error.strerror or error}{again}")
    except Interrupted as stop:
        print(f"interrupted: {stop}", file=sys.stderr)
        code = INTERRUPTED
    else:
        # typer turns Ctrl-C anywhere else into this code and says nothing.
        if code == INTERRUPTED:
            print("interrupted", file=sys.stderr)
    sys.exit(code)


def _settle() -> None:
    """Make output possible whatever the surroundings are."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed: what nobody reads goes nowhere
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        else:  # names of files need not be text in the terminal's encoding
            stream.reconfigure(errors="backslashreplace")
    os.environ["MPLBACKEND"] = "agg"  # figures are files; a backend that is not here would stop the import
    # It tells of folders in which it cannot keep fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def _refuse_empty(words: list[str]) -> None:
    """An empty path would be the current folder; it comes from a shell variable that is not set."""
    if "" in words:
        raise BadConfig(
            "an empty argument", allowed="paths, names and numbers", do="check the variables of the call"
        )


def _complain(line: str) -> int:
    print("error:", " ".join(line.split()), file=sys.stderr)
    return USAGE


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"calcigraph {version('calcigraph')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _common(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before any verb; without a verb, the help."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(USAGE)
