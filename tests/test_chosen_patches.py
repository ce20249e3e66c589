"""Which candidates train the patch networks."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from calcigraph.detect.matching import Label
from calcigraph.training import detector

TRUE_MM = 50.0
FALSE = 1000


def line_of_candidates(*, true=3):
    """False ones every 0.1 mm along a line, strongest first at the far end; some true ones at `TRUE_MM`."""
    places = np.concatenate([0.1 * np.arange(FALSE)[::-1], np.full(true, TRUE_MM)])
    labels = np.full(len(places), Label.FALSE, np.int8)
    labels[FALSE:] = Label.TRUE
    patches = np.broadcast_to(places.astype(np.float16)[:, None, None, None], (len(places), 1, 1, 1))
    table = pd.DataFrame({"row_mm": places, "col_mm": 0.0})
    return SimpleNamespace(labels=labels, candidates=SimpleNamespace(table=table, patches=patches))


@pytest.fixture
def choose(monkeypatch):
    monkeypatch.setattr(detector, "load_image", lambda _, case: case.image)
    monkeypatch.setattr(detector, "load_windows", lambda _, case: [])

    def chosen(image, seed=0):
        case = SimpleNamespace(image=image, patient_id="P")
        return detector.choose_patches([case], Path(), seed=seed)

    return chosen


def test_all_true_ones_and_all_false_ones_beside_them_train(choose):
    chosen = choose(line_of_candidates())
    places = chosen.patches[:, 0, 0, 0].astype(float)
    false = places[chosen.labels == 0]
    assert (chosen.labels == 1).sum() == 3
    beside = false[np.abs(false - TRUE_MM) < detector.BESIDE_MM - 0.05]
    assert len(beside) == 2 * round(detector.BESIDE_MM / 0.1) - 1
    strongest = false[false > 0.1 * (FALSE - detector.STRONGEST_FALSE) - 0.01]
    assert len(strongest) >= detector.STRONGEST_FALSE
    assert len(false) <= detector.STRONGEST_FALSE + detector.RANDOM_FALSE + len(beside) + 2
    assert set(chosen.patients) == {"P"} and len(chosen.patients) == len(places)


def test_without_true_ones_some_false_ones_train(choose):
    chosen = choose(line_of_candidates(true=0))
    assert len(chosen.labels) == detector.STRONGEST_FALSE + detector.RANDOM_FALSE
    assert not chosen.labels.any()


def test_the_same_seed_chooses_the_same(choose):
    first, again, other = (choose(line_of_candidates(), seed=seed).patches for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
