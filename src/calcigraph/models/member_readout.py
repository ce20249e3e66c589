"""From node features to one answer for the graph, by way of the nodes that belong to the lesion."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.utils import scatter, softmax

from calcigraph.graph import SCALARS, SUMMARY
from calcigraph.lexicon import DISTRIBUTIONS

HEADS = 4

SHAPE = (
    "log_weight",
    "log_long_mm",
    "log_short_mm",
    "log_area",
    "log_density",
    "elongation",
    "towards_nipple",
    "depth",
    "share",
    "log_neighbour_mm",
)
"""What `lesion_shape` computes."""

_COLUMN = {name: place for place, name in enumerate(SCALARS)}


class MemberReadout(nn.Module):
    """Ask of every node whether it belongs to the lesion, and read the lesion's shape with the answers as weights.

    Satellites, lone calcifications and false marks so weigh little, and size, elongation and aim are those of what
    a radiologist would outline. Beside the shape stand the mean of the lesion's features, their maximum over all
    nodes, an attention with `HEADS` heads, and the summary of the graph.

    Shapes:
        h (n, hidden_dim), a batch of b graphs → logits (b, 5). A graph without nodes pools to 0.
    """

    def __init__(self, *, hidden_dim: int, readout_dim: int, dropout: float) -> None:
        super().__init__()
        self.member = nn.Linear(hidden_dim, 1)
        self.attention = nn.Linear(hidden_dim, HEADS)
        self.value = nn.Linear(hidden_dim, hidden_dim)
        self.layers = nn.Sequential(
            nn.Linear(3 * hidden_dim + len(SHAPE) + len(SUMMARY), readout_dim),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(readout_dim, readout_dim),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(readout_dim, len(DISTRIBUTIONS)),
        )

    def membership(self, h: Tensor) -> Tensor:
        """Logit of "belongs to the lesion" of every node, (n,)."""
        logit: Tensor = self.member(h)
        return logit.squeeze(1)

    def pool(self, h: Tensor, weight: Tensor, batch: Batch) -> Tensor:
        """(n, hidden_dim) and (n,) weights → (b, 3 · hidden_dim)."""
        graph, count = batch.batch, batch.num_graphs
        total = scatter(weight, graph, dim_size=count, reduce="sum") + 1e-3
        mean = scatter(weight[:, None] * h, graph, dim_size=count, reduce="sum") / total[:, None]
        highest = scatter(h, graph, dim_size=count, reduce="max")
        share = softmax(self.attention(h), graph, num_nodes=count)
        heads = share[:, :, None] * self.value(h).view(len(h), HEADS, h.shape[1] // HEADS)
        attended = scatter(heads.flatten(1), graph, dim_size=count, reduce="sum")
        return torch.cat([mean, highest, attended], dim=1)

    def forward(self, h: Tensor, batch: Batch) -> Tensor:
        """Logits (b, 5)."""
        weight = torch.sigmoid(self.membership(h))
        shape = lesion_shape(weight, batch)
        logits: Tensor = self.layers(torch.cat([self.pool(h, weight, batch), shape, batch.summary], dim=1))
        return logits


def lesion_shape(weight: Tensor, batch: Batch) -> Tensor:
    """Compute `SHAPE` of each graph from node weights (n,) in [0, 1]: (b, len(SHAPE)), 0 for an empty graph.

    Long and short side are four weighted standard deviations along the principal axes, to which half a millimetre
    is added; elongation is (long² - short²) / (long² + short²), and `towards_nipple` the same for the direction to
    the nipple and the one across it, which is elongation times cos 2φ, φ being the angle between long axis and
    nipple. It and the depth (100 mm) are 0 where the image shows no nipple. Logarithms of mm, mm², numbers and
    numbers per cm² are divided by 5.
    """
    graph, count = batch.batch, batch.num_graphs

    def total(values: Tensor) -> Tensor:
        return scatter(values, graph, dim_size=count, reduce="sum")

    known = batch.scalars[:, _COLUMN["probability"]]
    place = 50 * batch.scalars[:, [_COLUMN["centre_depth"], _COLUMN["centre_across"]]]
    from_nipple = 100 * batch.scalars[:, [_COLUMN["depth"], _COLUMN["across"]]]
    spacing = batch.scalars[:, _COLUMN["log_neighbour_distance"]]
    weights = total(weight)
    mean_weight = weight / (weights + 1e-3)[graph]
    offset = place - total(mean_weight[:, None] * place)[graph]
    away = total(mean_weight[:, None] * from_nipple)
    along = total(mean_weight * offset[:, 0] ** 2) + 1e-2
    across = total(mean_weight * offset[:, 1] ** 2) + 1e-2
    mixed = total(mean_weight * offset[:, 0] * offset[:, 1])
    both = along + across
    apart = (((along - across) ** 2 + 4 * mixed**2) + 1e-6).sqrt()
    long, short = (16 * (both + apart) / 2).sqrt(), (16 * (both - apart).clamp(min=2e-2) / 2).sqrt()
    aim = nn.functional.normalize(away, dim=1, eps=1.0)
    towards = (aim[:, 0] ** 2 - aim[:, 1] ** 2) * (along - across) + 4 * aim[:, 0] * aim[:, 1] * mixed
    area = 0.785 * (long + 0.5) * (short + 0.5)
    columns = [
        torch.log1p(weights) / 5,
        torch.log(long + 0.5) / 5,
        torch.log(short + 0.5) / 5,
        torch.log(area) / 5,
        torch.log1p(100 * weights / area) / 5,
        apart / both,
        towards / both,
        away.norm(dim=1) / 100,
        weights / (total(known) + 1e-3),
        total(mean_weight * spacing),
    ]
    filled = (torch.bincount(graph, minlength=count) > 0).float()
    return torch.stack(columns, dim=1) * filled[:, None]
