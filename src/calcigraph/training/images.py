"""Training of the image networks that the graph network is compared with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn

from calcigraph.config import TrainingConfig
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.metrics import multiclass_auc
from calcigraph.models import focal_loss
from calcigraph.training.loop import FitResult, fit
from calcigraph.training.state import EpochReport
from calcigraph.training.workers import Workers

Images = NDArray[np.uint8]

TURN_DEGREES = 15.0
STRETCH = 0.15
SHIFT = 0.05
CONTRAST = 0.15
"""Most that an image is turned; most that it is stretched, as a share, and shifted, as a share of its side;
standard deviation of the logarithm of its contrast, and of its level."""


class ImageExamples:
    """Small images (n, size, size, channels) uint8 and the index of their distribution (n,)."""

    def __init__(self, images: Images, labels: NDArray[np.int64]) -> None:
        self.images, self.labels = images, np.asarray(labels, np.int64)

    def make_batch(
        self, indices: NDArray[np.int64], rng: np.random.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Images as (n, channels, size, size) and labels (n,); varied where `rng` is given.

        How an image is varied follows from one draw for the batch and from its own index, so that it does not
        matter how processes divide the batch.
        """
        chosen = self.images[indices]
        if rng is not None:
            seed = int(rng.integers(2**63))
            pairs = zip(indices, chosen, strict=True)
            varied = [vary_image(image, np.random.default_rng((seed, int(i)))) for i, image in pairs]
            chosen = np.stack(varied)
        given = torch.as_tensor(standardise(chosen)).contiguous(memory_format=torch.channels_last)
        return given, torch.as_tensor(self.labels[indices])


def standardise(images: Images) -> NDArray[np.float32]:
    """(n, size, size, channels) in 0 to 255 → (n, channels, size, size), each channel of mean 0 and variance 1."""
    values = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    mean, deviation = values.mean(axis=(2, 3), keepdims=True), values.std(axis=(2, 3), keepdims=True)
    centred: NDArray[np.float32] = (values - mean) / np.maximum(deviation, 1e-3)
    return centred


def vary_image(image: Images, rng: np.random.Generator) -> Images:
    """Turn, stretch, shift and mirror an image as another positioning would, and vary its contrast and level.

    The mirror runs along the depth axis: the chest wall stays at the left.
    """
    size = image.shape[0]
    if rng.random() < 0.5:
        image = image[::-1]
    angle, stretch = rng.uniform(-TURN_DEGREES, TURN_DEGREES), 1 + rng.uniform(-STRETCH, STRETCH)
    move = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, stretch)
    move[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * size
    moved = cv2.warpAffine(np.ascontiguousarray(image), move, (size, size), flags=cv2.INTER_LINEAR)
    contrast, level = np.exp(CONTRAST * rng.standard_normal()), 255 * CONTRAST * rng.standard_normal() / 2
    # Air stays black: contrast and level are those of the tissue.
    varied = np.clip(np.asarray(moved, np.float32) * contrast + level * (np.asarray(moved) > 0), 0, 255)
    return varied.astype(np.uint8)


def train_image_network(
    network: nn.Module,
    training: ImageExamples,
    validation: ImageExamples,
    *,
    recipe: TrainingConfig,
    seed: int,
    run_dir: Path,
    device: str = "cpu",
    precision: str = "32-true",
    report: Callable[[EpochReport], None] | None = None,
    workers: Workers | None = None,
) -> FitResult:
    """Train an image network by cross-entropy (`recipe.focal_gamma` 0) or its focal form; see `loop.fit`."""
    if precision == "bf16-mixed" and device == "cpu":
        depthwise_in_float32(network)
    return fit(
        network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        training,
        validation,
        recipe=recipe,
        seed=seed,
        run_dir=run_dir,
        loss=partial(focal_loss, gamma=recipe.focal_gamma, output="softmax"),
        score=macro_auc,
        device=device,
        precision=precision,
        report=report,
        workers=workers,
    )


def depthwise_in_float32(network: nn.Module) -> None:
    """Have convolutions of one channel each calculate in float32 on the CPU, whatever the precision around them.

    Their weights' gradient takes oneDNN four times as long in bfloat16 (5 × 5, 1344 channels: 122 ms against 28);
    so an epoch of EfficientNet-B7 takes three quarters of the time.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1:
            layer.forward = partial(_in_float32, layer)  # type: ignore[method-assign]


def _in_float32(layer: nn.Conv2d, given: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return nn.Conv2d.forward(layer, given.float()).to(given.dtype)


def macro_auc(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    """One-vs-rest AUC, averaged over the classes, from logits."""
    return multiclass_auc(labels, softmax(logits, axis=1), average="macro")


def predict_images(
    network: nn.Module, images: Images, *, batch: int = 8, device: str = "cpu"
) -> NDArray[np.float64]:
    """Ask an image network: (n, size, size, channels) → probabilities (n, 5)."""
    network.to(device).eval()
    answers = [np.zeros((0, len(DISTRIBUTIONS)))]
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            given = torch.as_tensor(standardise(images[start : start + batch])).to(device)
            logits = network(given.contiguous(memory_format=torch.channels_last)).cpu()
            answers.append(torch.softmax(logits.double(), dim=1).numpy())
    return np.concatenate(answers)
