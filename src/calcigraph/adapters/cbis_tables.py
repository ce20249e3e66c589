"""The tables of CBIS-DDSM as they are published: a row for each calcification lesion on each view."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from calcigraph.errors import BadManifest
from calcigraph.io import Case
from calcigraph.lexicon import Distribution, Laterality, View

TABLES = "calc_case_description_*.csv"
_DESCRIPTOR = "calc distribution"
_IMAGE = "image file path"
_MASKS = ("ROI mask file path", "cropped image file path")
"""Mask and crop of a lesion; some rows have them the other way round."""
_LESION = "abnormality id"
_NAME = re.compile(r"Calc-(Training|Test)_P_\d+_(LEFT|RIGHT)_(CC|MLO)")

DESCRIPTORS = {
    "DIFFUSELY_SCATTERED": Distribution.DIFFUSE,
    "REGIONAL": Distribution.REGIONAL,
    "CLUSTERED": Distribution.GROUPED,
    "LINEAR": Distribution.LINEAR,
    "SEGMENTAL": Distribution.SEGMENTAL,
}
"""Their words; some cells have two, as CLUSTERED-LINEAR, and some none (`N/A`)."""
_NOT_STATED = ("", "N/A")


@dataclass(frozen=True)
class Film:
    """A view, as the tables name it.

    Attributes:
        name: such as ``Calc-Training_P_00005_RIGHT_CC``, which is also the PatientID of its DICOM file.
        series: its Series Instance UID.
        descriptors: all that its lesions are said to have.
        lesions: for each, the names under which its mask may be found: series and PatientID.
    """

    name: str
    series: str
    descriptors: frozenset[Distribution]
    lesions: tuple[tuple[str, ...], ...]

    @property
    def image_id(self) -> str:
        """Such as ``P_00005_RIGHT_CC``."""
        return self.name.split("_", 1)[1]

    def case(self, path: Path, spacing_mm: float) -> Case:
        """Return the film's row of a manifest; without a distribution where its lesions have none, or several."""
        part, letter, number, side, view = self.name.split("_")
        return Case(
            image_id=self.image_id,
            patient_id=f"{letter}_{number}",
            path=path,
            laterality=Laterality(side[0]),
            view=View(view),
            distribution=next(iter(self.descriptors)) if len(self.descriptors) == 1 else None,
            spacing_mm=spacing_mm,
            split="train" if part == "Calc-Training" else "test",
        )


def read_films(folder: Path) -> list[Film]:
    """Read the tables of calcifications that lie anywhere in a folder.

    Raises:
        BadManifest: there is none, or one with other columns or words.
    """
    paths = sorted(folder.rglob(TABLES))
    if not paths:
        raise BadManifest(
            f"{folder} without {TABLES}",
            allowed="the folder with the tables and images of CBIS-DDSM",
            do="put the tables of calcifications there",
        )
    rows = pd.concat([_read(path) for path in paths], ignore_index=True).drop_duplicates()
    return [_film(name, lesions) for name, lesions in rows.groupby("name", sort=True)]


def _read(path: Path) -> pd.DataFrame:
    """Read a table: name of the film, series, and of a lesion its number, descriptors and where its mask may lie."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise _refused(f"{path}, a table that cannot be read ({type(error).__name__})") from None
    if missing := [name for name in (_LESION, _DESCRIPTOR, _IMAGE, *_MASKS) if name not in table]:
        raise _refused(f"{path} without the column {missing[0]}")
    return pd.DataFrame(_rows(table, path), columns=["name", "series", "descriptors", "masks"])


def _rows(table: pd.DataFrame, path: Path) -> Iterator[dict[str, object]]:
    for number, cells in enumerate(table.to_dict("records"), start=2):
        image, words = PurePosixPath(cells[_IMAGE].strip()), cells[_DESCRIPTOR].strip()
        known = {DESCRIPTORS.get(word) for word in words.split("-")} if words not in _NOT_STATED else set()
        if not _NAME.fullmatch(image.parts[0] if image.parts else ""):
            raise _refused(f"{path}, row {number}: {_IMAGE} {cells[_IMAGE][:60]!r}")
        if None in known:
            raise _refused(f"{path}, row {number}: {_DESCRIPTOR} {words[:60]!r}")
        series = [PurePosixPath(cells[column].strip()).parent.name for column in _MASKS]
        yield {
            "name": image.parts[0],
            "series": image.parent.name,
            "descriptors": frozenset(known),
            "masks": (*dict.fromkeys(series), f"{image.parts[0]}_{cells[_LESION].strip()}"),
        }


def _film(name: object, rows: pd.DataFrame) -> Film:
    return Film(
        str(name),
        rows["series"].iloc[0],
        frozenset[Distribution]().union(*rows["descriptors"]),
        tuple(rows["masks"]),
    )


def _refused(got: str) -> BadManifest:
    return BadManifest(
        got,
        allowed="the tables of calcifications as CBIS-DDSM has them",
        do="download them again (The Cancer Imaging Archive)",
    )
