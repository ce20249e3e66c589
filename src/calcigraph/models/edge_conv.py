"""The edge-conditioned convolution (equation 6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EdgeConditionedConv(nn.Module):
    """Average the neighbours, each through a matrix that depends on the label of its edge (equation 6).

    X'(i) = 1/|N(i)| Σ_j F(L(j, i)) X(j) + b, with F(L) = W₂ h + b₂ and h = ReLU(W₁ L + b₁).

    An in×out matrix for every edge would be e·in·out numbers. As F is linear in (h, 1), the sum is the same
    when (h, 1) ⊗ X(j) is averaged over the neighbours first and multiplied by (W₂, b₂) once per node, and the
    largest intermediate is n·(hidden + 1)·in numbers. Weights are laid out as those of `NNConv(in_dim, out_dim,
    Sequential(first, ReLU(), last), aggr="mean", root_weight=False)` of torch_geometric, the slow road.

    Shapes:
        x (n, in_dim), edge_index (2, e) neighbour j above node i, edge_attr (e, edge_dim) → (n, out_dim).
        A node without neighbours gets b.
    """

    def __init__(self, in_dim: int, out_dim: int, *, edge_dim: int, hidden: int) -> None:
        super().__init__()
        self.in_dim, self.out_dim, self.hidden = in_dim, out_dim, hidden
        self.first = nn.Linear(edge_dim, hidden)
        self.last = nn.Linear(hidden, in_dim * out_dim)
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """Return X', (n, out_dim)."""
        averaged = self._average(x, edge_index, torch.relu(self.first(edge_attr)))
        return averaged @ self._matrix() + self.bias

    def _matrix(self) -> Tensor:
        """(W₂, b₂) as one matrix, ((hidden + 1)·in_dim, out_dim)."""
        both = torch.cat([self.last.weight, self.last.bias[:, None]], dim=1)
        return (
            both.view(self.in_dim, self.out_dim, self.hidden + 1).permute(2, 0, 1).reshape(-1, self.out_dim)
        )

    def _average(self, x: Tensor, edge_index: Tensor, h: Tensor) -> Tensor:
        """Mean over neighbours of (h, 1) ⊗ X(j), (n, (hidden + 1)·in_dim), 0 for a node without neighbours.

        One product of matrices per node: neighbours are set out in rows of `degree.max()` places, empty
        places holding 0.
        """
        neighbour, node = edge_index
        degree = torch.bincount(node, minlength=len(x))
        place = places(node, degree)
        most = int(degree.max()) if len(x) else 0
        h = torch.cat([h, h.new_ones(len(h), 1)], dim=1) / degree[node, None]
        labels = h.new_zeros(len(x), most, self.hidden + 1).index_put((node, place), h)
        states = x.new_zeros(len(x), most, self.in_dim).index_put((node, place), x[neighbour])
        return torch.bmm(labels.transpose(1, 2), states).flatten(1)


def places(group: Tensor, sizes: Tensor) -> Tensor:
    """Number the members of every group 0, 1, 2 ... in the order in which they come.

    Args:
        group: (m,) int64, the group of each member.
        sizes: (groups,) int64, members of each group.

    Returns:
        (m,) int64.
    """
    order = torch.argsort(group, stable=True)
    starts = torch.cumsum(sizes, 0) - sizes
    place = torch.empty_like(group)
    place[order] = torch.arange(len(group), device=group.device) - starts[group[order]]
    return place
