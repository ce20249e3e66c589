import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.data import Batch

from calcigraph.explain import node_saliency
from calcigraph.prevalence import expect
from hand_made_graphs import CONFIGS, graph_of, net_of


class HandMade(nn.Module):
    """Node features are the first two visual ones; each class's logit is a given sum over nodes of them."""

    def __init__(self, weights):
        super().__init__()
        self.readout = nn.Identity()
        self.weights = nn.Parameter(torch.tensor(weights))

    def node_features(self, batch):
        return batch.visual[:, :2]

    def read_out(self, h, batch):
        return h.sum(dim=0, keepdim=True) @ self.weights


def asked(features, weights, target=None):
    graph = graph_of(len(features), CONFIGS["default"])
    graph.visual = torch.tensor(features, dtype=torch.float32).reshape(len(features), 2)
    return node_saliency(HandMade(weights), graph, target=target)


def test_a_network_whose_answer_is_known():
    weights = [[2.0, -1.0, 0, 0, 0], [1.0, 3.0, 0, 0, 0]]
    features = [[1.0, 1.0], [0.0, 2.0], [-1.0, 0.5], [3.0, 0.0]]
    # Class 0: alpha = (2, 1), sums 3, 2, -1.5, 6. Class 1: alpha = (-1, 3), sums 2, 6, 2.5, -3.
    np.testing.assert_allclose(asked(features, weights, target=0), [0.5, 1 / 3, 0, 1], rtol=1e-6)
    np.testing.assert_allclose(asked(features, weights, target=1), [1 / 3, 1, 2.5 / 6, 0], rtol=1e-6)


def test_the_likeliest_class_is_explained_by_default():
    weights = [[1.0, 0, 0, 0, 9.0], [0.0, 0, 0, 0, 1.0]]
    features = [[1.0, 0.0], [0.5, 0.0]]
    np.testing.assert_array_equal(asked(features, weights), asked(features, weights, target=4))


def test_nothing_positive_is_zero_and_equal_nodes_are_one():
    down = [[-1.0, 0, 0, 0, 0], [-1.0, 0, 0, 0, 0]]
    up = [[1.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0]]
    same = [[1.0, 2.0]] * 3
    np.testing.assert_array_equal(asked(same, down, target=0), np.zeros(3))
    np.testing.assert_array_equal(asked(same, up, target=0), np.ones(3))
    np.testing.assert_array_equal(asked([[1.0, 2.0]], up, target=0), [1.0])


@pytest.mark.parametrize("name", list(CONFIGS))
@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_real_networks(name, n):
    config = CONFIGS[name]
    net = net_of(config).train()
    saliency = node_saliency(net, graph_of(n, config))
    assert net.training
    assert saliency.shape == (n,)
    assert saliency.dtype == np.float32
    assert ((saliency >= 0) & (saliency <= 1)).all()
    assert all(p.grad is None for p in net.parameters())
    if n == 30:
        every = [node_saliency(net, graph_of(n, config), target=c).max() for c in range(5)]
        assert set(every) <= {0.0, 1.0} and 1.0 in every


def test_nodes_beyond_the_paper_s_readout_have_no_say_of_their_own():
    """Only 128 nodes reach the flat vector; the mean slope is over all of them, and the answer is finite."""
    config = CONFIGS["paper"]
    assert np.isfinite(node_saliency(net_of(config), graph_of(150, config))).all()


def test_saliency_is_that_of_the_probability_that_is_given():
    """Of the answer at its temperature and the expected shares: handing a node's weight on lowers that."""
    config = CONFIGS["default"]
    net, graph = net_of(config), graph_of(12, config)
    batch = Batch.from_data_list([graph])
    weight = torch.linspace(0.1, 0.9, 12)
    net.readout.weigh = lambda h: weight
    asked = {"temperature": 0.3, "expected": np.array([0.01, 0.01, 0.3, 0.01, 0.67])}

    def answer(weights):
        p = net.probabilities(net.readout.name(weights, batch), temperature=asked["temperature"])[0].detach()
        return expect(p.double().numpy()[None], asked["expected"], 1.0)[0, 2]

    fallen = []
    for node in range(12):
        moved = weight.clone()
        moved[node] *= 0.99
        moved *= weight.sum() / moved.sum()
        fallen.append(np.log(answer(weight) / answer(moved)))
    saliency = node_saliency(net, graph, target=2, **asked)
    expected = np.clip(fallen, 0, None) / max(fallen)
    np.testing.assert_allclose(saliency, expected, atol=0.03)
    assert np.abs(node_saliency(net, graph, target=2) - expected).max() > 0.1


def test_a_distribution_that_nobody_expects_leaves_the_saliency_finite():
    config = CONFIGS["default"]
    expected = np.array([0.5, 0.0, 0.5, 0.0, 0.0])
    for target in range(5):
        saliency = node_saliency(net_of(config), graph_of(12, config), target=target, expected=expected)
        assert np.isfinite(saliency).all()


def test_nodes_that_weigh_in_the_shape_are_salient():
    """The most salient node is the one whose weight, handed to the others, takes most from the class's probability."""
    config = CONFIGS["default"]
    net, graph = net_of(config), graph_of(12, config)
    batch = Batch.from_data_list([graph])
    weight = torch.full((12,), 0.5)
    weight[1] = 1e-6
    net.readout.weigh = lambda h: weight
    saliency = node_saliency(net, graph, target=2)
    assert saliency[1] < 1e-4 and saliency.max() == 1
    fallen = []
    for node in range(12):
        moved = weight.clone()
        moved[node] *= 0.99
        moved *= weight.sum() / moved.sum()
        before, after = (torch.log_softmax(net.readout.name(w, batch)[0], 0)[2] for w in (weight, moved))
        fallen.append((before - after).item())
    assert int(np.argmax(fallen)) == int(np.argmax(saliency))
    assert (saliency[np.array(fallen) < -1e-4] == 0).all()
