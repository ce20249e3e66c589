"""The image networks of the paper's comparison (section 2.6): ResNet-50, DenseNet-121, MobileNetV2, EfficientNet-B7.

MONAI brings three of them (the extra `[baselines]`); MobileNetV2 is built from the blocks of our patch network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from calcigraph.errors import BadConfig
from calcigraph.models.inverted_residual import conv_norm, inverted_residuals

MOBILENET_V2_ROWS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""(expand, channels, repeats, stride) of Sandler et al. 2018, table 2."""


BATCH_NORM_MOMENTUM = 0.1
"""Share by which running statistics follow a batch: torch's, and so that of the other three networks."""


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al. 2018, table 2).

    Shapes:
        (n, channels, h, w) → logits (n, classes).
    """

    def __init__(self, *, channels: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_norm(channels, 32, stride=2),
            *inverted_residuals(32, MOBILENET_V2_ROWS),
            conv_norm(320, 1280, size=1),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (n, classes)."""
        logits: Tensor = self.classifier(self.features(images).mean(dim=(2, 3)))
        return logits


def resnet50(*, channels: int, classes: int) -> nn.Module:
    """ResNet-50 (He et al. 2016), with the first stride and the bias-free shortcuts of the original."""
    network: nn.Module = _monai().resnet50(
        spatial_dims=2,
        n_input_channels=channels,
        num_classes=classes,
        conv1_t_stride=2,
        bias_downsample=False,
    )
    return network


def densenet121(*, channels: int, classes: int) -> nn.Module:
    """DenseNet-121 (Huang et al. 2017)."""
    network: nn.Module = _monai().DenseNet121(spatial_dims=2, in_channels=channels, out_channels=classes)
    return network


def efficientnet_b7(*, channels: int, classes: int) -> nn.Module:
    """EfficientNet-B7 (Tan and Le 2019)."""
    network = _monai().EfficientNetBN(
        "efficientnet-b7", spatial_dims=2, in_channels=channels, num_classes=classes, pretrained=False
    )
    # MONAI draws these from a range made for a thousand classes; with five, the first logits would be twenty times
    # those of the other networks.
    network._fc.reset_parameters()
    # They follow the batches by a hundredth, as if there were hundreds of thousands. After some hundred they would
    # still be first guesses, under which an image fades from layer to layer until all answers are the same.
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = BATCH_NORM_MOMENTUM
    made: nn.Module = network
    return made


IMAGE_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "resnet50": resnet50,
    "densenet121": densenet121,
    "mobilenetv2": MobileNetV2,
    "efficientnet-b7": efficientnet_b7,
}
"""Name → constructor, taking `channels` and `classes`."""

LAST_MAPS = {
    "resnet50": "layer4",
    "densenet121": "features",
    "mobilenetv2": "features",
    "efficientnet-b7": "_conv_head",
}
"""Name → the last module that gives maps: a whole block, or EfficientNet's last convolution."""


def image_network(name: str, *, channels: int, classes: int) -> nn.Module:
    """Build an image network by its name, with fresh weights.

    Raises:
        BadConfig: no such network, or MONAI, which it needs, is not installed.
    """
    if name not in IMAGE_NETWORKS:
        raise BadConfig(
            f"image network {name!r}", allowed=", ".join(IMAGE_NETWORKS), do="choose one of these"
        )
    return IMAGE_NETWORKS[name](channels=channels, classes=classes)


def _monai() -> Any:
    try:
        from monai.networks import nets
    except ImportError:
        raise BadConfig(
            "an image network of MONAI, which is not installed",
            allowed="mobilenetv2 without it",
            do="pip install 'calcigraph[baselines]'",
        ) from None
    return nets
