"""Patients drawn with replacement, all examples of one together: what bootstrap intervals are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


def draw_patients(patients: Sequence[str], *, seed: int, repeats: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of as many patients as there are, drawn with replacement, `repeats` times.

    Args:
        patients: of each example, one or more.
        seed: of the draws.
        repeats: draws.
    """
    _, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    members = [np.flatnonzero(patient == each) for each in range(patient.max() + 1)]
    rng = np.random.default_rng(seed)
    for _ in range(repeats):
        yield np.concatenate([members[each] for each in rng.integers(len(members), size=len(members))])
