"""Training of the two patch networks (equations 2 and 3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calcigraph.config import TrainingConfig
from calcigraph.metrics import binary_auc
from calcigraph.models import ConfirmNet, DescribeNet, focal_loss
from calcigraph.training.loop import FitResult, fit
from calcigraph.training.sampling import split_held_out
from calcigraph.training.state import EpochReport

Patches = NDArray[np.float32]


class PatchExamples:
    """Patches (n, channels, size, size) and labels (n,), 1 for a calcification."""

    def __init__(self, patches: Patches, labels: NDArray[np.int64]) -> None:
        self.patches, self.labels = patches, np.asarray(labels, np.int64)

    def make_batch(
        self, indices: NDArray[np.int64], rng: np.random.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Patches and float labels as tensors; turned and varied in contrast where `rng` is given."""
        patches = np.asarray(self.patches[indices], np.float32)
        if rng is not None:
            patches = augment_patches(patches, rng)
        given = torch.as_tensor(patches).contiguous(memory_format=torch.channels_last)
        return given, torch.as_tensor(self.labels[indices], dtype=torch.float32)


def augment_patches(patches: Patches, rng: np.random.Generator) -> Patches:
    """Turn each patch by a quarter, mirror it, or both, and vary its contrast by some 15 % and its level a little.

    Args:
        patches: (n, channels, size, size), normalised.
        rng: source of chance.

    Returns:
        New patches of the same shape.
    """
    turned = np.empty_like(patches)
    way = rng.integers(8, size=len(patches))
    for each in range(8):
        chosen = patches[way == each]
        chosen = chosen[..., ::-1] if each >= 4 else chosen
        turned[way == each] = np.rot90(chosen, each % 4, axes=(2, 3))
    contrast = np.exp(0.15 * rng.standard_normal((len(patches), 1, 1, 1), np.float32))
    level = 0.05 * rng.standard_normal((len(patches), 1, 1, 1), np.float32)
    varied: Patches = turned * contrast + level
    return varied


def train_patch_network(
    net: ConfirmNet | DescribeNet,
    patches: Patches,
    labels: NDArray[np.int64],
    patients: Sequence[str],
    *,
    held_out: Collection[str],
    recipe: TrainingConfig,
    seed: int,
    run_dir: Path,
    device: str | torch.device = "cpu",
    report: Callable[[EpochReport], None] | None = None,
) -> FitResult:
    """Train either patch network by equation 2 (`recipe.focal_gamma` 0) or its focal form; see `loop.fit`.

    Args:
        net: with fresh weights, or those to go on from.
        patches: (n, channels, size, size).
        labels: (n,) 1 for a calcification, 0 for what only looks like one.
        patients: of each patch.
        held_out: the patients who do not train, judged by AUC.
    """
    labels = np.asarray(labels, np.int64)
    split = split_held_out(patients, held_out)

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        each = target[:, None].expand_as(logits)  # every member learns by itself
        return focal_loss(logits, each, gamma=recipe.focal_gamma, output="sigmoid") / logits.shape[1]

    return fit(
        net,
        PatchExamples(patches[split.training], labels[split.training]),
        PatchExamples(patches[split.validation], labels[split.validation]),
        recipe=recipe,
        seed=seed,
        run_dir=run_dir,
        loss=loss,
        score=lambda target, logits: binary_auc(target > 0.5, logits.mean(axis=1)),
        device=device,
        report=report,
    )
