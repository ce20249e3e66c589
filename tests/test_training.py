import csv
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from calcigraph.checkpoint import read_tensors
from calcigraph.config import GraphConfig, NetworkConfig, TrainingConfig
from calcigraph.errors import BadModel
from calcigraph.graph import assemble
from calcigraph.models import ConfirmNet, DescribeNet, DistributionNet, predict_logits, predict_patches
from calcigraph.training import (
    GraphExamples,
    augment_graph,
    augment_patches,
    epoch_order,
    fit,
    fit_temperature,
    split_by_patient,
    train_distribution_network,
    train_patch_network,
)
from calcigraph.training.sampling import cosine_rate
from calcigraph.training.state import EpochReport, best_epoch
from calcigraph.training.temperature import expected_shares
from hand_made_graphs import FRAME

TINY = NetworkConfig(visual_dim=4, position_dim=4, hidden_dim=8, edge_hidden_dim=4, readout_dim=8)
RECIPE = TrainingConfig(
    epochs=5, batch_size=8, learning_rate=3e-3, augment=True, balance_classes=True, weight_decay=1e-3
)


def ring(rng, label):
    """A graph whose class is its size: groups of 2, 8, 20, 40 and 70 mm."""
    n = int(rng.integers(6, 20))
    pos = np.array([100.0, 40.0]) + rng.normal(0, (1, 4, 10, 20, 35)[label], (n, 2))
    marks = np.column_stack([rng.uniform(0.5, 1, n), rng.uniform(0.2, 0.6, n), rng.uniform(5, 15, n)])
    visual = torch.as_tensor(rng.random((n, 4), np.float32))
    graph = assemble(pos, marks, visual, frame=FRAME, config=GraphConfig())
    graph.y = torch.tensor([label])
    return graph


def cohort(n=40):
    rng = np.random.default_rng(0)
    return [ring(rng, i % 5) for i in range(n)], [f"p{i // 2}" for i in range(n)]


def some_of(patients, labels):
    """A share of the patients of each class."""
    split = split_by_patient(patients, labels, share=0.15, seed=0)
    return {patients[i] for i in split.validation}


def tiny_net():
    torch.manual_seed(7)
    return DistributionNet(graph=GraphConfig(), network=TINY)


def train_tiny(run_dir, report=None, recipe=RECIPE, net=None):
    graphs, patients = cohort()
    net = net or tiny_net()
    result = train_distribution_network(
        net,
        graphs,
        patients,
        held_out=some_of(patients, np.arange(len(patients)) % 5),
        graph_config=GraphConfig(),
        recipe=recipe,
        seed=3,
        run_dir=run_dir,
        report=report,
    )
    return net, result


def same_weights(one, two):
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    )


def timeless(history):
    return [dataclasses.astuple(report)[:-1] for report in history]


class Killed(BaseException):
    pass


def stops(net, calls):
    """A network that dies at its nth call."""
    left = [calls]

    def die(*_):
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    net.register_forward_pre_hook(die)
    return net


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    seen = []
    net, result = train_tiny(folder, report=seen.append)
    assert seen == list(result.history)
    return net, result, folder


