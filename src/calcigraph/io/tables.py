"""Tables and texts on disk: CSV with stable numbers, written beside and renamed, so that none is ever half there."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd

FLOAT_FORMAT = "%.6g"
"""Six significant digits: 0.01 px in 10,000, and the same text from the same computation everywhere."""

IDS = ("image_id", "patient_id")
"""Columns that are never numbers or missing values, whatever they look like."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to; what lies there at the end of the block replaces `path` in one step.

    Makes the folder. The name is hidden, of this process alone, and ends as `path` does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, replacing the file in one step; makes the folder."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: object) -> None:
    """Write JSON that every reader accepts, NaN and infinity as null, replacing the file in one step."""
    write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read an object that `write_json` wrote; an empty one where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


class CsvText(StringIO):
    r"""Takes what a CSV writer with the line terminator ``\r\n`` writes, row by row, and ends the rows with ``\n``.

    A writer told to end them with ``\n`` does not quote a cell with ``\r``, which then ends a row for every reader.
    """

    def write(self, row: str, /) -> int:
        r"""Take one row."""
        return super().write(row.removesuffix("\r\n") + "\n")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV without its index; NaN and None become empty cells."""
    text = CsvText()
    table.to_csv(text, index=False, float_format=FLOAT_FORMAT, lineterminator="\r\n")
    write_text(path, text.getvalue())


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV table; ids are text as it stands, be it `0001` or `NA`.

    Raises:
        OSError, ValueError: no such file, not UTF-8, not a table (pandas' parser errors are ValueErrors), or more
            cells in its rows than in its header.
    """
    # Without `index_col`, pandas takes the first cells of rows that are too long as their names, and shifts the others.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, encoding="utf-8-sig", index_col=False)
    except pd.errors.ParserWarning:
        raise pd.errors.ParserError("more cells in the rows than in the header") from None
    # pandas looks for missing values in what a converter gives, too.
    ids = pd.read_csv(
        path,
        encoding="utf-8-sig",
        index_col=False,
        usecols=lambda name: name in IDS,
        dtype=str,
        na_filter=False,
    )
    for name in ids:
        table[name] = ids[name]
    return table
