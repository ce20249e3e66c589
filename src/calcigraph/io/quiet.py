"""Silence for the libraries that decode: a terminal belongs to the user.

pydicom warns of every irregular tag, and the C code of libjpeg, libpng and GDCM writes to file descriptor 2
behind Python's back. What matters in their words reaches the user as the text of an exception; where libjpeg
says only there that data are missing, `overhear` catches it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from typing import IO

_LOCK = threading.RLock()
_STDERR = 2
_MOST_BYTES = 1 << 16
_PYDICOM = logging.getLogger("pydicom")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings and what C libraries write to standard error; one thread at a time."""
    with _LOCK, warnings.catch_warnings(), _stderr_away():
        warnings.simplefilter("ignore")
        level = _PYDICOM.level
        _PYDICOM.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            _PYDICOM.setLevel(level)


class Overheard:
    """What was written to standard error within `overhear`; empty until its end."""

    text = b""


@contextlib.contextmanager
def overhear() -> Iterator[Overheard]:
    """Collect what C libraries write to standard error, and show none of it; one thread at a time."""
    heard = Overheard()
    with _LOCK, _scratch_file() as scratch:
        try:
            with _stderr_into(scratch.fileno()):
                yield heard
        finally:
            scratch.seek(0)
            heard.text = scratch.read(_MOST_BYTES)


def _scratch_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):  # needs no folder that can be written to
        return os.fdopen(os.memfd_create("overheard"), "w+b")
    return tempfile.TemporaryFile()


@contextlib.contextmanager
def _stderr_away() -> Iterator[None]:
    with open(os.devnull, "wb") as nowhere, _stderr_into(nowhere.fileno()):  # noqa: PTH123
        yield


@contextlib.contextmanager
def _stderr_into(target: int) -> Iterator[None]:
    try:
        saved = os.dup(_STDERR)
    except OSError:  # a process without standard error
        saved = None
    try:
        os.dup2(target, _STDERR)
        yield
    finally:
        if saved is not None:
            os.dup2(saved, _STDERR)
            os.close(saved)
        elif target != _STDERR:  # the target itself may have got the free number
            os.close(_STDERR)
