"""What `predict` leaves on disk for one image: a folder of files, and the record that makes it complete."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from calcigraph.figures import overlay
from calcigraph.io.tables import write_json, write_table
from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE, Distribution
from calcigraph.records import CALCIFICATION_COLUMNS, CANDIDATE_COLUMNS, Mammogram, Prediction

CALCIFICATIONS, EDGES, CANDIDATES, OVERLAY, RECORD = (
    "calcifications.csv",
    "edges.csv",
    "candidates.csv",
    "overlay.png",
    "prediction.json",
)
PREDICTIONS, RUN = "predictions.csv", "run.json"
PREDICTION_COLUMNS = (
    "image_id",
    "path",
    "status",
    "distribution",
    *(f"p_{distribution}" for distribution in DISTRIBUTIONS),
    "n_calcifications",
    "warnings",
)
MOST_SALIENT = 10


@dataclass(frozen=True)
class ImageResult:
    """The short form of one image's result, as in `prediction.json`, `predictions.csv` and the report.

    Attributes:
        path: where the image was read from.
        status: "ok" or "failed".
        distribution: None where there is too little evidence of one, or where it failed.
        probabilities: of the five distributions if there is a lesion; NaN where no calcification was found, or where
            it failed.
        error: why it failed, one line.
        transforms: what reading did to the pixels, in order.
        spacing_mm: (row, col) pixel pitch; None where it failed.
        shape_px: rows and columns; None where it failed.
        most_salient: at most `MOST_SALIENT` rows of the calcification table, the weightiest first.
        seconds: time of each stage: read, predict, write, draw.
        predict_seconds: time of each part of predict.
        peak_rss_mb: the process's memory high-water mark at the end of each stage.
        model: name of the model.
        version: of calcigraph.
        fingerprint: of the input, the model and the settings; equal ones need not be computed again.
        real_path: `path` from the root, without links; another folder's file of the same name is told by it.
    """

    image_id: str
    path: str
    status: str
    distribution: Distribution | None
    probabilities: Mapping[Distribution, float]
    n_calcifications: int
    n_candidates: int = 0
    warnings: tuple[str, ...] = ()
    error: str = ""
    laterality: str = ""
    view: str = ""
    transforms: tuple[str, ...] = ()
    spacing_mm: tuple[float, float] | None = None
    shape_px: tuple[int, int] | None = None
    breast_area_cm2: float = math.nan
    most_salient: tuple[Mapping[str, float], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    predict_seconds: Mapping[str, float] = field(default_factory=dict)
    peak_rss_mb: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    version: str = ""
    fingerprint: str = ""
    real_path: str = ""

    def row(self) -> tuple[object, ...]:
        """Return the line of `predictions.csv`, in the order of `PREDICTION_COLUMNS`."""
        failed = self.status != "ok"
        probabilities = [self.probabilities[d] for d in DISTRIBUTIONS]
        notes = (self.error,) if failed else self.warnings
        return (
            self.image_id,
            self.path,
            self.status,
            self.distribution or "",
            *("" if math.isnan(p) else f"{p:.6f}" for p in probabilities),
            "" if failed else self.n_calcifications,
            " | ".join(notes),
        )


def summarise(mammogram: Mammogram, prediction: Prediction, *, image_id: str, path: str) -> ImageResult:
    """Shorten a prediction; model, version, fingerprint and times are left to the caller."""
    table = prediction.calcifications
    salient = table.sort_values(["saliency", "probability"], ascending=False).head(MOST_SALIENT)
    rows = salient[list(CALCIFICATION_COLUMNS)].to_numpy(dtype=float).tolist()
    return ImageResult(
        image_id=image_id,
        path=path,
        status="ok",
        distribution=prediction.distribution,
        probabilities={d: float(prediction.probabilities[d]) for d in DISTRIBUTIONS},
        n_calcifications=len(table),
        n_candidates=len(prediction.candidates),
        warnings=prediction.warnings,
        laterality=str(mammogram.laterality or ""),
        view=str(mammogram.view or ""),
        transforms=mammogram.transforms,
        spacing_mm=mammogram.spacing_mm,
        shape_px=mammogram.shape,
        breast_area_cm2=float(prediction.breast.area_cm2),
        most_salient=tuple(dict(zip(CALCIFICATION_COLUMNS, row, strict=True)) for row in rows),
    )


def write_tables(folder: Path, prediction: Prediction, *, write_candidates: bool) -> None:
    """Write `calcifications.csv`, `edges.csv` (rows of the former, from 0) and, where asked for, `candidates.csv`."""
    write_table(folder / CALCIFICATIONS, prediction.calcifications[list(CALCIFICATION_COLUMNS)])
    write_table(folder / EDGES, pd.DataFrame(prediction.edge_index.T, columns=["neighbour", "node"]))
    if write_candidates:
        write_table(folder / CANDIDATES, prediction.candidates[list(CANDIDATE_COLUMNS)])


def write_overlay(folder: Path, mammogram: Mammogram, prediction: Prediction) -> None:
    """Draw `overlay.png`; the fast compression costs a fifth more bytes and saves half of the time."""
    overlay(mammogram, prediction).savefig(folder / OVERLAY, pil_kwargs={"compress_level": 1})


def write_record(folder: Path, result: ImageResult) -> None:
    """Write `prediction.json`. It comes last and in one step: where it stands, the folder is complete."""
    record = {"notice": RESEARCH_USE, **asdict(result)}
    write_json(folder / RECORD, record)


def read_record(folder: Path, *, write_candidates: bool) -> ImageResult | None:
    """Return what an earlier run left, or None where it is not complete, of another version or out of reach."""
    needed = (CALCIFICATIONS, EDGES, OVERLAY, *((CANDIDATES,) if write_candidates else ()))
    try:
        if not all((folder / name).is_file() for name in needed):
            return None
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return _from_record(record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _from_record(record: dict[str, Any]) -> ImageResult:
    record.pop("notice")
    known = {d: _number(record["probabilities"][d]) for d in DISTRIBUTIONS}
    salient = ({name: _number(value) for name, value in row.items()} for row in record["most_salient"])
    return ImageResult(
        **record
        | {
            "distribution": Distribution(record["distribution"]) if record["distribution"] else None,
            "probabilities": known,
            "warnings": tuple(record["warnings"]),
            "transforms": tuple(record["transforms"]),
            "spacing_mm": tuple(record["spacing_mm"]),
            "shape_px": tuple(record["shape_px"]),
            "breast_area_cm2": _number(record["breast_area_cm2"]),
            "most_salient": tuple(salient),
        }
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def is_own_output(path: Path) -> bool:
    """Tell an overlay of an earlier run from a mammogram, where results lie among the inputs."""
    return path.name == OVERLAY and (path.parent / CALCIFICATIONS).is_file()


def discard(folder: Path) -> None:
    """Take back an earlier result, so that a half-written new one is never read as complete.

    Only files that `predict` writes are touched, the record first: the folder may be a user's own.
    """
    if (folder / RECORD).is_file():
        take_back(folder)


def take_back(folder: Path) -> None:
    """Remove the files that `predict` writes for an image, the record first."""
    for name in (RECORD, CALCIFICATIONS, EDGES, CANDIDATES, OVERLAY):
        (folder / name).unlink(missing_ok=True)


def printable(text: str) -> str:
    """Escape what is not UTF-8 in the name of a file, so that it can be written and shown."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
