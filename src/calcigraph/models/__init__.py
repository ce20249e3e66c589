"""The networks, by name: confirm (equation 2), describe (3) and distribution (4 to 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from calcigraph.config import Config
from calcigraph.models.distribution_net import (
    DistributionNet,
    in_inference,
    predict_logits,
    predict_probabilities,
)
from calcigraph.models.edge_conv import EdgeConditionedConv
from calcigraph.models.inverted_residual import folded
from calcigraph.models.losses import focal_loss
from calcigraph.models.member_readout import MemberReadout
from calcigraph.models.patch_answers import confirm_patches, describe_patches
from calcigraph.models.patch_net import ConfirmNet, DescribeNet, predict_patches

__all__ = [
    "NETWORKS",
    "ConfirmNet",
    "DescribeNet",
    "DistributionNet",
    "EdgeConditionedConv",
    "MemberReadout",
    "Networks",
    "build_networks",
    "confirm_patches",
    "describe_patches",
    "focal_loss",
    "in_inference",
    "predict_logits",
    "predict_patches",
    "predict_probabilities",
]


@dataclass(frozen=True)
class Networks:
    """The three networks of a model."""

    confirm: ConfirmNet
    describe: DescribeNet
    distribution: DistributionNet

    def folded(self) -> Networks:
        """Return these for inference on many images, the patch networks `folded` once in place of for each."""
        return replace(self, confirm=folded(self.confirm), describe=folded(self.describe))


def confirm_net(config: Config) -> ConfirmNet:
    """Build the network of equation 2."""
    return ConfirmNet(channels=len(config.patch.scales), members=config.confirm.members)


def describe_net(config: Config) -> DescribeNet:
    """Build the network of equation 3."""
    return DescribeNet(channels=len(config.patch.scales), visual_dim=config.network.visual_dim)


def distribution_net(config: Config) -> DistributionNet:
    """Build the network of equations 4 to 8."""
    return DistributionNet(graph=config.graph, network=config.network)


NETWORKS: dict[str, Callable[[Config], nn.Module]] = {
    "confirm": confirm_net,
    "describe": describe_net,
    "distribution": distribution_net,
}
"""Name → constructor; the names are those of the weight files of a model folder."""


def build_networks(config: Config) -> Networks:
    """Build the three networks with fresh weights (seed them with `torch.manual_seed`)."""
    return Networks(
        confirm=confirm_net(config), describe=describe_net(config), distribution=distribution_net(config)
    )
