"""What a patch shows: whether it is a calcification (equation 2), and what it looks like (equation 3)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calcigraph.models.inverted_residual import conv_norm, folded, inverted_residuals

CONFIRM_ROWS = ((1, 16, 1, 1), (4, 24, 1, 2), (4, 32, 1, 1), (4, 48, 1, 2))
"""(expand, channels, repeats, stride) of the confirming network's inverted residuals: 14 → 14 → 7 → 7 → 4."""

DESCRIBE_WIDTHS = (16, 32)
"""Channels of the describing network's first two blocks; the third has as many as the visual features."""


SCREEN = 0.02
"""Where the first member gives less than this probability, the others are not asked, nor the describing network where
they give less: no candidate is lost that all of them together would keep (docs/LOG.md)."""


class ConfirmMember(nn.Sequential):
    """A narrow MobileNet (the paper gives no widths): about 0.03 M weights; patches → logits (n, 1)."""

    def __init__(self, *, channels: int) -> None:
        last = CONFIRM_ROWS[-1][1]
        super().__init__(
            conv_norm(channels, 16),
            inverted_residuals(16, CONFIRM_ROWS),
            conv_norm(last, 2 * last, size=1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * last, 1),
        )


class ConfirmNet(nn.Module):
    """f_CNN of equation 2: says whether a patch shows a calcification.

    One MobileNet, as in the paper, or several that differ in their first weights, each trained by the same loss;
    their logits are averaged.

    Shapes:
        patches (n, channels, size, size) float32, normalised → logits (n, members).
    """

    def __init__(self, *, channels: int, members: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(ConfirmMember(channels=channels) for _ in range(members))

    def forward(self, patches: Tensor) -> Tensor:
        """Return every member's logit of "a calcification", (n, members)."""
        return torch.cat([member(patches) for member in self.members], dim=1)

    def answer(self, patches: Tensor) -> Tensor:
        """Return the probability of a calcification, (n,) in [0, 1]."""
        first, *others = self.members
        logit: Tensor = first(patches).squeeze(1)
        worth = torch.sigmoid(logit) >= SCREEN
        if others and worth.any():
            again = torch.cat([logit[worth, None], *(member(patches[worth]) for member in others)], dim=1)
            logit = logit.index_put((worth,), again.mean(dim=1))
        return torch.sigmoid(logit)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a skip connection (He et al. 2016, figure 2)."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.first = conv_norm(in_channels, out_channels, stride=stride, act=False)
        self.second = conv_norm(out_channels, out_channels, act=False)
        same = stride == 1 and in_channels == out_channels
        self.skip = (
            nn.Identity() if same else conv_norm(in_channels, out_channels, size=1, stride=stride, act=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) → (n, out_channels, ceil(h / stride), ceil(w / stride))."""
        y = torch.relu(self.first(x))
        return torch.relu(self.second(y) + self.skip(x))


class DescribeNet(nn.Module):
    """f_FE of equation 3: a ResNet of six convolutions, whose pooled feature map describes a patch.

    Shapes:
        patches (n, channels, size, size) float32, normalised → features (n, visual_dim), all ≥ 0.
    """

    def __init__(self, *, channels: int, visual_dim: int) -> None:
        super().__init__()
        first, second = DESCRIBE_WIDTHS
        self.blocks = nn.Sequential(
            ResidualBlock(channels, first, stride=1),
            ResidualBlock(first, second, stride=2),
            ResidualBlock(second, visual_dim, stride=2),
        )
        self.classify = nn.Linear(visual_dim, 1)

    def answer(self, patches: Tensor) -> Tensor:
        """Return the visual half of the nodes, X_patch, (n, visual_dim)."""
        maps: Tensor = self.blocks(patches)
        return maps.mean(dim=(2, 3))

    def forward(self, patches: Tensor) -> Tensor:
        """Return the logit of "a calcification", (n, 1): it trains the features, and may vote."""
        logit: Tensor = self.classify(self.answer(patches))
        return logit

    def vote(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the logit of "a calcification" from features (n, visual_dim) of `answer`: (n,)."""
        weight, bias = self.classify.weight.detach().cpu().numpy(), self.classify.bias.detach().cpu().numpy()
        logit: NDArray[np.float64] = (features.astype(np.float64) @ weight.T.astype(np.float64) + bias)[:, 0]
        return logit


def predict_patches(
    net: ConfirmNet | DescribeNet,
    patches: NDArray[np.float32],
    *,
    batch: int = 512,
    device: str | torch.device = "cpu",
) -> NDArray[np.float32]:
    """Ask a network about patches, in batches; time grows with their number, memory does not.

    Args:
        net: `ConfirmNet` (gives probabilities) or `DescribeNet` (gives features).
        patches: (n, channels, size, size) float32; n may be 0.
        batch: patches held at a time; at 512 the maps stay in the processor's cache.
        device: where to compute.

    Returns:
        (n,) probabilities or (n, visual_dim) features, float32.
    """
    ready = folded(net).to(device)
    starts = range(0, max(len(patches), 1), batch)
    return np.concatenate([_answer(ready, patches[i : i + batch], device) for i in starts])


def _answer(
    net: ConfirmNet | DescribeNet, patches: NDArray[np.float32], device: str | torch.device
) -> NDArray[np.float32]:
    with torch.inference_mode():
        held = torch.as_tensor(np.ascontiguousarray(patches, dtype=np.float32)).to(device)
        answer = net.answer(held.contiguous(memory_format=torch.channels_last))
    numbers: NDArray[np.float32] = answer.cpu().numpy()
    return numbers
