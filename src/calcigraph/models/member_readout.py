"""From node features to one answer for the graph, by way of the nodes that belong to the lesion."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.utils import scatter

from calcigraph.graph import SCALARS
from calcigraph.lexicon import DISTRIBUTIONS

SHARPNESS = 3.0
"""Logits of membership are multiplied by this before they become weights: a doubtful node far away would otherwise
stretch the lesion."""

SHAPE = (
    "log_weight",
    "log_long_mm",
    "log_short_mm",
    "log_area",
    "log_density",
    "elongation",
    "along_depth",
    "share",
    "log_neighbour_mm",
    "breast_share",
    "whole_breast",
)
"""What `lesion_shape` computes."""

USUAL_WEIGHT, USUAL_DENSITY = 12.0, 10.0
USUAL_LONG_MM, USUAL_SHORT_MM, USUAL_AREA_MM2 = 20.0, 10.0, 150.0
"""About the middle of the lesions that are drawn: logarithms of shares of these lie around 0 and are about 1 wide, as a
network learns best (docs/LOG.md)."""

_COLUMN = {name: place for place, name in enumerate(SCALARS)}


class MemberReadout(nn.Module):
    """Ask of every node whether it belongs to the lesion, and name the distribution by the shape of those that do.

    Satellites, lone calcifications and false marks so weigh little, and size, elongation and direction are those of
    what a radiologist would outline. Nothing else decides: with pooled node features beside the shape, networks
    learnt what only simulated breasts have (docs/LOG.md).

    Shapes:
        h (n, hidden_dim), a batch of b graphs → logits (b, 5). A graph without nodes has a shape of 0.
    """

    def __init__(self, *, hidden_dim: int, readout_dim: int, dropout: float) -> None:
        super().__init__()
        self.member = nn.Sequential(nn.Linear(hidden_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, 1))
        self.layers = nn.Sequential(
            nn.Linear(len(SHAPE), readout_dim),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(readout_dim, readout_dim),
            nn.ReLU(),
            nn.Linear(readout_dim, len(DISTRIBUTIONS)),
        )

    def membership(self, h: Tensor) -> Tensor:
        """Logit of "belongs to the lesion" of every node, (n,)."""
        logit: Tensor = self.member(h)
        return logit.squeeze(1)

    def weigh(self, h: Tensor) -> Tensor:
        """Weight of every node in the lesion's shape, (n,) in [0, 1]."""
        return torch.sigmoid(SHARPNESS * self.membership(h))

    def name(self, weight: Tensor, batch: Batch) -> Tensor:
        """Logits (b, 5) from node weights (n,)."""
        logits: Tensor = self.layers(lesion_shape(weight, batch))
        return logits

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        """Logits (b, 5)."""
        return self.name(self.weigh(h), batch)


def lesion_shape(weight: Tensor, batch: Batch) -> Tensor:
    """Compute `SHAPE` of each graph from node weights (n,) in [0, 1]: (b, len(SHAPE)), 0 for an empty graph.

    Long and short side are four weighted standard deviations along the principal axes, to which half a millimetre
    is added; elongation is (long² - short²) / (long² + short²), and `along_depth` the same for the depth axis
    and the one across it, which is elongation times cos 2φ, φ being the angle between long axis and depth axis.
    `share` is the lesion's share of all probability, `breast_share` the root of its share of the breast's area.
    `along_depth` and `breast_share` are 0 where the image does not show the whole breast. Logarithms are those of
    shares of what is usual, weight and density (per cm²) with 1 added to them.
    """
    graph, count = batch.batch, batch.num_graphs

    def total(values: Tensor) -> Tensor:
        return scatter(values, graph, dim_size=count, reduce="sum")

    def column(name: str) -> Tensor:
        values: Tensor = batch.scalars[:, _COLUMN[name]]
        return values

    weights = total(weight)
    share = weight / (weights + 1e-3)[graph]
    depth, across = 50 * column("centre_depth"), 50 * column("centre_across")
    depth, across = depth - total(share * depth)[graph], across - total(share * across)[graph]
    along = total(share * depth**2) + 1e-2
    aside = total(share * across**2) + 1e-2
    mixed = total(share * depth * across)
    both = along + aside
    apart = (((along - aside) ** 2 + 4 * mixed**2) + 1e-6).sqrt()
    long, short = (16 * (both + apart) / 2).sqrt(), (16 * (both - apart).clamp(min=2e-2) / 2).sqrt()
    area = 0.785 * (long + 0.5) * (short + 0.5)
    nodes = torch.bincount(graph, minlength=count).clamp(min=1)
    whole = total(column("whole_breast")) / nodes
    breast_mm2 = 1e4 * torch.exp(2 * total(column("log_breast_size")) / nodes)
    columns = [
        torch.log((1 + weights) / USUAL_WEIGHT),
        torch.log((long + 0.5) / USUAL_LONG_MM),
        torch.log((short + 0.5) / USUAL_SHORT_MM),
        torch.log(area / USUAL_AREA_MM2),
        torch.log((1 + 100 * weights / area) / USUAL_DENSITY),
        apart / both,
        whole * (along - aside) / both,
        weights / (total(column("probability")) + 1e-3),
        total(share * column("log_neighbour_distance")),
        whole * (area / breast_mm2).clamp(max=2).sqrt(),
        whole,
    ]
    filled = (torch.bincount(graph, minlength=count) > 0).float()
    return torch.stack(columns, dim=1) * filled[:, None]
