"""The graph network that names the distribution (equations 4 to 8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.data import Batch

from calcigraph.config import GraphConfig, NetworkConfig
from calcigraph.graph import EDGE_LABELS, SCALARS, CalcificationGraph, position_columns
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.models.edge_conv import EdgeConditionedConv
from calcigraph.models.member_readout import MemberReadout
from calcigraph.models.readout import FlattenReadout
from calcigraph.models.visual import StandardVisual


class PositionEmbedding(nn.Linear):
    """X_emb = S · W_emb + b_emb (equation 4).

    S is the paper's (row, col) of the centre as shares of the image, or, in the default preset, all that is
    known of how a node lies among the others (`graph.BREAST_SCALARS`).
    """


def fuse(visual: Tensor, embedded: Tensor) -> Tensor:
    """X_node = X_patch ‖ X_emb (equation 5): (n, v) and (n, p) → (n, v + p)."""
    return torch.cat([visual, embedded], dim=1)


class PlainConvolutions(nn.Module):
    """Equation 6 again and again, a ReLU after each: (n, in_dim) → (n, hidden_dim)."""

    def __init__(self, in_dim: int, *, edge_dim: int, config: NetworkConfig) -> None:
        super().__init__()
        widths = [in_dim] + [config.hidden_dim] * config.convolutions
        self.convolutions = nn.ModuleList(
            EdgeConditionedConv(a, b, edge_dim=edge_dim, hidden=config.edge_hidden_dim)
            for a, b in pairwise(widths)
        )

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Features of the nodes after the last convolution."""
        for convolution in self.convolutions:
            x = torch.relu(convolution(x, edge_index, edge_attr))
        return x


class ResidualConvolutions(nn.Module):
    """Equation 6 as a correction of what is known already: h + dropout(ReLU(LayerNorm(conv(h)))).

    Equation 6 alone forgets the node itself, as its sum runs over the neighbours only.
    """

    def __init__(self, in_dim: int, *, edge_dim: int, config: NetworkConfig) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.LayerNorm(in_dim), nn.Linear(in_dim, config.hidden_dim), nn.ReLU())
        self.convolutions = nn.ModuleList(
            EdgeConditionedConv(
                config.hidden_dim, config.hidden_dim, edge_dim=edge_dim, hidden=config.edge_hidden_dim
            )
            for _ in range(config.convolutions)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.hidden_dim) for _ in range(config.convolutions))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Features of the nodes after the last convolution."""
        h: Tensor = self.enter(x)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            h = h + self.dropout(torch.relu(norm(convolution(h, edge_index, edge_attr))))
        return h


class DistributionNet(nn.Module):
    """From a batch of graphs to logits of the five distributions, in the order of `lexicon.DISTRIBUTIONS`.

    Shapes:
        a PyG `Batch` of b graphs, each of any number of nodes from 0 → logits (b, 5).
    """

    def __init__(self, *, graph: GraphConfig, network: NetworkConfig) -> None:
        super().__init__()
        self.output = network.output
        self.columns = position_columns(graph.edge_labels)
        scalars = len(SCALARS[self.columns])
        convolutions = ResidualConvolutions if network.residual else PlainConvolutions
        self.visual = (
            StandardVisual(network.visual_dim, dropout=network.visual_dropout)
            if network.visual_dropout
            else None
        )
        self.embed = PositionEmbedding(scalars, network.position_dim)
        self.convolve = convolutions(
            network.visual_dim + network.position_dim,
            edge_dim=len(EDGE_LABELS[graph.edge_labels]),
            config=network,
        )
        self.readout = _readout(network)

    def node_features(self, batch: Batch) -> Tensor:
        """Features of the nodes after the last convolution (equations 4 to 6), (n, hidden_dim)."""
        visual = batch.visual if self.visual is None else self.visual(batch)
        nodes = fuse(visual, self.embed(batch.scalars[:, self.columns]))
        h: Tensor = self.convolve(nodes, batch.edge_index, batch.edge_attr)
        return h

    def read_out(self, h: Tensor, batch: Batch) -> Tensor:
        """Logits (b, 5) from node features (n, hidden_dim) (equations 7 and 8)."""
        logits: Tensor = self.readout(h, batch)
        return logits

    def forward(self, batch: Batch) -> Tensor:
        """Logits (b, 5)."""
        return self.read_out(self.node_features(batch), batch)

    def probabilities(self, logits: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Turn logits (b, 5) into probabilities (b, 5) that sum to 1.

        The five independent outputs of `sigmoid` (equation 8) are divided by their sum.
        """
        return torch.softmax(self._scaled(logits, temperature), dim=1)

    def log_probabilities(self, logits: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Return the logarithms of `probabilities`, (b, 5), also of those too small for a number."""
        return torch.log_softmax(self._scaled(logits, temperature), dim=1)

    def _scaled(self, logits: Tensor, temperature: float) -> Tensor:
        scaled = logits / temperature
        return nn.functional.logsigmoid(scaled) if self.output == "sigmoid" else scaled


def _readout(network: NetworkConfig) -> nn.Module:
    if network.readout == "flatten":
        return FlattenReadout(
            hidden_dim=network.hidden_dim, nodes=network.flatten_nodes, readout_dim=network.readout_dim
        )
    return MemberReadout(
        hidden_dim=network.hidden_dim, readout_dim=network.readout_dim, dropout=network.dropout
    )


@contextmanager
def in_inference(net: nn.Module) -> Iterator[None]:
    """Ask a network in inference mode, without dropout, and leave it in the mode that it had."""
    was_training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(was_training)


def predict_logits(
    net: DistributionNet,
    graphs: Sequence[CalcificationGraph],
    *,
    batch: int = 64,
    device: str | torch.device = "cpu",
) -> NDArray[np.float32]:
    """Ask the network about graphs, in batches: (graphs, 5) float32 logits; no graphs give (0, 5)."""
    logits = [np.zeros((0, len(DISTRIBUTIONS)), np.float32)]
    with in_inference(net), torch.inference_mode():
        for start in range(0, len(graphs), batch):
            held = Batch.from_data_list(list(graphs[start : start + batch])).to(device)
            logits.append(net(held).cpu().numpy())
    return np.concatenate(logits)


def predict_probabilities(
    net: DistributionNet,
    graphs: Sequence[CalcificationGraph],
    *,
    temperature: float = 1.0,
    device: str | torch.device = "cpu",
) -> NDArray[np.float64]:
    """Ask the network about graphs: (graphs, 5) probabilities, NaN for a graph without nodes."""
    logits = torch.as_tensor(predict_logits(net, graphs, device=device))
    probabilities: NDArray[np.float64] = net.probabilities(logits, temperature=temperature).double().numpy()
    probabilities[[not len(graph.pos) for graph in graphs]] = np.nan
    return probabilities
