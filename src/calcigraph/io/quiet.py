"""Silence for the libraries that decode: a terminal belongs to the user.

pydicom warns of every irregular tag, and the C code of libjpeg, libpng and GDCM writes to file descriptor 2
behind Python's back. What matters in their words reaches the user as the text of an exception.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator

_LOCK = threading.RLock()
_STDERR = 2
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


@contextlib.contextmanager
def _stderr_away() -> Iterator[None]:
    try:
        saved = os.dup(_STDERR)
    except OSError:  # a process without standard error has nothing to silence
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDERR)
        os.close(nowhere)
        yield
    finally:
        os.dup2(saved, _STDERR)
        os.close(saved)
