"""Gradient boosting on the geometry of the detected calcifications."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from calcigraph.crossval.bench import Bench, Float, shift
from calcigraph.crossval.geometry import measure_fold
from calcigraph.crossval.options import StudyOptions
from calcigraph.io import Case, labels_of
from calcigraph.lexicon import DISTRIBUTIONS


def answer_by_boosting(bench: Bench, name: str) -> Float:
    """Train gradient boosting on the geometry of a fold and answer its test cases (n, 5).

    Classes weigh the same, and answers are then moved as far as those of `default`. Its settings are scikit-learn's,
    but for fewer and smaller trees, as suits some hundred images; nothing is chosen, so the validation patients
    train too.
    """
    table = measure_fold(bench)

    def of(cases: list[Case]) -> Float:
        return table.loc[[case.image_id for case in cases]].to_numpy(np.float64)

    training = bench.labelled("train") + bench.labelled("validation")
    boosting = HistGradientBoostingClassifier(
        max_iter=100,
        max_leaf_nodes=8,
        min_samples_leaf=5,
        learning_rate=0.05,
        class_weight="balanced",
        random_state=bench.options.seed,
    )
    test, labels = bench.labelled("test"), labels_of(training)
    if len(np.unique(labels)) < 2:
        return np.tile(bench.shares(), (len(test), 1))
    boosting.fit(of(training), labels)
    answers = np.zeros((len(test), len(DISTRIBUTIONS)))
    answers[:, boosting.classes_] = boosting.predict_proba(of(test))
    return bench.expect(answers, boosting_shift(bench.options))


def boosting_shift(options: StudyOptions) -> float:
    """Return how far its answers are moved (`bench.shift`): as those of `default`."""
    return shift(options.default, balanced=True)
