"""The folds of a study: by patient, stratified, frozen in `splits.json`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from calcigraph.errors import BadManifest
from calcigraph.io import Case, Dataset, labels_of
from calcigraph.io.tables import write_text
from calcigraph.lexicon import Distribution
from calcigraph.training import class_of_patients, split_by_patient

SPLITS_FILE = "splits.json"


@dataclass(frozen=True)
class Fold:
    """Who is tested in one fold, and who of the others chooses epoch, threshold and temperature.

    Attributes:
        number: from 1.
        test: patients of whom nothing is seen before they are answered.
        validation: patients who choose instead of training, the same for every model.
    """

    number: int
    test: frozenset[str]
    validation: frozenset[str]

    def part(self, patient_id: str) -> str:
        """`test`, `validation` or `train`, as a manifest says it."""
        if patient_id in self.test:
            return "test"
        return "validation" if patient_id in self.validation else "train"

    def mark(self, dataset: Dataset) -> Dataset:
        """Return the data set with its cases marked by their part; marks of its own are replaced."""
        cases = (replace(case, split=self.part(case.patient_id)) for case in dataset.cases)
        return replace(dataset, cases=tuple(cases))


def lone_classes(cases: Sequence[Case]) -> frozenset[Distribution]:
    """Return the distributions of a single patient, which cannot both train and be tested."""
    patients: dict[Distribution, set[str]] = {}
    for case in cases:
        if case.distribution is not None:
            patients.setdefault(case.distribution, set()).add(case.patient_id)
    return frozenset(name for name, found in patients.items() if len(found) == 1)


def leave_out(dataset: Dataset, classes: Collection[Distribution]) -> Dataset:
    """Return the data set with these distributions not known; their images may still train a detector."""
    cases = (
        replace(case, distribution=None) if case.distribution in classes else case for case in dataset.cases
    )
    return replace(dataset, cases=tuple(cases))


def freeze_folds(
    path: Path, cases: Sequence[Case], *, folds: int, seed: int, validation_share: float
) -> tuple[Fold, ...]:
    """Read the folds from a file, or make them and write it.

    Raises:
        BadManifest: the file is of other patients, or there are too few patients for so many folds.
    """
    if not path.exists():
        made = make_folds(cases, folds=folds, seed=seed, validation_share=validation_share)
        write_text(path, _to_json(made, cases, seed))
    found = _read(path)
    patients = {case.patient_id for case in cases}
    tested = [patient for fold in found for patient in fold.test]
    if sorted(tested) != sorted(patients) or any(fold.test & fold.validation for fold in found):
        raise BadManifest(
            f"{path} with folds of other patients",
            allowed="every patient of the data set tested once",
            do="choose another --out, or remove the file to make new folds",
        )
    return found


def require_patients(cases: Sequence[Case], folds: int) -> None:
    """Refuse fewer patients than folds.

    Raises:
        BadManifest: that.
    """
    patients = len({case.patient_id for case in cases})
    if patients < folds:
        raise BadManifest(
            f"{patients} patients for {folds} folds",
            allowed=f"at least {folds} patients",
            do="take fewer folds, or add patients",
        )


def make_folds(cases: Sequence[Case], *, folds: int, seed: int, validation_share: float) -> tuple[Fold, ...]:
    """Divide patients into folds in which every class is as frequent as can be.

    A patient's class is that of `class_of_patients`. Classes are dealt out from the rarest, each patient
    to the fold that has the fewest images of the class, then the fewest in all; so both views stay together, and
    four patients of a class reach four folds.

    Raises:
        BadManifest: fewer patients than folds.
    """
    require_patients(cases, folds)
    images = Counter(case.patient_id for case in cases)
    classes = class_of_patients([case.patient_id for case in cases], labels_of(cases))
    rng = np.random.default_rng(seed)
    frequency = Counter(classes.values())
    shuffled = [str(patient) for patient in rng.permutation(sorted(images))]
    held: list[list[str]] = [[] for _ in range(folds)]
    counts = [Counter[int]() for _ in range(folds)]
    for patient in sorted(shuffled, key=lambda each: (frequency[classes[each]], classes[each])):
        label = classes[patient]
        into = min(range(folds), key=lambda k: (counts[k][label], counts[k].total(), k))
        held[into].append(patient)
        counts[into][label] += images[patient]
    return tuple(
        Fold(k + 1, frozenset(test), _hold_out(cases, classes, test, validation_share, seed + k))
        for k, test in enumerate(held)
    )


def _hold_out(
    cases: Sequence[Case], classes: dict[str, int], test: Sequence[str], share: float, seed: int
) -> frozenset[str]:
    others = sorted({case.patient_id for case in cases} - set(test))
    labels = np.array([classes[patient] for patient in others], np.int64)
    split = split_by_patient(others, labels, share=share, seed=seed)
    return frozenset(others[i] for i in split.validation)


def _to_json(folds: Sequence[Fold], cases: Sequence[Case], seed: int) -> str:
    record = {
        "seed": seed,
        "folds": [
            {
                "number": fold.number,
                "images": Counter(str(c.distribution or "none") for c in cases if c.patient_id in fold.test),
                "test": sorted(fold.test),
                "validation": sorted(fold.validation),
            }
            for fold in folds
        ],
    }
    return json.dumps(record, indent=2) + "\n"


def _read(path: Path) -> tuple[Fold, ...]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            Fold(int(each["number"]), frozenset(each["test"]), frozenset(each["validation"]))
            for each in record["folds"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadManifest(
            f"{path} that cannot be read ({type(error).__name__})",
            allowed="the file that crossval wrote",
            do="remove it to make new folds",
        ) from None
