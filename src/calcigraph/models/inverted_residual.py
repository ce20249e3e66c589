"""The block of MobileNetV2: widen, filter each channel by itself, narrow, add what came in."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def conv_norm(
    in_channels: int, out_channels: int, *, size: int = 3, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    """Convolution without bias, batch normalisation and, with `act`, ReLU6; same padding."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    if act:
        layers.append(nn.ReLU6(inplace=True))
    return nn.Sequential(*layers)


def folded(net: Network) -> Network:
    """Copy a network for inference, every `conv_norm`'s normalisation folded into its convolution.

    The answers are the same up to rounding, in three quarters of the time. What is folded already is returned itself.
    """
    if not net.training and not any(isinstance(part, nn.BatchNorm2d) for part in net.modules()):
        return net
    net = copy.deepcopy(net).eval()
    for part in net.modules():
        if isinstance(part, nn.Sequential) and len(part) >= 2:
            conv, norm = part[0], part[1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[0], part[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return net


class InvertedResidual(nn.Module):
    """Inverted residual with a linear bottleneck (Sandler et al. 2018, MobileNetV2, figure 3).

    Shapes:
        (n, in_channels, h, w) → (n, out_channels, ceil(h / stride), ceil(w / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, expand: int) -> None:
        super().__init__()
        wide = in_channels * expand
        widen = [conv_norm(in_channels, wide, size=1)] if expand > 1 else []
        self.body = nn.Sequential(
            *widen,
            conv_norm(wide, wide, stride=stride, groups=wide),
            conv_norm(wide, out_channels, size=1, act=False),
        )
        self.skips = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return the filtered maps, added to `x` where the shapes agree."""
        y: Tensor = self.body(x)
        return x + y if self.skips else y


def inverted_residuals(in_channels: int, rows: Iterable[tuple[int, int, int, int]]) -> nn.Sequential:
    """Stack blocks from rows of (expand, channels, repeats, first stride), as in MobileNetV2's table 2."""
    blocks: list[nn.Module] = []
    for expand, channels, repeats, first_stride in rows:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            blocks.append(InvertedResidual(in_channels, channels, stride=stride, expand=expand))
            in_channels = channels
    return nn.Sequential(*blocks)
