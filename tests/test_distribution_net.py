import dataclasses

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from calcigraph.config import paper
from calcigraph.graph import SCALARS, assemble
from calcigraph.models import predict_logits
from calcigraph.models.distribution_net import PositionEmbedding, fuse
from hand_made_graphs import CONFIGS, FRAME, graph_of, net_of


@pytest.fixture(params=list(CONFIGS))
def config(request):
    return CONFIGS[request.param]


def test_a_batch_is_its_graphs_one_by_one_whatever_their_size(config):
    net = net_of(config)
    graphs = [graph_of(n, config, seed=n) for n in (0, 1, 2, 8, 9, 40, 0, 200)]
    together = net(Batch.from_data_list(graphs))
    alone = torch.cat([net(Batch.from_data_list([graph])) for graph in graphs])
    assert together.shape == (8, 5)
    assert torch.isfinite(together).all()
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(predict_logits(net, graphs, batch=3), together.detach(), atol=1e-5, rtol=1e-4)


def test_only_empty_graphs(config):
    logits = net_of(config)(Batch.from_data_list([graph_of(0, config)] * 2))
    assert logits.shape == (2, 5)
    logits.sum().backward()


def test_no_graphs(config):
    assert predict_logits(net_of(config), []).shape == (0, 5)


def test_the_order_of_the_nodes_does_not_matter(config):
    net, graph = net_of(config), graph_of(30, config)
    order = np.random.default_rng(3).permutation(30)
    marks = graph.marks.numpy()[order].astype(float)
    shuffled = assemble(
        graph.pos.numpy()[order].astype(float), marks, graph.visual[order], frame=FRAME, config=config.graph
    )
    np.testing.assert_allclose(predict_logits(net, [graph]), predict_logits(net, [shuffled]), atol=2e-5)


def test_gradients_are_finite_for_small_graphs(config):
    net = net_of(config).train()
    net(Batch.from_data_list([graph_of(n, config) for n in (0, 1, 2)])).square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_numbers_of_weights():
    counts = {name: sum(p.numel() for p in net_of(c).parameters()) for name, c in CONFIGS.items()}
    # F of the first convolution: 2→16→80·32, of the others 2→16→32·32; readout 128·32→64→5.
    conv = (2 * 16 + 16 + 17 * 80 * 32 + 32) + 2 * (2 * 16 + 16 + 17 * 32 * 32 + 32)
    assert counts["paper"] == (2 * 16 + 16) + conv + (128 * 32 * 64 + 64) + (64 * 5 + 5)
    assert 40_000 < counts["default"] < 120_000


def test_nodes_of_the_paper_are_80_wide_and_know_only_the_image():
    net = net_of(CONFIGS["paper"])
    assert SCALARS[net.columns] == ("row_share", "col_share")
    assert net.convolve.convolutions[0].in_dim == 80
    assert SCALARS[net_of(CONFIGS["default"]).columns][0] == "centre_depth"


def test_equations_4_and_5():
    embed = PositionEmbedding(2, 3)
    s = torch.rand(4, 2)
    torch.testing.assert_close(embed(s), s @ embed.weight.T + embed.bias)
    torch.testing.assert_close(
        fuse(torch.ones(4, 2), torch.zeros(4, 3)), torch.tensor([[1.0, 1, 0, 0, 0]] * 4)
    )


def test_equation_7_orders_cuts_and_pads():
    config = dataclasses.replace(paper(), network=dataclasses.replace(paper().network, flatten_nodes=3))
    net = net_of(config)
    batch = Batch.from_data_list([graph_of(2, config), graph_of(0, config), graph_of(5, config)])
    batch.scalars[:, SCALARS.index("probability")] = torch.tensor([0.6, 0.9, 0.5, 0.8, 0.7, 0.95, 0.6])
    h = torch.arange(7.0)[:, None].repeat(1, 32) + 1
    flat = net.readout.flatten(h, batch).view(3, 3, 32)[:, :, 0]
    assert flat.tolist() == [[2, 1, 0], [0, 0, 0], [6, 4, 5]]


def test_probabilities_sum_to_one_and_soften_with_temperature(config):
    net = net_of(config)
    logits = torch.tensor([[3.0, -1, 0, 0.5, -2], [-200.0, -300, -400, -250, -500]])
    for temperature in (0.5, 1.0, 4.0):
        p = net.probabilities(logits, temperature=temperature)
        torch.testing.assert_close(p.sum(1), torch.ones(2))
        assert p.argmax(1).tolist() == [0, 0]
    if config.network.output == "sigmoid":
        expected = torch.sigmoid(logits[0]) / torch.sigmoid(logits[0]).sum()
        torch.testing.assert_close(net.probabilities(logits)[0], expected)
    assert net.probabilities(logits, temperature=4.0)[0, 0] < net.probabilities(logits)[0, 0]


def test_reading_out_node_features_is_the_whole(config):
    net, batch = net_of(config), Batch.from_data_list([graph_of(12, config)])
    h = net.node_features(batch)
    assert h.shape == (12, 32)
    torch.testing.assert_close(net.read_out(h, batch), net(batch))
