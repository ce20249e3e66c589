"""The visual half of the nodes as the graph network takes it in: standardised, and unknown where it must be."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from calcigraph.graph import CalcificationGraph


class StandardVisual(nn.Module):
    """(x - mean) / sd of every visual feature, in which 0 means unknown.

    Graphs of simulated marks have no patches, so that their visual features are NaN and become 0 here. In training
    the features of a share of all graphs are taken away, so that the network can do without them.

    Shapes:
        a batch with `visual` (n, visual_dim), NaN where unknown → (n, visual_dim), finite.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, visual_dim: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.register_buffer("mean", torch.zeros(visual_dim))
        self.register_buffer("sd", torch.ones(visual_dim))

    def measure(self, graphs: Sequence[CalcificationGraph]) -> None:
        """Take mean and standard deviation from the nodes of these graphs; without known ones they stay."""
        seen = torch.cat([graph.visual for graph in graphs]) if graphs else self.mean[None][:0]
        seen = seen[torch.isfinite(seen).all(dim=1)]
        if len(seen) > 1:
            self.mean.copy_(seen.mean(dim=0))
            self.sd.copy_(seen.std(dim=0).clamp(min=1e-3))

    def forward(self, batch: Batch) -> Tensor:
        """Standardised features, 0 where unknown."""
        x = torch.nan_to_num((batch.visual - self.mean) / self.sd, nan=0.0).clamp(-5, 5)
        if self.training and self.dropout:
            kept = torch.rand(batch.num_graphs, device=x.device) >= self.dropout
            x = x * kept[batch.batch, None]
        return x
