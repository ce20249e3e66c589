"""What is known of an image: truth/<image_id>.csv with its calcifications, outlines/<image_id>.csv with its region."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calcigraph.errors import BadManifest
from calcigraph.io.tables import read_table, write_table

OUTLINE_COLUMNS = ("row_px", "col_px")
TRUTH_COLUMNS = (*OUTLINE_COLUMNS, "diameter_mm")

VISIBLE_SNR = 5.0
"""Where a truth states a signal-to-noise ratio, `snr`, calcifications from this on can be seen (Rose's criterion)."""


LARGEST_MM = 30.0
"""No calcification is larger; diameters in µm or pixels are."""


class Kind(StrEnum):
    """What a small bright thing is, where a truth states it (`kind`), as those of simulated mammograms do."""

    LESION = "lesion"
    """Part of the distribution that the label names."""
    SCATTERED = "scattered"
    """A lone punctate calcification elsewhere: true, but not part of the distribution."""
    COARSE = "coarse"
    """A large round benign calcification, often with a lucent centre: a look-alike."""
    VASCULAR = "vascular"
    """A dash of calcified vessel wall: a look-alike."""


def truth_path(folder: Path, image_id: str) -> Path:
    """Where the truth of an image lies in a data set's folder."""
    return folder / "truth" / f"{image_id}.csv"


def write_truth(folder: Path, image_id: str, table: pd.DataFrame) -> None:
    """Write the true calcifications of an image; further columns are kept.

    Raises:
        BadManifest: a column is missing, or a number cannot be one.
    """
    path = truth_path(folder, image_id)
    _check(table, TRUTH_COLUMNS, path)
    write_table(path, table)


def read_truth(path: Path) -> pd.DataFrame:
    """Read true calcifications: float64 `row_px, col_px, diameter_mm` and whatever else there is.

    Where there is a column `kind`, each cell is a `Kind`; `snr` is float64, NaN where it is not known.

    Raises:
        BadManifest: not a table, a column is missing, or a number cannot be one.
    """
    return _read(path, TRUTH_COLUMNS)


def outline_path(folder: Path, image_id: str) -> Path:
    """Where the outline of an image's calcifications, as somebody drew it, lies in a data set's folder."""
    return folder / "outlines" / f"{image_id}.csv"


def read_outline(path: Path) -> pd.DataFrame:
    """Read an outline: float64 `row_px, col_px` of its corners in turn.

    Raises:
        BadManifest: not a table, a column is missing, or a number cannot be one.
    """
    return _read(path, OUTLINE_COLUMNS)


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = read_table(path)
    except (OSError, ValueError) as error:
        raise _refused(path, columns, f"a table that cannot be read ({type(error).__name__})") from None
    _check(table, columns, path)
    numbers = [*columns, *(["snr"] if "snr" in table else [])]
    return table.astype(dict.fromkeys(numbers, np.float64))


def _check(table: pd.DataFrame, columns: Sequence[str], path: Path) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise _refused(path, columns, f"no column {', '.join(missing)}")

    def refuse_first(bad: NDArray[np.bool_], words: str) -> None:
        if bad.any():
            raise _refused(path, columns, f"row {int(bad.argmax()) + 2} has {words}")

    for column in columns:
        numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
        bad = ~np.isfinite(numbers) | ((numbers <= 0) if column == "diameter_mm" else (numbers < -0.5))
        refuse_first(bad, f"no usable {column}")
        if column == "diameter_mm":
            refuse_first(numbers > LARGEST_MM, f"a diameter_mm above {LARGEST_MM:g}")
    if "kind" in table:
        refuse_first(table["kind"].isna().to_numpy(), "an empty kind")
        refuse_first(~table["kind"].isin([*Kind]).to_numpy(), f"a kind that is none of {', '.join(Kind)}")
    if "snr" in table:
        snr = table["snr"]
        wrong = snr.notna() & pd.to_numeric(snr, errors="coerce").isna()
        refuse_first(wrong.to_numpy(), "an snr that is not a number")


def _refused(path: Path, columns: Sequence[str], got: str) -> BadManifest:
    return BadManifest(
        f"{path.parent.name}/{path.name}: {got}",
        allowed=f"columns {', '.join(columns)} with numbers, positions in the image, diameters above 0 "
        f"up to {LARGEST_MM:g} mm",
        do="mend the table or remove it",
    )
