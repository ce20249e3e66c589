"""From which probability candidates are kept, chosen on held-out images."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from calcigraph.config import default
from calcigraph.detect.matching import Label
from calcigraph.training import detector

FALSE, TRUE, DOUBTFUL = Label.FALSE, Label.TRUE, Label.DOUBTFUL


def image(marks, *, area_cm2):
    """Marks of (probability, label), each on an object of its own unless a third number names one, far apart."""
    rows = [(p, label, obj[0] if obj else 100 + n) for n, (p, label, *obj) in enumerate(marks)]
    table = pd.DataFrame(
        {"row_mm": 5.0 * np.arange(len(rows)), "col_mm": 0.0, "object_id": [r[2] for r in rows]}
    )
    return SimpleNamespace(
        candidates=SimpleNamespace(table=table, belief=np.array([r[0] for r in rows], float)),
        labels=np.array([r[1] for r in rows], np.int8),
        breast=SimpleNamespace(area_cm2=area_cm2),
    )


@pytest.fixture
def choose(monkeypatch):
    """Choose the threshold on images as `image` makes them."""
    monkeypatch.setattr(detector, "load_image", lambda _, case: case)
    monkeypatch.setattr(detector, "confirm_candidates", lambda candidates, *_, **__: candidates.belief)
    road = SimpleNamespace(
        config=default(),
        candidates=None,
        device="cpu",
        reporter=SimpleNamespace(stage=lambda *_: None),
    )
    return lambda *images: detector.choose_threshold(None, images, road)


def false_ones(count, start=0.9):
    return [(start - 0.01 * n, FALSE) for n in range(count)]


def test_so_many_false_marks_pass_as_are_allowed(choose):
    threshold = choose(image([(0.99, TRUE)] * 4 + false_ones(10), area_cm2=80.0))
    passing = [p for p, _ in false_ones(10) if p >= threshold]
    assert passing == [0.9, 0.89] and round(80 * detector.PASSING_PER_CM2) == 2


def test_all_images_count_together(choose):
    halves = [image([(0.99, TRUE)] * 4 + false_ones(5, start), area_cm2=40.0) for start in (0.9, 0.895)]
    assert 0.89 < choose(*halves) <= 0.895


def test_several_candidates_on_one_object_are_one_mark(choose):
    on_one = [(0.9 - 0.01 * n, FALSE, 7) for n in range(5)]
    threshold = choose(image([(0.99, TRUE)] * 4 + on_one + false_ones(3, 0.8), area_cm2=80.0))
    assert 0.79 < threshold <= 0.8


def test_a_weak_detector_still_gives_some_true_ones(choose):
    true = [(0.1 * n, TRUE) for n in range(1, 9)]
    threshold = choose(image(true + false_ones(10, 0.95), area_cm2=80.0))
    assert sum(p >= threshold for p, _ in true) == detector.TRUE_SHARE * len(true)
    assert threshold < 0.85


def test_doubtful_marks_are_neither_true_nor_false(choose):
    marks = [(0.99, TRUE)] * 4 + false_ones(10)
    doubtful = [(0.97 - 0.1 * n, DOUBTFUL) for n in range(9)]
    assert choose(image(marks + doubtful, area_cm2=80.0)) == choose(image(marks, area_cm2=80.0))
    weak = [(0.1 * n, TRUE) for n in range(1, 9)] + false_ones(10, 0.95)
    assert choose(image(weak + doubtful, area_cm2=80.0)) == choose(image(weak, area_cm2=80.0))


@pytest.mark.parametrize("marks", [[], false_ones(10), [(0.9, TRUE)], [(0.9, TRUE), (0.8, FALSE)]])
def test_with_nothing_to_choose_by_it_is_a_half(marks, choose):
    assert choose(image(marks, area_cm2=80.0)) == 0.5
