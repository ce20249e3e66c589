import numpy as np
import pytest
import torch

from calcigraph.config import GraphConfig
from calcigraph.graph import assemble
from calcigraph.training import GraphExamples
from calcigraph.training.soft_labels import ALIKE, soft_labels
from hand_made_graphs import FRAME


def lesion(rng, label, *, spread_mm, alone=False):
    """Twelve members about one place, `spread_mm` wide, and one node far away that is none of them."""
    pos = np.array([100.0, 40.0]) + rng.normal(0, spread_mm, (12, 2))
    pos = pos if alone else np.vstack([pos, [20.0, 10.0]])
    marks = np.tile([0.9, 0.3, 10.0], (len(pos), 1))
    graph = assemble(pos, marks, torch.zeros(len(pos), 4), frame=FRAME, config=GraphConfig())
    graph.y = torch.tensor([label])
    graph.member = torch.tensor([1.0] * 12 + [0.0] * (len(pos) - 12))
    return graph


@pytest.fixture(scope="module")
def overlapping():
    """Classes 1 and 2 are of one shape by turns; class 0 is far larger."""
    rng = np.random.default_rng(0)
    return [
        lesion(rng, label, spread_mm=40 if label == 0 else 4, alone=bool(rng.integers(2)))
        for _ in range(2 * ALIKE)
        for label in (0, 1, 2)
    ]


def test_classes_of_one_shape_share_their_labels_and_others_keep_theirs(overlapping):
    shares = soft_labels(overlapping, softness=1.0)
    assert shares.shape == (len(overlapping), 5) and shares.dtype == np.float32
    assert np.allclose(shares.sum(axis=1), 1)
    of_0, of_1, of_2 = (shares[label::3].mean(axis=0) for label in range(3))
    assert of_0[0] > 0.95
    for of in (of_1, of_2):
        assert of[1:3] == pytest.approx([0.5, 0.5], abs=0.1)


def test_softness_is_the_share_of_the_others(overlapping):
    hard, soft = (soft_labels(overlapping, softness=value) for value in (0.0, 1.0))
    assert (hard == np.eye(5)[[int(g.y) for g in overlapping]]).all()
    assert np.allclose(soft_labels(overlapping, softness=0.3), 0.7 * hard + 0.3 * soft)


def test_few_graphs_are_all_neighbours():
    rng = np.random.default_rng(1)
    assert np.allclose(soft_labels([lesion(rng, 3, spread_mm=4)], softness=0.5), np.eye(5)[[3]])
    pair = [lesion(rng, label, spread_mm=4) for label in (1, 4)]
    assert np.allclose(soft_labels(pair, softness=1.0), np.eye(5)[[1, 4]].mean(axis=0))


def test_examples_teach_shares_and_are_sampled_by_label(overlapping):
    shares = soft_labels(overlapping, softness=0.5)
    examples = GraphExamples(overlapping, GraphConfig(), shares=shares)
    _, target = examples.make_batch(np.array([4, 0]), None)
    assert torch.equal(target, torch.as_tensor(shares[[4, 0]]))
    assert examples.labels[:3].tolist() == [0, 1, 2]