@pytest.mark.parametrize("at", [(0,), (2, 0), (1, 1)])
def test_killed_between_epochs_and_resumed_is_bit_for_bit_the_same(uninterrupted, tmp_path, at):
    whole, result, folder = uninterrupted
    for more in at:
        left = [more]

        def kill(report, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise Killed

        with pytest.raises(Killed):
            train_tiny(tmp_path, report=kill)
    net, again = train_tiny(tmp_path)
    assert same_weights(net, whole)
    assert timeless(again.history) == timeless(result.history)
    ours, theirs = (
        read_tensors(tmp_path / "state.safetensors")[0],
        read_tensors(folder / "state.safetensors")[0],
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("calls", [0, 3, 11])
def test_killed_within_an_epoch_and_resumed_is_bit_for_bit_the_same(uninterrupted, tmp_path, calls):
    whole, result, _ = uninterrupted
    with pytest.raises(Killed):
        train_tiny(tmp_path, net=stops(tiny_net(), calls))
    net, again = train_tiny(tmp_path)
    assert same_weights(net, whole)
    assert timeless(again.history) == timeless(result.history)


def test_killed_while_writing_and_resumed_is_bit_for_bit_the_same(uninterrupted, tmp_path, monkeypatch):
    whole, result, _ = uninterrupted
    real, left = Path.replace, [4]

    def replace(self, target):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(Killed):
        train_tiny(tmp_path)
    monkeypatch.setattr(Path, "replace", real)
    net, again = train_tiny(tmp_path)
    assert same_weights(net, whole)
    assert timeless(again.history) == timeless(result.history)


def test_a_process_that_is_killed_outright_is_resumed(uninterrupted, tmp_path):
    whole, result, _ = uninterrupted
    script = (
        "import os, sys; from pathlib import Path; import test_training as t\n"
        "t.train_tiny(Path(sys.argv[1]), report=lambda r: os._exit(9) if r.epoch == 1 else None)"
    )
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    threads = str(torch.get_num_threads())
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=environment, check=False)
    assert done.returncode == 9
    net, again = train_tiny(tmp_path)
    assert len(again.history) == 5
    assert timeless(again.history) == timeless(result.history)
    assert same_weights(net, whole)


def test_a_finished_run_returns_at_once(uninterrupted):
    whole, result, folder = uninterrupted
    before = (folder / "state.safetensors").stat().st_mtime_ns
    net, again = train_tiny(folder, report=lambda _: pytest.fail("nothing was to be done"))
    assert same_weights(net, whole)
    assert again == result
    assert (folder / "state.safetensors").stat().st_mtime_ns == before
    assert not net.training


def test_the_history_is_a_table_and_the_best_epoch_is_kept(uninterrupted):
    whole, result, folder = uninterrupted
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [field.name for field in dataclasses.fields(EpochReport)]
    assert [int(row["epoch"]) for row in rows] == list(range(5))
    assert [float(row["validation_score"]) for row in rows] == [r.validation_score for r in result.history]
    best, header = read_tensors(folder / "best.safetensors")
    assert header["epoch"] == str(result.best.epoch)
    assert all(torch.equal(best[name], tensor) for name, tensor in whole.state_dict().items())
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_another_recipe_does_not_resume(uninterrupted):
    folder = uninterrupted[2]
    with pytest.raises(BadModel, match="another recipe"):
        train_tiny(folder, recipe=dataclasses.replace(RECIPE, batch_size=4))


def test_the_process_s_own_determinism_setting_is_left_alone(uninterrupted):
    assert not torch.are_deterministic_algorithms_enabled()


def test_graphs_are_learnt(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=80, learning_rate=1e-2, augment=False)
    torch.manual_seed(7)
    net = DistributionNet(graph=GraphConfig(), network=dataclasses.replace(TINY, dropout=0.05))
    net, result = train_tiny(tmp_path, recipe=recipe, net=net)
    assert result.history[-1].training_loss < 0.6 * result.history[0].training_loss
    assert result.best.validation_score >= 0.85
    graphs, _ = cohort(100)
    accuracy = (predict_logits(net, graphs[40:]).argmax(1) == np.arange(40, 100) % 5).mean()
    assert accuracy > 0.5


def spots(n=160):
    """Patches with a bright middle, and without."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    patches = rng.standard_normal((n, 1, 14, 14)).astype(np.float32)
    patches[y == 1, :, 6:8, 6:8] += 3
    return patches, y, [f"p{i // 8}" for i in range(n)]


@pytest.mark.parametrize(
    "make", [lambda: ConfirmNet(channels=1, members=2), lambda: DescribeNet(channels=1, visual_dim=8)]
)
def test_patches_are_learnt(make, tmp_path):
    torch.manual_seed(0)
    patches, y, patients = spots()
    recipe = TrainingConfig(epochs=8, batch_size=16, learning_rate=3e-3, focal_gamma=0.0, augment=True)
    net = make()
    result = train_patch_network(
        net, patches, y, patients, held_out=some_of(patients, y), recipe=recipe, seed=0, run_dir=tmp_path
    )
    assert result.best.validation_score > 0.9
    if isinstance(net, ConfirmNet):
        assert ((predict_patches(net, patches) > 0.5) == y).mean() > 0.85


@pytest.mark.parametrize("patients", [1, 2])
def test_too_few_patients_to_hold_any_out(patients, tmp_path):
    patches, y, _ = spots(8)
    recipe = TrainingConfig(epochs=2, batch_size=4)
    names = [f"p{i % patients}" for i in range(8)]
    result = train_patch_network(
        ConfirmNet(channels=1, members=2),
        patches,
        y,
        names,
        held_out=some_of(names, y),
        recipe=recipe,
        seed=0,
        run_dir=tmp_path,
    )
    assert np.isnan(result.history[0].validation_score)
    assert result.best.epoch == 1


def test_nothing_to_train_on(tmp_path):
    empty = GraphExamples([], GraphConfig())
    with pytest.raises(ValueError, match="no training examples"):
        fit(
            tiny_net(),
            empty,
            empty,
            recipe=RECIPE,
            seed=0,
            run_dir=tmp_path,
            loss=nn.MSELoss(),
            score=lambda *_: 0.0,
        )


def test_a_split_keeps_patients_whole_and_classes_on_both_sides():
    rng = np.random.default_rng(0)
    patients = [f"p{i}" for i in rng.integers(60, size=300)]
    kind = {name: i % 3 for i, name in enumerate(sorted(set(patients)))}
    labels = np.array([kind[name] for name in patients])
    split = split_by_patient(patients, labels, share=0.2, seed=1)
    sides = [{patients[i] for i in side} for side in (split.training, split.validation)]
    assert not sides[0] & sides[1]
    assert sorted([*split.training, *split.validation]) == list(range(300))
    assert len(sides[1]) == 12
    assert set(labels[split.validation]) == set(labels[split.training]) == {0, 1, 2}
    again = split_by_patient(patients, labels, share=0.2, seed=1)
    np.testing.assert_array_equal(split.validation, again.validation)
    other = split_by_patient(patients, labels, share=0.2, seed=2)
    assert set(split.validation) != set(other.validation)
    assert len(split_by_patient([], np.zeros(0, int), share=0.2, seed=0).training) == 0


def test_order_depends_on_the_generator_and_balances_classes():
    labels = np.repeat([0, 1, 2], [80, 15, 5])
    plain = epoch_order(labels, rng=np.random.default_rng((0, 1)), balance=False)
    assert sorted(plain) == list(range(100))
    np.testing.assert_array_equal(
        plain, epoch_order(labels, rng=np.random.default_rng((0, 1)), balance=False)
    )
    balanced = epoch_order(labels, rng=np.random.default_rng(0), balance=True)
    assert len(balanced) == 100
    assert (np.abs(np.bincount(labels[balanced]) - 33.3) <= 2).all()
    assert set(balanced[labels[balanced] == 2]) == set(range(95, 100))


def test_the_rate_falls_along_a_cosine():
    recipe = TrainingConfig(epochs=11, learning_rate=1.0, final_learning_rate=0.1)
    rates = [cosine_rate(recipe, epoch) for epoch in range(11)]
    assert (rates[0], rates[5], rates[10]) == pytest.approx((1.0, 0.55, 0.1))
    assert rates == sorted(rates, reverse=True)


def test_the_best_epoch():
    def report(epoch, loss, score):
        return EpochReport(epoch, 0.1, 1.0, loss, score, 0.0)

    nan = float("nan")
    assert best_epoch([report(0, 1, 0.6), report(1, 2, 0.7), report(2, 1, 0.7), report(3, 1, 0.7)]).epoch == 2
    assert best_epoch([report(0, 1, 0.6), report(1, 0.1, nan)]).epoch == 0
    assert best_epoch([report(0, 0.5, nan), report(1, 0.1, nan)]).epoch == 1
    assert best_epoch([report(0, nan, nan), report(1, nan, nan)]).epoch == 1


def test_a_varied_graph_is_a_graph_of_the_same_class():
    graph = ring(np.random.default_rng(1), 3)
    before = graph.clone()
    sizes = set()
    for seed in range(20):
        varied = augment_graph(graph, rng=np.random.default_rng(seed), config=GraphConfig())
        assert varied.y.tolist() == [3]
        assert varied.keys() == graph.keys()
        assert 1 <= varied.num_nodes <= graph.num_nodes
        assert varied.edge_index.shape[1] == varied.edge_attr.shape[0]
        assert all(torch.isfinite(varied[name]).all() for name in ("scalars", "edge_attr", "visual"))
        assert 0.5 < varied.pos.std(dim=0).norm() / graph.pos.std(dim=0).norm() < 1.5
        sizes.add(varied.num_nodes)
    assert len(sizes) > 1
    assert all(torch.equal(before[name], graph[name]) for name in ("pos", "visual", "scalars"))


@pytest.mark.parametrize("n", [0, 1])
def test_tiny_graphs_can_be_varied(n):
    graph = assemble(
        np.full((n, 2), 50.0), np.ones((n, 3)), torch.ones(n, 4), frame=FRAME, config=GraphConfig()
    )
    graph.y = torch.tensor([0])
    varied = augment_graph(graph, rng=np.random.default_rng(0), config=GraphConfig())
    assert varied.num_nodes == n
    assert torch.isfinite(varied.visual).all()


def test_varied_patches_are_turned_mirrored_ones():
    patches = np.random.default_rng(0).standard_normal((200, 2, 14, 14)).astype(np.float32)
    varied = augment_patches(patches, np.random.default_rng(1))
    assert varied.shape == patches.shape
    assert varied.dtype == np.float32
    ways = set()
    for one, two in zip(patches, varied, strict=True):
        turns = [np.rot90(one[..., ::-1] if m else one, k, axes=(1, 2)) for m in (0, 1) for k in range(4)]
        alike = [np.corrcoef(turn.ravel(), two.ravel())[0, 1] for turn in turns]
        assert max(alike) > 0.999
        ways.add(int(np.argmax(alike)))
    assert len(ways) == 8


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_the_temperature_that_made_the_labels_is_found(output):
    net = DistributionNet(graph=GraphConfig(), network=dataclasses.replace(TINY, output=output))
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 1.5, (6000, 5)).astype(np.float32)
    p = net.probabilities(torch.as_tensor(honest)).numpy()
    y = np.array([rng.choice(5, p=row / row.sum()) for row in p.astype(float)])
    assert fit_temperature(net, 2.5 * honest, y) == pytest.approx(2.5, rel=0.1)
    assert fit_temperature(net, honest[:0], y[:0]) == 1.0
    only = y == 2
    assert fit_temperature(net, honest[only], y[only], shares=np.eye(5)[2]) == 1.0  # any would do


def test_the_temperature_is_found_where_classes_are_not_equally_frequent():
    net = DistributionNet(graph=GraphConfig(), network=NetworkConfig())
    rng, shares = np.random.default_rng(0), np.array([0.1, 0.1, 0.6, 0.05, 0.15])
    honest = rng.normal(0, 1.5, (4000, 5)).astype(np.float32)
    p = np.exp(honest) * shares
    y = np.array([rng.choice(5, p=row / row.sum()) for row in p])
    assert fit_temperature(net, 2.5 * honest, y, shares=shares) == pytest.approx(2.5, rel=0.1)
    assert fit_temperature(net, 2.5 * honest, y) > 3


def test_a_network_that_learnt_on_equal_shares_is_held_against_those_of_the_labels():
    y, equal = np.array([0, 2, 2, 4]), [0.2] * 5
    assert expected_shares(y, balanced=True).tolist() == [0.25, 0, 0.5, 0, 0.25]
    assert expected_shares(y, balanced=False).tolist() == equal
    assert expected_shares(y[:0], balanced=True).tolist() == equal
