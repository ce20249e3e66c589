"""The networks, by name: confirm (equation 2), describe (3) and distribution (4 to 8)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from calcigraph.config import Config
from calcigraph.models.distribution_net import (
    DistributionNet,
    in_inference,
    predict_logits,
    predict_probabilities,
)
from calcigraph.models.inverted_residual import folded
from calcigraph.models.losses import focal_loss
from calcigraph.models.member_readout import MemberReadout
from calcigraph.models.patch_answers import confirm_patches, describe_patches
from calcigraph.models.patch_net import ConfirmNet, DescribeNet, predict_patches

__all__ = [
    "ConfirmNet",
    "DescribeNet",
    "DistributionNet",
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
    """The three networks of a model, by the names of their weight files in a model folder."""

    confirm: ConfirmNet
    describe: DescribeNet
    distribution: DistributionNet

    def folded(self) -> Networks:
        """Return these for inference on many images, the patch networks `folded` once in place of for each."""
        return replace(self, confirm=folded(self.confirm), describe=folded(self.describe))


def build_networks(config: Config) -> Networks:
    """Build the three networks with fresh weights (seed them with `torch.manual_seed`)."""
    channels = len(config.patch.scales)
    return Networks(
        confirm=ConfirmNet(channels=channels, members=config.confirm.members),
        describe=DescribeNet(channels=channels, visual_dim=config.network.visual_dim),
        distribution=DistributionNet(graph=config.graph, network=config.network),
    )
