"""Which candidates are calcifications: the confirming networks and, where it votes, the describing one too."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from calcigraph.models.patch_net import SCREEN, ConfirmNet, DescribeNet, predict_patches

TINY = 1e-6


def confirm_patches(
    confirm: ConfirmNet,
    describe: DescribeNet,
    patches: NDArray[np.float32],
    *,
    describe_votes: bool,
    device: str | torch.device = "cpu",
) -> NDArray[np.float64]:
    """Return the probability of a calcification (equation 2), (n,) in [0, 1].

    Args:
        confirm: its members' logits are averaged.
        describe: where it votes, the logit that trained it counts as much as theirs together, on patches that `confirm`
            gives at least `SCREEN`.
        patches: (n, channels, size, size) float32.
        describe_votes: whether it does.
        device: where to compute.
    """
    probability = predict_patches(confirm, patches, device=device).astype(np.float64)
    worth = np.flatnonzero(probability >= SCREEN)
    if describe_votes and len(worth):
        vote = describe.vote(predict_patches(describe, patches[worth], device=device))
        held = probability[worth].clip(TINY, 1 - TINY)
        probability[worth] = 1 / (1 + np.exp(-(np.log(held / (1 - held)) + vote) / 2))
    return probability
