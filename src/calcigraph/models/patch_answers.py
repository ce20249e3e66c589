"""What the patch networks say of candidates: which are calcifications, and how these look."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit

from calcigraph.models.patch_net import SCREEN, ConfirmNet, DescribeNet, predict_patches

LIKELY = 0.2
"""What has this probability or more is looked at from all sides, some eighty candidates of a mammogram.
What has less from one side has too little from all (docs/LOG.md)."""

TINY = 1e-6


def confirm_patches(
    confirm: ConfirmNet,
    describe: DescribeNet,
    patches: NDArray[np.float32],
    *,
    describe_votes: bool,
    all_sides: bool = False,
    device: str | torch.device = "cpu",
) -> NDArray[np.float64]:
    """Return the probability of a calcification (equation 2), (n,) in [0, 1].

    Args:
        confirm: its members' logits are averaged.
        describe: where it votes, the logit that trained it counts as much as theirs together, on patches that `confirm`
            gives at least `SCREEN`.
        patches: (n, channels, size, size) float32.
        describe_votes: whether it does.
        all_sides: average the logits of the eight ways to turn and mirror a patch, from `LIKELY` on: a mammogram has
            no side from which it has to be looked at.
        device: where to compute.
    """

    def look(from_one_side: NDArray[np.float32]) -> NDArray[np.float64]:
        return _look(confirm, describe, from_one_side, describe_votes=describe_votes, device=device)

    probability = look(patches)
    likely = np.flatnonzero(probability >= LIKELY)
    if all_sides and len(likely):
        looks = [probability[likely], *(look(side) for side in _other_sides(patches[likely]))]
        probability[likely] = expit(np.mean([logit(p.clip(TINY, 1 - TINY)) for p in looks], axis=0))
    return probability


def describe_patches(
    describe: DescribeNet,
    patches: NDArray[np.float32],
    *,
    all_sides: bool = False,
    device: str | torch.device = "cpu",
) -> NDArray[np.float32]:
    """Return the visual half of the nodes (equation 3), (n, visual_dim).

    Args:
        describe: the describing network.
        patches: (n, channels, size, size) float32.
        all_sides: the mean of the eight ways to turn and mirror a patch: how a calcification looks does not depend on
            the side from which the mammogram is seen.
        device: where to compute.
    """
    sides = [patches, *(_other_sides(patches) if all_sides else ())]
    return np.mean([predict_patches(describe, side, device=device) for side in sides], axis=0)


def _look(
    confirm: ConfirmNet,
    describe: DescribeNet,
    patches: NDArray[np.float32],
    *,
    describe_votes: bool,
    device: str | torch.device,
) -> NDArray[np.float64]:
    """Ask all networks about patches as they are."""
    probability = predict_patches(confirm, patches, device=device).astype(np.float64)
    worth = np.flatnonzero(probability >= SCREEN)
    if describe_votes and len(worth):
        vote = describe.vote(predict_patches(describe, patches[worth], device=device))
        probability[worth] = expit((logit(probability[worth].clip(TINY, 1 - TINY)) + vote) / 2)
    return probability


def _other_sides(patches: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Turn and mirror patches in the seven ways that change them."""
    mirrored = patches[..., ::-1]
    eight = [np.rot90(side, quarters, axes=(2, 3)) for side in (patches, mirrored) for quarters in range(4)]
    return eight[1:]
