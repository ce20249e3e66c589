"""Which examples train, which are held out, in what order, and at what rate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calcigraph.config import TrainingConfig


@dataclass(frozen=True)
class Split:
    """Indices of the examples that train and of those held out, both ascending."""

    training: NDArray[np.int64]
    validation: NDArray[np.int64]


def split_by_patient(patients: Sequence[str], labels: NDArray[np.int64], *, share: float, seed: int) -> Split:
    """Hold out a share of the patients of every class; a patient is never on both sides.

    A patient's class is that of `class_of_patients`. Of each class at least one patient trains; with
    too few patients for the share, nobody is held out.

    Args:
        patients: of each example, n.
        labels: (n,) classes.
        share: of the patients to hold out, 0 to below 1.
        seed: of the choice.
    """
    names, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    found = class_of_patients(names[patient].tolist(), labels)
    classes = np.array([found[name] for name in names.tolist()], np.int64)
    rng = np.random.default_rng((seed, len(names)))
    held = np.zeros(len(names), np.bool_)
    for each in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == each))
        held[members[: min(round(share * len(members)), len(members) - 1)]] = True
    out = held[patient] if len(names) else np.zeros(0, np.bool_)
    return Split(training=np.flatnonzero(~out), validation=np.flatnonzero(out))


def split_held_out(patients: Sequence[str], held_out: Collection[str]) -> Split:
    """Split examples, of which `patients` are given, by the patients who are held out."""
    out = np.array([patient in held_out for patient in patients], dtype=np.bool_)
    return Split(training=np.flatnonzero(~out), validation=np.flatnonzero(out))


def class_of_patients(patients: Sequence[str], labels: NDArray[np.int64]) -> dict[str, int]:
    """Return the rarest of the classes of each patient's examples.

    A negative label is an unknown class, and only of those who have no other.
    """
    known = np.asarray(labels, np.int64).tolist()
    frequency = Counter(known)
    by_rarity = sorted(
        zip(patients, known, strict=True), key=lambda pair: (pair[1] >= 0, -frequency[pair[1]])
    )
    return dict(by_rarity)  # the last of a patient's stays


def epoch_rng(seed: int, epoch: int) -> np.random.Generator:
    """All that is random in an epoch follows from this."""
    return np.random.default_rng((seed, epoch))


def epoch_order(labels: NDArray[np.int64], *, rng: np.random.Generator, balance: bool) -> NDArray[np.int64]:
    """Order of the examples in an epoch, (n,): shuffled, or drawn so that every class is as frequent.

    Balanced, an epoch is as long, and each class's examples are taken in turn before any is taken again.
    """
    if not balance:
        return rng.permutation(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    each = math.ceil(len(labels) / len(classes))
    drawn = []
    for one, count in zip(classes, counts, strict=True):
        members = np.flatnonzero(labels == one)
        rounds = [rng.permutation(members) for _ in range(math.ceil(each / count))]
        drawn.append(np.concatenate(rounds)[:each])
    return rng.permutation(np.concatenate(drawn))[: len(labels)]


def cosine_rate(recipe: TrainingConfig, epoch: int) -> float:
    """Learning rate of an epoch: along half a cosine from the first rate to the final one."""
    progress = epoch / max(recipe.epochs - 1, 1)
    span = recipe.learning_rate - recipe.final_learning_rate
    return recipe.final_learning_rate + span * 0.5 * (1.0 + math.cos(math.pi * progress))
