"""Reading a data set's folder, and everything that can be wrong with it."""

from __future__ import annotations

import csv
import json
import re
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

import numpy as np
import pandas as pd

from calcigraph.errors import BadManifest, CalcigraphError
from calcigraph.io.manifest import COLUMNS, SPLITS, Case, Dataset
from calcigraph.io.read import MAX_ID_BYTES
from calcigraph.io.truth import outline_path, read_outline, read_truth, truth_path
from calcigraph.lexicon import Distribution, Laterality, View
from calcigraph.limits import is_spacing, spacing_words

_CARD_KEYS = ("name", "licence", "source")
_ID = re.compile(r"[\w][\w.-]{0,119}")
_MIN_CORNERS = 3
_ALLOWED = "a data set folder as the README describes it"

Word = TypeVar("Word", bound=StrEnum)
Cells = dict[str, str]


def read_dataset(folder: str | Path) -> Dataset:
    """Read dataset.json and manifest.csv; images and truth are read when asked for.

    Raises:
        BadManifest: the first problem that `problems` lists without opening images.
    """
    folder = Path(folder)
    scan = _scan(folder)
    if scan.found:
        more = f" (and {len(scan.found) - 1} more)" if len(scan.found) > 1 else ""
        raise BadManifest(
            f"{folder}: {scan.found[0]}{more}", allowed=_ALLOWED, do="run `calcigraph check` on it"
        )
    name, licence, source = (scan.card[key] for key in _CARD_KEYS)
    return Dataset(name, licence, source, folder, tuple(scan.cases))


def problems(folder: str | Path, *, open_images: bool = False) -> list[str]:
    """List every problem of a data set, one line each, with its row in manifest.csv (the header is row 1).

    Args:
        folder: of the data set.
        open_images: also decode every image, which takes up to a second each.
    """
    folder = Path(folder)
    scan = _scan(folder)
    found = list(scan.found)
    if open_images:
        found += _image_problems(Dataset("", "", "", folder, tuple(scan.sound)))
    return found


@dataclass
class _Scan:
    """What was read so far, which cases of it can be opened, and what was wrong."""

    folder: Path
    card: dict[str, str] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    sound: list[Case] = field(default_factory=list)
    found: list[str] = field(default_factory=list)


def _scan(folder: Path) -> _Scan:
    scan = _Scan(folder)
    if not folder.is_dir():
        scan.found.append("a file, not a folder" if folder.exists() else "no such folder")
        return scan
    _scan_card(scan)
    _scan_manifest(scan)
    scan.found += _table_problems(scan, "truth", read_truth)
    scan.found += _table_problems(scan, "outlines", read_outline)
    return scan


def _scan_card(scan: _Scan) -> None:
    try:
        card = json.loads((scan.folder / "dataset.json").read_text(encoding="utf-8-sig"))
    except OSError:
        scan.found.append("dataset.json is missing")
        return
    except (ValueError, RecursionError):
        scan.found.append("dataset.json is not JSON in UTF-8")
        return
    for key in _CARD_KEYS:
        value = card.get(key) if isinstance(card, dict) else None
        if isinstance(value, str) and value.strip():
            scan.card[key] = value
        else:
            scan.found.append(f"dataset.json has no {key} (a text)")


def _scan_manifest(scan: _Scan) -> None:
    try:
        with (scan.folder / "manifest.csv").open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except OSError:
        scan.found.append("manifest.csv is missing")
        return
    except (ValueError, csv.Error):
        scan.found.append("manifest.csv is not a CSV table in UTF-8")
        return
    columns = [c.strip() for c in rows[0]] if rows else []
    if missing := [c for c in COLUMNS if c not in columns]:
        has = reprlib.repr(",".join(columns))
        scan.found.append(
            f"manifest.csv, row 1: no column {', '.join(missing)} (it is {has}; commas part columns)"
        )
        return
    if len(set(columns)) < len(columns):
        scan.found.append("manifest.csv, row 1: the same column twice")
        return
    numbered = [
        (number, cells) for number, cells in enumerate(rows[1:], start=2) if any(c.strip() for c in cells)
    ]
    if not numbered:
        scan.found.append("manifest.csv has no images")
    for number, cells in numbered:
        if len(cells) != len(columns):
            scan.found.append(f"manifest.csv, row {number}: {len(cells)} cells, not {len(columns)}")
            continue
        _scan_row(scan, number, {c: v.strip() for c, v in zip(columns, cells, strict=True)})
    scan.found += _clashes(scan.cases)


def _scan_row(scan: _Scan, number: int, cells: Cells) -> None:
    wrong = list(_wrong_cells(scan.folder, cells))
    scan.found += [f"manifest.csv, row {number}: {words}" for words in wrong]
    case = Case(
        image_id=cells["image_id"],
        patient_id=cells["patient_id"],
        path=Path(cells["path"]),
        laterality=_word(Laterality, cells["laterality"]),
        view=_word(View, cells["view"]),
        distribution=_word(Distribution, cells["distribution"]),
        spacing_mm=_number(cells.get("spacing_mm", "")),
        split=cells.get("split", "") or None,
    )
    scan.cases.append(case)
    if not wrong:
        scan.sound.append(case)


