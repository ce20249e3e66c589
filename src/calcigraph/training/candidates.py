"""The candidates of a whole data set, detected once, labelled by the truth and kept in the run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calcigraph.config import Config
from calcigraph.detect import detect_candidates
from calcigraph.detect.matching import Label, label_candidates, on_lesion
from calcigraph.errors import BadManifest, BadModel
from calcigraph.io import Case, Dataset
from calcigraph.io.tables import whole_file
from calcigraph.processes import spread
from calcigraph.records import CANDIDATE_COLUMNS, Breast, Candidates, Look, Mammogram
from calcigraph.training.windows import draw_windows

WINDOWS = "windows"


@dataclass(frozen=True)
class LabelledImage:
    """One image's candidates, as training needs them.

    Attributes:
        breast: without its mask.
        candidates: all of them; patches as float16.
        labels: (n,) `Label` values; all doubtful where the data set knows no truth for the image.
        member: (n,) 1 on the lesion's calcifications, 0 elsewhere, NaN where that is not known.
        extent_mm: (rows, cols) of the image.
    """

    breast: Breast
    candidates: Candidates
    labels: NDArray[np.int8]
    member: NDArray[np.float32]
    extent_mm: tuple[float, float]


def detect_dataset(
    dataset: Dataset,
    config: Config,
    folder: Path,
    *,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Detect and label the candidates of every image, one file each; what is there already is not made again.

    Raises:
        UnreadableImage, BadManifest: an image or its truth cannot be used.
    """
    (folder / WINDOWS).mkdir(parents=True, exist_ok=True)
    missing = [case for case in dataset.cases if not _path(folder, case).exists()]
    whole = len(dataset) - len(missing)
    report(whole, len(dataset))
    work = partial(_detect_case, dataset=dataset, config=config, folder=folder)
    for done, _ in enumerate(spread(work, missing), start=whole + 1):
        report(done, len(dataset))


def load_image(folder: Path, case: Case) -> LabelledImage:
    """Read what `detect_dataset` left for a case."""
    return _load(_path(folder, case))


def load_windows(folder: Path, case: Case) -> list[LabelledImage]:
    """Read the windows (`windows.draw_windows`) of a case; none where its calcifications are not known."""
    return [_load(path) for path in sorted((folder / WINDOWS).glob(f"{case.image_id}.[0-9].npz"))]


def _load(path: Path) -> LabelledImage:
    try:
        return _read(path)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        raise BadModel(
            f"{path}, which is damaged", allowed="whole files", do="delete it; it is made again"
        ) from None


def _read(path: Path) -> LabelledImage:
    with np.load(path, allow_pickle=False) as file:
        table = pd.DataFrame(file["table"], columns=list(CANDIDATE_COLUMNS))
        nipple, axis, extent = (
            tuple(map(float, file[name])) for name in ("nipple_mm", "depth_axis", "extent_mm")
        )
        breast = Breast(
            mask=np.zeros((0, 0), dtype=bool),
            outline_px=np.empty((0, 2)),
            area_cm2=float(file["area_cm2"]),
            nipple_mm=(nipple[0], nipple[1]),
            depth_axis=(axis[0], axis[1]),
            fills_image=bool(file["fills_image"]),
            look=Look(*map(float, file["look"])),
        )
        return LabelledImage(
            breast, Candidates(table, file["patches"]), file["labels"], file["member"], (extent[0], extent[1])
        )


def _path(folder: Path, case: Case) -> Path:
    return folder / f"{case.image_id}.npz"


def _detect_case(case: Case, *, dataset: Dataset, config: Config, folder: Path) -> None:
    """Detect in the image and in windows of it; the image comes last: where it stands, all is there."""
    mammogram, truth = dataset.read(case), dataset.truth(case)
    if truth is not None:
        rng = np.random.default_rng([config.seed, *case.image_id.encode()])
        for number, (window, inside) in enumerate(draw_windows(mammogram, truth, rng)):
            _detect(window, inside, config, folder / WINDOWS / f"{case.image_id}.{number}.npz")
    _detect(mammogram, truth, config, _path(folder, case))


def _detect(mammogram: Mammogram, truth: pd.DataFrame | None, config: Config, path: Path) -> None:
    breast, candidates = detect_candidates(mammogram, config)
    labels = np.full(len(candidates), Label.DOUBTFUL, dtype=np.int8)
    if truth is not None:
        labels = label_candidates(candidates.table, truth, spacing_mm=mammogram.spacing_mm)
    with whole_file(path) as beside:
        np.savez(
            beside,
            table=candidates.table.to_numpy(np.float64),
            patches=candidates.patches.astype(np.float16),
            labels=labels,
            member=on_lesion(candidates.table, truth, spacing_mm=mammogram.spacing_mm),
            extent_mm=mammogram.extent_mm,
            nipple_mm=breast.nipple_mm,
            depth_axis=breast.depth_axis,
            area_cm2=breast.area_cm2,
            fills_image=breast.fills_image,
            look=astuple(breast.look),
        )


def require_truth(dataset: Dataset, cases: Sequence[Case], held_out: frozenset[str]) -> None:
    """Refuse a data set on which a detector cannot be trained.

    Raises:
        BadManifest: no image of a training patient has a truth table with a calcification.
    """
    for case in cases:
        if case.patient_id in held_out:
            continue
        truth = dataset.truth(case)
        if truth is not None and len(truth):
            return
    raise BadManifest(
        f"data set {dataset.folder} without known calcifications",
        allowed="truth/<image_id>.csv for at least some images that train",
        do="add them, or keep a shipped detector with --detector",
    )
