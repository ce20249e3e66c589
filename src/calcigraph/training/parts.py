"""Which images train, which choose and which are left alone, and what a run folder remembers of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path

from calcigraph.config import Config
from calcigraph.io import Case, Dataset, labels_of
from calcigraph.io.tables import write_json
from calcigraph.provenance import file_digest
from calcigraph.training.sampling import split_by_patient

SPLITS_FILE, IMAGES_FILE = "splits.json", "images.json"
"""The patients who are held out; each image, by what is in its file, with its part."""


def training_cases(dataset: Dataset) -> list[Case]:
    """Return the images that train or choose: all but those marked `test`.

    Where some are marked `train`, those without a mark are left alone, too.
    """
    marked = any(case.split == "train" for case in dataset.cases)
    return [case for case in dataset.cases if case.split != "test" and (case.split or not marked)]


def hold_out(cases: Sequence[Case], config: Config) -> frozenset[str]:
    """Return the patients who choose instead of training: those of the manifest, or a share of each class."""
    marked = frozenset(case.patient_id for case in cases if case.split == "validation")
    if marked:
        return marked
    patients = [case.patient_id for case in cases]
    split = split_by_patient(patients, labels_of(cases), share=config.validation_share, seed=config.seed)
    return frozenset(patients[i] for i in split.validation)


def note_parts(run: Path, dataset: Dataset, cases: Sequence[Case], held_out: Collection[str]) -> None:
    """Note in a run folder who is held out, and which images train."""
    write_json(run / SPLITS_FILE, {"validation": sorted(held_out)})
    parts = ["validation" if case.patient_id in held_out else "train" for case in cases]
    digests = [str(file_digest(dataset.folder / case.path)) for case in cases]
    write_json(run / IMAGES_FILE, dict(zip(digests, parts, strict=True)))


def parts_of(model: Path, dataset: Dataset, cases: Sequence[Case]) -> list[str]:
    """Tell for each image what it was to a model: `train`, `validation`, or "" where it was neither.

    Args:
        model: its folder; only one that lies in the folder of its run is known.
        dataset: of the cases.
        cases: some of its cases.
    """
    try:
        part = json.loads((model.parent / IMAGES_FILE).read_text(encoding="utf-8"))
        return [part.get(file_digest(dataset.folder / case.path), "") for case in cases]
    except (OSError, ValueError, AttributeError):  # none, or of somebody else
        return [""] * len(cases)
