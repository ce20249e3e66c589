"""The folder that a command writes into: made, tried before anything is computed, and never somebody else's."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from calcigraph.errors import BadConfig, BadModel
from calcigraph.io.tables import write_text

LOCK_FILE = ".lock"
"""Held by the process at work in a folder; the system lets go of it whatever ends the process."""


def prepare_folder(out: Path, *, refused: Collection[str] = ()) -> None:
    """Make the output folder and try to write in it, before anything is computed.

    Args:
        out: the folder.
        refused: names of files that show that another command's results are there.

    Raises:
        BadConfig: it is a file, a data set or the results of another command, or nothing can be written there.
    """
    refuse_others(out, refused, what="holds the results of another command")
    refuse_others(out, ("manifest.csv",), what="is a data set")
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / ".writable", "")
        (out / ".writable").unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadConfig(
            f"{out} as the folder for results ({reason})",
            allowed="a folder that is new or can be written",
            do="choose another with --out",
        ) from None


def refuse_others(folder: Path, names: Collection[str], *, what: str) -> None:
    """Refuse a folder in which something would be written over.

    Args:
        folder: may not exist.
        names: of files and folders that must not be there.
        what: the folder then does, in words.

    Raises:
        BadConfig: one of them is there.
    """
    for name in names:
        if (folder / name).exists():
            raise BadConfig(
                f"{folder}, which {what} ({name})",
                allowed="a folder that is new or of the same command",
                do="choose another with --out",
            )


@contextmanager
def alone_in(run: Path) -> Iterator[None]:
    """Keep other processes out of a folder of results, which is made.

    Raises:
        BadModel: one is at work in it.
    """
    run.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run / LOCK_FILE)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise BadModel(
            f"{run}, in which another process is at work",
            allowed="one at a time",
            do="wait for it, or choose another --out",
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # results are left without it where the system lets go of an open file's name
            (run / LOCK_FILE).unlink()
        lock.release()
