"""A second question for the graph network while it trains: which nodes belong to the lesion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from calcigraph.models import DistributionNet
from calcigraph.models.member_readout import MemberReadout

MEMBER_WEIGHT = 1.0
"""Weight of the mean surprise of the nodes beside the loss of the graphs."""


@contextmanager
def member_surprise(net: DistributionNet) -> Iterator[Callable[[], Tensor]]:
    """Listen to a network; yields what says how well it told the lesion's nodes from others in its last batch.

    That is the weighted cross-entropy of membership, a scalar, over the nodes whose `member` (n,) is not NaN: 0
    without any, and for a network without `MemberReadout`.
    """
    noted: dict[str, Any] = {}
    hooks = [net.register_forward_pre_hook(lambda _, given: noted.update(batch=given[0]))]
    if isinstance(net.readout, MemberReadout):
        hooks.append(
            net.readout.member.register_forward_hook(lambda _, given, logit: noted.update(logit=logit))
        )

    def surprise() -> Tensor:
        batch, logit = noted.get("batch"), noted.get("logit")
        if batch is None or logit is None or "member" not in batch:
            return torch.zeros(())
        known = torch.isfinite(batch.member)
        if not known.any():
            return torch.zeros(())
        loss = nn.functional.binary_cross_entropy_with_logits(logit.squeeze(1)[known], batch.member[known])
        return MEMBER_WEIGHT * loss

    try:
        yield surprise
    finally:
        for hook in hooks:
            hook.remove()
