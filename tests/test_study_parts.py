"""The parts of a study by themselves: folds, comparisons, geometry, rule, deletion, Grad-CAM, budget."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import rankdata
from torch import nn

from calcigraph.config import GraphConfig, NetworkConfig
from calcigraph.crossval.budget import _late_gain
from calcigraph.crossval.compare import STATISTICS, Exchanges, compare_models, holm
from calcigraph.crossval.contestants import CONTESTANTS, line_up
from calcigraph.crossval.deletion import SHARES, deletion_table, without
from calcigraph.crossval.figure5 import choose
from calcigraph.crossval.folds import freeze_folds, make_folds
from calcigraph.crossval.geometry import FEATURES, form_of, largest_group, measure
from calcigraph.crossval.grad_cam import image_saliency
from calcigraph.crossval.rule import distribution_of
from calcigraph.crossval.saliency import middle_of_each_class
from calcigraph.crossval.table import PAPER_TABLE
from calcigraph.encode import Encoding
from calcigraph.errors import BadManifest
from calcigraph.graph import Frame, assemble
from calcigraph.io import Case
from calcigraph.lexicon import DISTRIBUTIONS, Distribution
from calcigraph.metrics import scores
from calcigraph.models import DistributionNet, predict_logits
from calcigraph.models.baselines import LAST_MAPS, image_network
from calcigraph.prevalence import EQUAL, expect
from calcigraph.records import CANDIDATE_COLUMNS, Breast
from calcigraph.training import class_of_patients

FRAME = Frame((100.0, 90.0), (0.0, 1.0), (200.0, 100.0), 120.0, True)


def paper_s_cohort():
    """292 patients, 581 images; the eight linear ones of four patients."""
    cases, number = [], 0
    for name, count in zip(DISTRIBUTIONS, (67, 115, 337, 8, 54), strict=True):
        for image in range(count):
            number += image % 2 == 0
            cases.append(Case(f"{name}{image}", f"P{number:03}", Path("x.png"), distribution=name))
    return cases


# --- folds


def test_folds_of_the_paper_s_cohort():
    cases = paper_s_cohort()
    folds = make_folds(cases, folds=5, seed=0, validation_share=0.15)
    patients = {case.patient_id for case in cases}
    assert sorted(p for fold in folds for p in fold.test) == sorted(patients)
    linear = [sum(c.distribution == "linear" for c in cases if c.patient_id in f.test) for f in folds]
    assert sorted(linear) == [0, 2, 2, 2, 2]
    for fold in folds:
        assert not fold.test & fold.validation
        own = Counter(case.distribution for case in cases if case.patient_id in fold.test)
        assert abs(own[Distribution.GROUPED] - 337 / 5) <= 2 and abs(own.total() - 581 / 5) <= 4
        assert abs(own[Distribution.DIFFUSE] - 67 / 5) <= 2 and abs(own[Distribution.SEGMENTAL] - 54 / 5) <= 2
        assert 0.12 < len(fold.validation) / (len(patients) - len(fold.test)) < 0.18


def test_folds_follow_from_the_seed_and_not_from_the_order_of_the_cases():
    cases = paper_s_cohort()
    one = make_folds(cases, folds=5, seed=1, validation_share=0.15)
    assert one == make_folds(cases[::-1], folds=5, seed=1, validation_share=0.15)
    assert one != make_folds(cases, folds=5, seed=2, validation_share=0.15)


def test_a_patient_with_two_distributions_counts_as_the_rarer():
    cases = [Case(f"i{i}", f"p{i // 2}", Path("x"), distribution=Distribution.GROUPED) for i in range(8)]
    cases[1] = replace(cases[1], distribution=Distribution.LINEAR)
    cases[5] = replace(cases[5], distribution=Distribution.LINEAR)
    folds = make_folds(cases, folds=2, seed=0, validation_share=0.0)
    assert all(len(fold.test & {"p0", "p2"}) == 1 and len(fold.test) == 2 for fold in folds)


def test_a_patient_s_class_is_the_rarest_and_unknown_without_any():
    found = class_of_patients(["a", "a", "b", "b", "c", "d", "d"], np.array([0, 1, -1, 0, -1, 0, 0]))
    assert found == {"a": 1, "b": 0, "c": -1, "d": 0}
    assert class_of_patients([], np.zeros(0, np.int64)) == {}


def test_folds_are_frozen(tmp_path):
    cases, path = paper_s_cohort(), tmp_path / "splits.json"
    given = {"folds": 5, "validation_share": 0.15}
    first = freeze_folds(path, cases, seed=0, **given)
    assert freeze_folds(path, cases, seed=9, **given) == first
    with pytest.raises(BadManifest, match="folds of other patients"):
        freeze_folds(path, cases[4:], seed=0, **given)
    path.write_text("{}")
    with pytest.raises(BadManifest, match="cannot be read"):
        freeze_folds(path, cases, seed=0, **given)


def test_the_line_up_has_an_order_and_what_it_needs():
    assert line_up(["constant", "paper"]) == ("paper", "constant")
    assert line_up(["rule"]) == ("default", "rule")
    assert line_up(CONTESTANTS) == tuple(CONTESTANTS)


# --- comparisons


def answers(rng, y, skill):
    p = rng.dirichlet(np.ones(5), size=len(y)) + skill * np.eye(5)[y]
    return p / p.sum(axis=1, keepdims=True)


def test_equal_models_do_not_differ_and_unequal_ones_do():
    rng = np.random.default_rng(0)
    y = rng.integers(5, size=120)
    patients = [f"p{i // 2}" for i in range(120)]
    good = answers(rng, y, 1.0)
    given = {"good": good, "same": good.copy(), "bad": answers(rng, y, 0.0)}
    found = compare_models(y, given, patients, permutations=199, seed=1)
    assert len(found) == 3 * len(STATISTICS)
    for each in found:
        if {each.first, each.second} == {"good", "same"}:
            assert each.difference == 0 and each.p == 1 and each.p_holm == 1
        else:
            assert abs(each.difference) > 0.2 and each.p == pytest.approx(1 / 200)
            assert each.p_holm == pytest.approx(3 / 200) or each.p_holm == pytest.approx(2 / 200)
            assert (each.difference < 0) == (each.first == "bad")
    turned = dict(reversed(given.items()))
    for each in compare_models(y, turned, patients, permutations=199, seed=1):
        assert each.p == (1 if "bad" not in (each.first, each.second) else pytest.approx(1 / 200))
        assert (each.difference < 0) == (each.first == "bad")  # worse is as sure as better


def test_chance_is_called_a_difference_as_rarely_as_it_should_be():
    rng = np.random.default_rng(3)
    p = []
    for trial in range(60):
        y = rng.integers(5, size=60)
        pair = {"a": answers(rng, y, 0.3), "b": answers(rng, y, 0.3)}
        found = compare_models(y, pair, [f"p{i // 2}" for i in range(60)], permutations=99, seed=trial)
        p += [each.p for each in found if each.statistic == "balanced_accuracy"]
    assert np.mean(np.array(p) <= 0.2) < 0.35 and np.mean(np.array(p) <= 0.05) < 0.15


@pytest.mark.parametrize("name", STATISTICS)
def test_each_exchange_gives_the_difference_of_the_metrics_of_exchanged_answers(name):
    rng = np.random.default_rng(1)
    y, patients = rng.integers(4, size=50), [f"p{i // 3}" for i in range(50)]
    first, second = (np.round(answers(rng, y, skill), 1) for skill in (0.5, 0.2))
    first /= first.sum(axis=1, keepdims=True)
    exchanges = Exchanges.draw(patients, 20, seed=2)
    given = [rankdata(p, axis=0) if name == "macro_auc" else p for p in (first, second)]
    for signs, difference in zip(exchanges.signs, STATISTICS[name](y, first, second, exchanges), strict=True):
        exchanged = (signs[exchanges.patient] < 0)[:, None]
        a, b = np.where(exchanged, given[1], given[0]), np.where(exchanged, given[0], given[1])
        assert difference == pytest.approx(getattr(scores(y, a), name) - getattr(scores(y, b), name))


def test_the_test_of_the_auc_is_blind_to_the_scale_of_probabilities():
    rng = np.random.default_rng(4)
    y, patients = rng.integers(5, size=80), [f"p{i // 2}" for i in range(80)]
    first, second = answers(rng, y, 0.6), answers(rng, y, 0.3)
    found = [
        compare_models(y, {"a": p, "b": second}, patients, permutations=99, seed=1) for p in (first, first**3)
    ]
    assert [e.p for e in found[0] if e.statistic == "macro_auc"] == [
        e.p for e in found[1] if e.statistic == "macro_auc"
    ]


def test_a_statistic_that_is_not_defined_has_no_p():
    p = np.tile(np.eye(5)[1], (4, 1))
    found = compare_models(np.ones(4, int), {"a": p, "b": p}, list("wxyz"), permutations=9, seed=0)
    known = {each.statistic: np.isfinite(each.p) for each in found}
    assert known == {"balanced_accuracy": True, "macro_auc": False, "kappa": False}


def test_holm_by_hand():
    assert holm([0.01, 0.02, 0.5]) == pytest.approx([0.03, 0.04, 0.5])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert np.isnan(holm([float("nan"), 0.04])[0]) and holm([float("nan"), 0.04])[1] == 0.04


# --- geometry and rule


def encoded(points_mm, frame=FRAME):
    points_mm = np.asarray(points_mm, np.float64).reshape(-1, 2)
    table = pd.DataFrame({name: np.full(len(points_mm), 0.5) for name in CANDIDATE_COLUMNS})
    table["row_mm"], table["col_mm"] = points_mm[:, 0], points_mm[:, 1]
    marks = table[["probability", "diameter_mm", "contrast"]].to_numpy()
    visual = torch.zeros(len(points_mm), 4)
    graph = assemble(points_mm, marks, visual, frame=frame, config=GraphConfig())
    breast = Breast(np.zeros((0, 0), bool), np.empty((0, 2)), frame.area_cm2, frame.nipple_mm, (0, 1), False)
    return Encoding(breast, table, table, graph, {})


def test_a_square_is_measured():
    square = [(50, 50), (50, 58), (58, 50), (58, 58)]
    form = measure(encoded(square))
    assert tuple(form) == FEATURES
    assert form["hull_mm2"] == pytest.approx(64) and form["hull_share"] == pytest.approx(64 / 12000)
    assert form["nearest_mm"] == pytest.approx(8) and form["tree_mm"] == pytest.approx(24)
    assert (form["count"], form["groups"], form["main_share"]) == (4, 1, 1)
    assert form["nipple_mm"] == pytest.approx(np.hypot(46, 36))


@pytest.mark.parametrize("points", [[], [(1, 1)], [(1, 1), (1, 1)], [(1, 1), (2, 2), (3, 3)]])
def test_few_and_collinear_points_are_measured(points):
    form = measure(encoded(points))
    assert tuple(form) == FEATURES and form["count"] == len(points)
    assert not np.isinf(list(form.values())).any()


def test_the_largest_group_is_found():
    near = np.array([(0, 0), (0, 9), (0, 18), (60, 60), (60, 65)], float)
    count, main = largest_group(near)
    assert count == 2 and main.tolist() == [True, True, True, False, False]


def test_what_aims_at_the_nipple():
    row = np.column_stack([np.full(9, 100.0), np.linspace(20, 60, 9)])
    assert form_of(row, FRAME)["nipple_angle"] == pytest.approx(0, abs=1e-6)
    assert form_of(row[:, ::-1] * [1, 0] + [60, 50], FRAME)["nipple_angle"] == pytest.approx(
        np.pi / 2, abs=0.4
    )
    blind = replace(FRAME, whole_breast=False)
    assert np.isnan(form_of(row, blind)["nipple_angle"]) and np.isnan(form_of(row, blind)["nipple_mm"])


def cloud(centre, size, n=60, seed=0):
    rng = np.random.default_rng(seed)
    return np.asarray(centre) + (rng.random((n, 2)) - 0.5) * np.asarray(size)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (cloud((100, 45), (150, 80), 150), "diffuse"),
        (cloud((60, 40), (40, 45)), "regional"),
        (cloud((60, 40), (9, 9), 12), "grouped"),
        (cloud((100, 45), (2, 40), 20), "linear"),
        (cloud((100, 45), (18, 50)), "segmental"),
    ],
)
def test_the_rule_knows_the_textbook(points, expected):
    assert distribution_of(measure(encoded(points))) == expected


# --- deletion, Grad-CAM, the rest


def small_net():
    torch.manual_seed(0)
    network = NetworkConfig(visual_dim=4, position_dim=4, hidden_dim=8, edge_hidden_dim=4, readout_dim=8)
    return DistributionNet(graph=GraphConfig(), network=network).eval()


def test_a_graph_without_nodes_is_the_graph_of_the_others():
    points = cloud((60, 40), (30, 30), 12)
    graph = encoded(points).graph
    left, expected = (
        without(graph, np.array([0, 5]), GraphConfig()),
        encoded(np.delete(points, [0, 5], 0)).graph,
    )
    assert torch.allclose(left.scalars, expected.scalars, atol=1e-5)
    assert torch.equal(left.edge_index, expected.edge_index)


def test_the_deletion_table_starts_at_the_whole_answer():
    cases = [Case(f"i{k}", f"p{k}", Path("x")) for k in range(3)]
    encodings = [encoded(cloud((60, 40), (30, 30), n)) for n in (1, 5, 30)]
    net = small_net()
    given = {"temperature": 1.0, "expected": EQUAL, "config": GraphConfig(), "orders": 2, "seed": 0}
    logits = torch.as_tensor(predict_logits(net, [each.graph for each in encodings]))
    answers = net.probabilities(logits).numpy().astype(np.float64)
    named = list(zip(cases, encodings, answers, strict=True))
    table = deletion_table(net, named, **given)
    assert len(table) == 3 * len(SHARES) and np.isfinite(table[["salient", "random"]]).all().all()
    whole = table[table["share"] == 0]
    assert np.allclose(whole["salient"], whole["random"]) and np.allclose(
        whole["salient"], answers.max(axis=1)
    )
    assert table.equals(deletion_table(net, named, **given))
    others = [(case, encoding, -answer) for case, encoding, answer in named]
    table = deletion_table(net, others, **given)
    assert np.allclose(table.loc[table["share"] == 0, "salient"], answers.min(axis=1))
    assert deletion_table(net, [], **given).empty
    shifted = expect(answers, np.array([0.1, 0.1, 0.6, 0.1, 0.1]), 0.5)
    given["expected"] = np.array([0.1, 0.1, 0.6, 0.1, 0.1]) ** 0.5
    table = deletion_table(net, list(zip(cases, encodings, shifted, strict=True)), **given)
    assert np.allclose(table.loc[table["share"] == 0, "salient"], shifted.max(axis=1))


class Corner(nn.Module):
    """Its one map is the image's first channel, and class 1 is its mean."""

    def __init__(self):
        super().__init__()
        self.layer4 = nn.Conv2d(3, 1, 1, bias=False)
        self.layer4.weight.data = torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1)

    def forward(self, images):
        mean = self.layer4(images).mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)


