from dataclasses import dataclass

import numpy as np
import pytest
import sklearn.metrics as sk

from calcigraph.metrics import (
    answers_of,
    binary_auc,
    bootstrap,
    calibration_error,
    constant_answer,
    count_confusions,
    fill_unknown,
    multiclass_auc,
    scores,
)

COHORT = np.repeat(np.arange(5), (67, 115, 337, 8, 54))


def answers(n=200, classes=5, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    p = rng.dirichlet(np.ones(5), size=n) + 0.4 * np.eye(5)[y]
    return y, p / p.sum(1, keepdims=True)


@pytest.mark.parametrize(("classes", "seed"), [(5, 0), (5, 1), (4, 2), (2, 3)])
def test_every_number_is_that_of_scikit_learn(classes, seed):
    y, p = answers(classes=classes, seed=seed)
    hat = p.argmax(1)
    got = scores(y, p)
    weighted = sk.precision_recall_fscore_support(y, hat, average="weighted", zero_division=0)
    assert (got.precision, got.sensitivity, got.f1) == pytest.approx(weighted[:3])
    assert got.accuracy == pytest.approx(sk.accuracy_score(y, hat))
    recalls = [sk.recall_score(y == c, hat == c, pos_label=False) for c in range(5)]
    assert got.specificity == pytest.approx(np.mean(recalls))
    present = np.unique(y)
    assert got.balanced_accuracy == pytest.approx(sk.recall_score(y, hat, labels=present, average="macro"))
    assert got.macro_f1 == pytest.approx(sk.f1_score(y, hat, labels=present, average="macro"))
    assert got.kappa == pytest.approx(sk.cohen_kappa_score(y, hat))
    areas = [sk.roc_auc_score(y == c, p[:, c]) for c in present]
    assert got.macro_auc == pytest.approx(np.mean(areas))
    assert got.auc == pytest.approx(np.average(areas, weights=np.bincount(y)[present]))
    assert got.classes_absent == 5 - len(present)
    if classes == 5:
        for average, ours in (("macro", got.macro_auc), ("weighted", got.auc)):
            assert ours == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr", average=average))
    np.testing.assert_array_equal(
        count_confusions(y, hat)[:, :5], sk.confusion_matrix(y, hat, labels=range(5))
    )


def test_always_grouped_on_the_cohort_of_the_paper():
    constant = constant_answer(COHORT)
    assert constant.accuracy == pytest.approx(0.580, abs=5e-4)
    assert constant.precision == pytest.approx(0.336, abs=5e-4)
    assert constant.specificity == pytest.approx(0.800, abs=5e-4)
    assert constant.f1 == pytest.approx(0.426, abs=5e-4)
    assert (constant.auc, constant.macro_auc, constant.kappa) == pytest.approx((0.5, 0.5, 0.0))
    assert constant.balanced_accuracy == pytest.approx(0.2)
    assert constant.ece == pytest.approx(0.0, abs=1e-9)


def test_auc_counts_ties_as_halves():
    positive = np.array([True, False, True, False])
    score = np.array([1.0, 1.0, 2.0, 0.0])
    assert binary_auc(positive, score) == sk.roc_auc_score(positive, score) == 0.875
    assert np.isnan(binary_auc(np.ones(3, bool), np.arange(3.0)))


def test_one_class_only():
    y, p = np.full(4, 2), np.eye(5)[[2, 2, 2, 2]]
    got = scores(y, p)
    assert got.accuracy == got.balanced_accuracy == got.macro_f1 == 1.0
    assert np.isnan(got.auc) and np.isnan(got.macro_auc) and np.isnan(got.kappa)
    assert got.classes_absent == 4
    assert np.isnan(multiclass_auc(y, p, average="macro"))


def test_calibration_error_by_hand():
    p = np.array([[0.95, 0.05, 0, 0, 0]] * 4 + [[0.35, 0.65, 0, 0, 0]] * 2)
    y = np.array([0, 0, 0, 1, 1, 1])
    assert calibration_error(y, p) == pytest.approx((4 * 0.2 + 2 * 0.35) / 6)


def test_calibration_error_has_ten_bins_closed_at_their_upper_end():
    """.62, .68 and .7 are in one, of which two are right: it is the mean that is held against the share."""
    p = np.array([[each, 1 - each, 0, 0, 0] for each in (0.62, 0.68, 0.7)])
    assert calibration_error(np.array([1, 0, 0]), p) == pytest.approx(abs(2 - 2.0) / 3, abs=1e-12)


@pytest.mark.parametrize("unknown", [[3, 8, 9], range(40)])
def test_no_answer_is_never_right_and_nobodys_false_alarm(unknown):
    y, p = answers(40)
    p[list(unknown)] = np.nan
    hat = np.where(np.isnan(p).any(axis=1), 5, np.nan_to_num(p).argmax(axis=1))
    got, filled = scores(y, p), np.where(np.isnan(p), 0.2, p)
    assert got.accuracy == pytest.approx(np.mean(y == hat))
    assert got.macro_f1 == pytest.approx(
        sk.f1_score(y, hat, labels=range(5), average="macro", zero_division=0)
    )
    assert got.kappa == pytest.approx(sk.cohen_kappa_score(y, hat))
    assert got.macro_auc == pytest.approx(np.mean([sk.roc_auc_score(y == c, filled[:, c]) for c in range(5)]))
    assert count_confusions(y, hat)[:, 5].sum() == len(unknown)
    kept = hat < 5
    assert got.ece == pytest.approx(calibration_error(y[kept], p[kept]), nan_ok=True)


def test_what_is_not_named_is_never_right_but_its_probabilities_are_judged():
    y, p = answers(40)
    named = np.arange(40) % 4 > 0
    hat = np.where(named, p.argmax(axis=1), 5)
    got, everything = scores(y, p, named), scores(y, p)
    np.testing.assert_array_equal(answers_of(p, named), hat)
    assert got.accuracy == pytest.approx(np.mean(y == hat)) and got.accuracy < everything.accuracy
    assert got.kappa == pytest.approx(sk.cohen_kappa_score(y, hat))
    assert (got.macro_auc, got.auc, got.ece) == (everything.macro_auc, everything.auc, everything.ece)
    drawn = bootstrap(y, p, named, patients=[str(i) for i in range(40)], seed=0, repeats=10)
    assert drawn["accuracy"].value == got.accuracy and drawn["ece"].value == got.ece


def test_wrong_shapes_and_infinite_numbers_are_refused():
    y, p = answers(4)
    for labels, probabilities in ((y[:3], p), (y[:0], p[:0]), (y, np.full_like(p, np.inf))):
        with pytest.raises(ValueError, match="labels"):
            scores(labels, probabilities)


def test_the_unknown_get_the_shares():
    _, p = answers(3)
    p[1] = np.nan
    filled = fill_unknown(p, np.array([0.1, 0.2, 0.6, 0.05, 0.05]))
    np.testing.assert_array_equal(filled[[0, 2]], p[[0, 2]])
    assert filled[1, 2] == 0.6


def test_the_bootstrap_is_seeded_and_draws_patients():
    y, p = answers(120)
    patients = [f"p{i // 2}" for i in range(120)]
    one = bootstrap(y, p, patients=patients, seed=1, repeats=100)
    assert one == bootstrap(y, p, patients=patients, seed=1, repeats=100)
    assert one != bootstrap(y, p, patients=patients, seed=2, repeats=100)
    accuracy = one["accuracy"]
    assert accuracy.value == scores(y, p).accuracy
    assert accuracy.low < accuracy.value < accuracy.high
    assert 0.05 < accuracy.high - accuracy.low < 0.35
    single = bootstrap(y, p, patients=["same"] * 120, seed=1, repeats=5)
    assert single["accuracy"].value == accuracy.value
    assert all(np.isnan([one.low, one.high]).all() for one in single.values())  # every draw is the same


def test_draws_without_a_patient_of_some_class_say_nothing_of_means_over_classes():
    """The one patient of class 0 is always named right, all others never: without it a mean would be 0."""
    y, p = np.array([0] + [1] * 30), np.eye(5)[[0] + [2] * 30]
    got = bootstrap(y, p, patients=[str(i) for i in range(31)], seed=0, repeats=200)
    assert got["balanced_accuracy"].low == got["balanced_accuracy"].value == 0.5
    assert got["accuracy"].low == 0.0


def test_one_patient_of_each_class_gives_means_over_classes_no_interval():
    """All draws that have every class are the same examples: no width, and no certainty."""
    y, p = np.array([0, 0, 1, 2]), np.eye(5)[[0, 1, 1, 1]]
    got = bootstrap(y, p, patients=["a", "a", "b", "c"], seed=0, repeats=200)
    assert str(got["balanced_accuracy"]) == "0.500 [–, –]" and np.isnan(got["macro_auc"].high)
    assert got["accuracy"].low < got["accuracy"].high
    two = bootstrap(np.r_[y, 2], p[[0, 1, 2, 3, 0]], patients=["a", "a", "b", "c", "d"], seed=0, repeats=200)
    assert not np.isnan(two["balanced_accuracy"].low)


def test_the_interval_of_the_calibration_error_holds_that_of_true_probabilities():
    """Labels are drawn by the probabilities, so that the true error is 0; on a draw of patients it is ever greater."""
    y, p = answers(400)
    rng = np.random.default_rng(3)
    y = (rng.random((400, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=4)
    ece = bootstrap(y, p, patients=[str(i) for i in range(400)], seed=0, repeats=200)["ece"]
    assert ece.low < 0.01 < ece.value < ece.high < 0.12


def test_no_probabilities_rank_as_an_image_that_says_nothing():
    """All answer with the expected shares: whether some have none must not tell the classes apart."""
    prior = np.array([0.1, 0.1, 0.6, 0.1, 0.1])
    y, p = np.repeat([2, 3], 50), np.tile(prior, (100, 1))
    p[:10] = np.nan
    assert scores(y, p, unknown=prior).macro_auc == scores(y, p, unknown=prior).auc == 0.5
    assert scores(y, p).macro_auc < 0.45


def test_the_interval_ends_where_the_normal_one_does():
    """Of the mean of 400 patients' numbers: 1.96 standard errors to each side."""

    @dataclass(frozen=True)
    class Mean:
        mean: float

    numbers = np.random.default_rng(0).standard_normal(400)
    got = bootstrap(
        np.zeros(400, int),
        numbers,
        patients=[str(i) for i in range(400)],
        seed=0,
        repeats=4000,
        judge=lambda _, drawn: Mean(float(drawn.mean())),
        over_classes=(),
    )["mean"]
    error = numbers.std() / 20
    assert (got.high - got.value) / error == pytest.approx(1.96, rel=0.06)
    assert (got.value - got.low) / error == pytest.approx(1.96, rel=0.06)


def test_a_judge_of_ones_own_says_which_of_its_numbers_are_means_over_classes():
    @dataclass(frozen=True)
    class Judged:
        mean: float
        share: float

    def judge(labels, _):
        return Judged(float((labels == 0).any()), float((labels == 0).any()))

    y, p = np.array([0] + [1] * 30), np.eye(5)[[0] + [1] * 30]
    patients = [str(i) for i in range(31)]
    got = bootstrap(y, p, patients=patients, seed=0, repeats=200, judge=judge, over_classes=["mean"])
    assert got["mean"].low == got["mean"].high == 1.0
    assert (got["share"].low, got["share"].high) == (0.0, 1.0)


def test_the_interval_of_a_proportion_is_the_binomial_one():
    rng = np.random.default_rng(0)
    y = np.zeros(400, int)
    y[0] = 1
    p = np.where(rng.random(400)[:, None] < 0.7, np.eye(5)[0], np.eye(5)[1])
    got = bootstrap(y, p, patients=[str(i) for i in range(400)], seed=0, repeats=400)["accuracy"]
    half = 1.96 * np.sqrt(got.value * (1 - got.value) / 400)
    assert got.high - got.low == pytest.approx(2 * half, rel=0.2)
