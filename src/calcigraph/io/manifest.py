"""A data set: a folder with dataset.json, manifest.csv, images and, where known, truth/<image_id>.csv."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calcigraph.errors import BadManifest
from calcigraph.io.read import read_mammogram
from calcigraph.io.tables import write_table, write_text
from calcigraph.io.truth import read_truth, truth_path
from calcigraph.lexicon import Distribution, Laterality, View
from calcigraph.records import Mammogram

COLUMNS = ("image_id", "patient_id", "path", "laterality", "view", "distribution")
"""Required columns of manifest.csv; their cells may be empty from `laterality` on."""
OPTIONAL_COLUMNS = ("spacing_mm", "split")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Case:
    """One image of a data set; `path` is relative to its folder."""

    image_id: str
    patient_id: str
    path: Path
    laterality: Laterality | None = None
    view: View | None = None
    distribution: Distribution | None = None
    spacing_mm: float | None = None
    split: str | None = None


def labels_of(cases: Iterable[Case]) -> NDArray[np.int64]:
    """Place of each case's distribution, (n,); -1 where it has none."""
    return np.array(
        [-1 if case.distribution is None else case.distribution.place for case in cases], np.int64
    )


@dataclass(frozen=True)
class Dataset:
    """A data set that keeps the contract; made by `read_dataset`."""

    name: str
    licence: str
    source: str
    folder: Path
    cases: tuple[Case, ...]

    def __len__(self) -> int:
        return len(self.cases)

    def read(self, case: Case) -> Mammogram:
        """Read the image of a case; what the manifest says of patient, side and view outranks what the file says.

        Its pixel pitch is for files that state none.

        Raises:
            UnreadableImage, MissingSpacing: as `read_mammogram`.
        """
        path = self.folder / case.path
        mammogram = read_mammogram(path, spacing_mm=case.spacing_mm, image_id=case.image_id)
        return replace(
            mammogram,
            patient_id=case.patient_id,
            laterality=case.laterality or mammogram.laterality,
            view=case.view or mammogram.view,
        )

    def truth(self, case: Case) -> pd.DataFrame | None:
        """Read the true calcifications of a case (`row_px, col_px, diameter_mm`), or None where not known.

        Raises:
            BadManifest: the table is there and cannot be used.
        """
        path = truth_path(self.folder, case.image_id)
        return read_truth(path) if path.exists() else None


def write_manifest(folder: Path, *, name: str, licence: str, source: str, cases: Sequence[Case]) -> Dataset:
    """Write dataset.json and manifest.csv, so that `read_dataset` returns the same; images are not touched.

    Raises:
        BadManifest: an image id twice.
    """
    ids = [case.image_id.casefold() for case in cases]
    if len(set(ids)) < len(ids):
        raise BadManifest("cases with the same image_id", allowed="one case per image_id", do="rename one")
    card = {"name": name, "licence": licence, "source": source}
    write_text(folder / "dataset.json", json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    rows = [{c: _cell(getattr(case, c)) for c in (*COLUMNS, *OPTIONAL_COLUMNS)} for case in cases]
    write_table(
        folder / "manifest.csv", pd.DataFrame(rows, columns=[*COLUMNS, *OPTIONAL_COLUMNS], dtype=object)
    )
    return Dataset(name, licence, source, folder, tuple(cases))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Path):
        return value.as_posix()
    return repr(value) if isinstance(value, float) else str(value)
