"""A second question for the graph network while it trains: which nodes belong to the lesion."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch

from calcigraph.models import DistributionNet
from calcigraph.models.member_readout import MemberReadout

MEMBER_WEIGHT = 0.5
"""Weight of the mean surprise of the nodes beside the loss of the graphs."""


class MemberSupervision(nn.Module):
    """A graph network that also notes how well it told the lesion's nodes from others, where that is known.

    Shapes:
        a batch, with `member` (n,) in [0, 1] or without → logits (b, 5), as the network gives.
    """

    def __init__(self, net: DistributionNet) -> None:
        super().__init__()
        self.net = net
        self.surprise = torch.zeros(())

    def forward(self, batch: Batch) -> Tensor:
        """Logits (b, 5); leaves `surprise`, the weighted cross-entropy of membership, 0 where nothing is known."""
        h = self.net.node_features(batch)
        self.surprise = h.new_zeros(())
        if "member" in batch and len(h) and isinstance(self.net.readout, MemberReadout):
            logits = self.net.readout.membership(h)
            self.surprise = MEMBER_WEIGHT * nn.functional.binary_cross_entropy_with_logits(
                logits, batch.member
            )
        return self.net.read_out(h, batch)
