"""From node features to one answer for the graph (equations 7 and 8)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from calcigraph.graph import SCALARS
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.models.edge_conv import places

PROBABILITY = SCALARS.index("probability")


class FlattenReadout(nn.Module):
    """x = flatten(X) (equation 7), ŷ = σ(x W_fc + b_fc) (equation 8; σ is taken outside), as in the paper.

    A flat vector needs a number and an order of nodes, of which the paper says nothing: here nodes come by
    descending probability, cut or padded with 0 to `nodes`. Two fully connected layers, as in section 3.1.

    Shapes:
        h (n, hidden_dim), a batch of b graphs → logits (b, 5).
    """

    def __init__(self, *, hidden_dim: int, nodes: int, readout_dim: int) -> None:
        super().__init__()
        self.nodes = nodes
        self.layers = nn.Sequential(
            nn.Linear(nodes * hidden_dim, readout_dim), nn.ReLU(), nn.Linear(readout_dim, len(DISTRIBUTIONS))
        )

    def flatten(self, h: Tensor, batch: Batch) -> Tensor:
        """Equation 7: (n, hidden_dim) → (b, nodes · hidden_dim)."""
        order = torch.argsort(batch.scalars[:, PROBABILITY], descending=True, stable=True)
        graph = batch.batch[order]
        place = places(graph, torch.bincount(graph, minlength=batch.num_graphs))
        kept = place < self.nodes
        matrix = h.new_zeros(batch.num_graphs, self.nodes, h.shape[1])
        return matrix.index_put((graph[kept], place[kept]), h[order[kept]]).flatten(1)

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        """Equation 8 before σ: logits (b, 5)."""
        logits: Tensor = self.layers(self.flatten(h, batch))
        return logits
