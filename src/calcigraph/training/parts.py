"""Which images train, which choose and which are left alone, and what a run folder remembers of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from calcigraph.config import Config
from calcigraph.io import Case, Dataset, labels_of
from calcigraph.io.tables import read_json, write_json
from calcigraph.provenance import file_digest
from calcigraph.training.sampling import split_by_patient

IMAGES_FILE = "images.json"
"""Each image, by what is in its file, with its part."""


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


def note_images(
    run: Path,
    dataset: Dataset,
    cases: Sequence[Case],
    held_out: Collection[str],
    *,
    earlier: Mapping[str, str],
) -> None:
    """Note in a run folder which images train; what trained once, has trained.

    Args:
        run: the folder.
        dataset: of the cases.
        cases: that train or are held out.
        held_out: patients who are held out.
        earlier: the parts that images had for a model that is made use of (`read_parts`).
    """
    part = dict(earlier)
    for case in cases:
        digest = str(file_digest(dataset.folder / case.path))
        if part.get(digest) != "train":
            part[digest] = "validation" if case.patient_id in held_out else "train"
    write_json(run / IMAGES_FILE, part)


def read_parts(model: Path) -> dict[str, str]:
    """Return what images were to a model, by what is in their files: `train` or `validation`.

    Args:
        model: its folder; only of one that lies in the folder of its run something is known.
    """
    return read_json(model.resolve().parent / IMAGES_FILE)


def parts_of(model: Path, dataset: Dataset, cases: Sequence[Case]) -> list[str]:
    """Tell for each image what it was to a model (`read_parts`), "" where it was nothing."""
    part = read_parts(model)
    if not part:
        return [""] * len(cases)
    return [part.get(str(file_digest(dataset.folder / case.path)), "") for case in cases]
