import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch_geometric.nn import NNConv

from calcigraph.graph import nearest_neighbours
from calcigraph.models.edge_conv import EdgeConditionedConv, places


def knn_edges(n, k=8, seed=0):
    pos = torch.rand(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.as_tensor(nearest_neighbours(pos.numpy(), k))


def slow_twin(conv):
    label_net = nn.Sequential(conv.first, nn.ReLU(), conv.last)
    twin = NNConv(conv.in_dim, conv.out_dim, label_net, aggr="mean", root_weight=False).double()
    twin.bias = conv.bias
    return twin


def random_edges(n, e):
    return torch.randint(n, (2, e), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("edges", [knn_edges(20), knn_edges(3), random_edges(20, 50), knn_edges(1)])
def test_equation_6_is_nnconv_with_mean_in_values_and_gradients(edges):
    torch.manual_seed(0)
    n = int(edges.max()) + 1 if edges.numel() else 1
    conv = EdgeConditionedConv(7, 5, edge_dim=3, hidden=4).double()
    nn.init.normal_(conv.bias)
    x = torch.randn(n, 7, dtype=torch.float64, requires_grad=True)
    labels = torch.randn(edges.shape[1], 3, dtype=torch.float64, requires_grad=True)
    told = torch.randn(n, 5, dtype=torch.float64)
    wanted = [x, labels, *conv.parameters()]
    twin = slow_twin(conv)  # its constructor draws new weights, which are ours too
    fast, slow = conv(x, edges, labels), twin(x, edges, labels)
    torch.testing.assert_close(fast, slow)
    ours = torch.autograd.grad((fast * told).sum(), wanted)
    theirs = torch.autograd.grad((slow * told).sum(), wanted, allow_unused=True, materialize_grads=True)
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two)


def test_a_node_without_neighbours_gets_the_bias():
    conv = EdgeConditionedConv(4, 3, edge_dim=2, hidden=4)
    nn.init.normal_(conv.bias)
    edges = torch.tensor([[1], [0]])
    answer = conv(torch.randn(3, 4), edges, torch.randn(1, 2))
    torch.testing.assert_close(answer[1:], conv.bias.expand(2, 3))
    assert not torch.allclose(answer[0], conv.bias)


def test_no_nodes():
    conv = EdgeConditionedConv(4, 3, edge_dim=2, hidden=4)
    assert conv(torch.zeros(0, 4), torch.zeros(2, 0, dtype=torch.long), torch.zeros(0, 2)).shape == (0, 3)


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation made."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.numbers = max(self.numbers, made.numel())
        return made


def test_3000_nodes_need_little_memory():
    n, wide, narrow, hidden = 3000, 80, 32, 16
    conv = EdgeConditionedConv(wide, narrow, edge_dim=5, hidden=hidden)
    edges = knn_edges(n)
    with torch.no_grad(), Largest() as largest:
        conv(torch.randn(n, wide), edges, torch.randn(edges.shape[1], 5))
    assert largest.numbers <= n * (hidden + 1) * wide  # 16 MB; a matrix for each edge would be 246 MB
    assert largest.numbers * 10 < edges.shape[1] * wide * narrow


def test_places_count_within_groups():
    group = torch.tensor([2, 0, 2, 2, 0])
    assert places(group, torch.bincount(group)).tolist() == [0, 0, 1, 2, 1]