def test_grad_cam_lights_what_speaks_for_the_class():
    image = np.zeros((16, 16, 3), np.uint8)
    image[2:5, 3:6] = 200
    heat = image_saliency(Corner(), "resnet50", image, target=1)
    assert (
        heat.shape == (16, 16)
        and heat.max() == 1
        and np.unravel_index(heat.argmax(), heat.shape)[0] in (2, 3, 4)
    )
    assert heat[12, 12] == 0 and image_saliency(Corner(), "resnet50", image, target=0)[3, 4] == 0


@pytest.mark.parametrize("name", LAST_MAPS)
def test_grad_cam_of_every_network(name):
    if name != "mobilenetv2":
        pytest.importorskip("monai")
    network = image_network(name, channels=3, classes=5).eval()
    image = np.random.default_rng(0).integers(255, size=(64, 64, 3)).astype(np.uint8)
    heat = image_saliency(network, name, image, target=2)
    assert heat.shape == (2, 2) and heat.dtype == np.float32 and 0 <= heat.min() <= heat.max() <= 1


def test_the_example_is_the_median_one_of_those_that_the_image_network_explains_too():
    table = pd.DataFrame(
        {
            "image_id": list("abcde"),
            "truth": ["linear"] * 4 + ["diffuse"],
            "p_linear": [0.9, 0.1, 0.5, 0.4, 0.6],
            "p_grouped": 0.1,
        }
    )
    assert choose(table, Distribution.LINEAR, ())["image_id"] == "d"
    assert choose(table, Distribution.LINEAR, ("a", "e"))["image_id"] == "a"
    assert choose(table, Distribution.LINEAR, ("e",))["image_id"] == "d"
    assert choose(table, Distribution.GROUPED, ("a",)) is None


def test_a_fold_keeps_the_middle_image_of_each_class():
    probabilities = {"a": 0.9, "b": 0.1, "c": 0.5, "d": 0.2}
    named = [
        (
            Case(name, name, Path("x"), distribution=Distribution.LINEAR),
            encoded(cloud((60, 40), (30, 30), 5)),
            row,
        )
        for name, p in probabilities.items()
        for row in [np.where(np.arange(5) == Distribution.LINEAR.place, p, (1 - p) / 4)]
    ]
    assert [case.image_id for case, _, _ in middle_of_each_class(named)] == ["d"]
    assert middle_of_each_class([]) == []


def test_the_late_gain():
    assert _late_gain(pd.DataFrame({"validation_score": [0.5, 0.6, 0.7, 0.8]})) == pytest.approx(0.2)
    assert np.isnan(_late_gain(pd.DataFrame({"validation_score": [np.nan, np.nan]})))


def test_the_paper_s_table_is_as_printed():
    assert [row.folds["auc"].mean for row in PAPER_TABLE] == [0.672, 0.657, 0.695, 0.695, 0.745]
    assert all(row.folds["sensitivity"] == row.folds["accuracy"] for row in PAPER_TABLE)