def _wrong_cells(folder: Path, cells: Cells) -> Iterator[str]:
    if not _ID.fullmatch(cells["image_id"]) or len(cells["image_id"].encode()) > MAX_ID_BYTES:
        yield f"image_id {cells['image_id'][:40]!r} (allowed: letters, digits, _ . -, not empty, a file's length)"
    if not cells["patient_id"]:
        yield "no patient_id"
    yield from _wrong_path(folder, cells["path"])
    words: tuple[tuple[str, type[StrEnum]], ...] = (
        ("laterality", Laterality),
        ("view", View),
        ("distribution", Distribution),
    )
    for column, kind in words:
        if cells[column] and _word(kind, cells[column]) is None:
            yield f"{column} {cells[column][:40]!r} (allowed: {', '.join(kind)}, or empty)"
    spacing, split = cells.get("spacing_mm", ""), cells.get("split", "")
    if spacing and not is_spacing(_number(spacing) or 0.0):
        yield f"spacing_mm {spacing[:40]!r} (allowed: {spacing_words()}, or empty)"
    if split and split not in SPLITS:
        yield f"split {split[:40]!r} (allowed: {', '.join(SPLITS)}, or empty)"


def _wrong_path(folder: Path, cell: str) -> Iterator[str]:
    if not cell or "\0" in cell:
        yield "no path"
        return
    if PurePosixPath(cell).is_absolute() or PureWindowsPath(cell).drive or ".." in re.split(r"[/\\]", cell):
        yield f"path {cell[:80]!r} leaves the folder"
        return
    try:
        path = (folder / cell).resolve()
        inside, exists = path.is_relative_to(folder.resolve()), path.is_file()
    except (OSError, RuntimeError):  # a circular link, a name too long
        inside, exists = True, False
    if not inside:
        yield f"path {cell[:80]!r} leaves the folder by a link"
    elif not exists:
        yield f"path {cell[:80]!r} is not a file" + (" (folders are parted by /)" if "\\" in cell else "")


def _clashes(cases: list[Case]) -> Iterator[str]:
    ids: set[str] = set()
    paths: set[Path] = set()
    splits: dict[str, str | None] = {}
    for case in cases:
        if case.image_id.casefold() in ids:
            yield f"manifest.csv: image_id {case.image_id!r} twice"
        if case.path in paths:
            yield f"manifest.csv: path {case.path.as_posix()!r} twice"
        if splits.setdefault(case.patient_id, case.split) != case.split:
            yield f"manifest.csv: patient {case.patient_id!r} in two splits"
        ids.add(case.image_id.casefold())
        paths.add(case.path)


def _table_problems(scan: _Scan, part: str, read: Callable[[Path], object]) -> Iterator[str]:
    """List the tables in a part of the folder that cannot be read, then those that belong to no image."""
    known = {case.image_id for case in scan.cases}
    tables = sorted((scan.folder / part).glob("*.csv"))
    for path in tables:
        if path.stem in known:
            try:
                read(path)
            except CalcigraphError as error:
                yield str(error)
    if known:  # else the manifest is what is wrong
        yield from (
            f"{part}/{p.name}: no such image_id in manifest.csv" for p in tables if p.stem not in known
        )


def _image_problems(dataset: Dataset) -> Iterator[str]:
    for case in dataset.cases:
        try:
            shape = dataset.read(case).shape
        except CalcigraphError as error:
            yield str(error)
        else:
            yield from _misplaced(dataset, case, shape)


def _misplaced(dataset: Dataset, case: Case, shape: tuple[int, int]) -> Iterator[str]:
    """Say what lies outside of an image of this (rows, cols), and which outline encloses nothing."""
    outline, truth = outline_path(dataset.folder, case.image_id), truth_path(dataset.folder, case.image_id)
    for path, read in ((truth, read_truth), (outline, read_outline)):
        try:
            table = read(path) if path.exists() else None
        except CalcigraphError:  # told by `_table_problems`
            continue
        if table is None:
            continue
        yield from _outside(f"{path.parent.name}/{path.name}", table, shape)
        # An image without a lesion may have an empty outline, as it may have an empty truth.
        is_empty = not len(table) and case.distribution is None
        if path == outline and len(table) < _MIN_CORNERS and not is_empty:
            yield f"outlines/{path.name}: {len(table)} corners (allowed: {_MIN_CORNERS} or more)"


def _outside(name: str, table: pd.DataFrame, shape: tuple[int, int]) -> Iterator[str]:
    outside = (table[["row_px", "col_px"]].to_numpy() > np.array(shape) - 0.5).any(axis=1)
    if outside.any():
        row = int(outside.argmax())
        place = ", ".join(f"{table[column].iloc[row]:g}" for column in ("row_px", "col_px"))
        yield (
            f"{name}, row {row + 2}: position {place} outside of the image of {shape[0]} rows and "
            f"{shape[1]} columns"
        )


def _word(kind: type[Word], cell: str) -> Word | None:
    return next((word for word in kind if word.value == cell), None)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
