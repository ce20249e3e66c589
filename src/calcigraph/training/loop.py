"""The one training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calcigraph.config import TrainingConfig
from calcigraph.training.sampling import cosine_rate, epoch_order, epoch_rng
from calcigraph.training.state import EpochReport, RunState, best_epoch

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits and target of n examples → their mean loss, a scalar."""
Score = Callable[[NDArray[Any], NDArray[np.float32]], float]
"""Targets and logits of all validation examples → a number, higher being better; NaN where undefined."""


class Examples(Protocol):
    """What a network is trained on.

    Attributes:
        labels: (n,) int64 class of each, for balanced sampling.
    """

    @property
    def labels(self) -> NDArray[np.int64]: ...  # noqa: D102

    def __len__(self) -> int: ...

    def make_batch(self, indices: NDArray[np.int64], rng: np.random.Generator | None) -> tuple[Any, Tensor]:
        """Return the network's input and the target; augmented where `rng` is given."""
        ...


@dataclass(frozen=True)
class FitResult:
    """How a training ended.

    Attributes:
        history: one report for each epoch.
        best: the epoch whose weights the network now has.
    """

    history: tuple[EpochReport, ...]
    best: EpochReport


def fit(
    network: nn.Module,
    training: Examples,
    validation: Examples,
    *,
    recipe: TrainingConfig,
    seed: int,
    run_dir: Path,
    loss: Loss,
    score: Score,
    device: str | torch.device = "cpu",
    report: Callable[[EpochReport], None] | None = None,
) -> FitResult:
    """Train a network by a recipe, and leave it with the weights of its best epoch, in inference mode.

    All that is random in an epoch follows from (seed, epoch), and an epoch ends with everything on disk; so a
    run that is killed anywhere goes on where its last epoch ended, when called again with a network of the same
    first weights, and ends bit for bit as if nothing had happened. A finished run returns at once.

    Args:
        network: takes the input that `training.make_batch` makes, and gives logits; seed its weights before.
        training: n examples, 1 or more.
        validation: those on which the best epoch is chosen, the one of the highest score, at equal scores of
            the lowest loss; without any, the last is kept.
        recipe: epochs, batch size, rates (Adam with decoupled weight decay), balancing, augmentation.
        seed: of order, dropout and augmentation.
        run_dir: made where absent; receives `history.csv`, `state.safetensors` and `best.safetensors`.
        loss: of logits and target.
        score: of all validation targets and logits.
        device: where to train.
        report: called after every epoch.

    Raises:
        BadModel: `run_dir` holds a run of another recipe, seed, network or number of examples.
        ValueError: there is nothing to train on.
    """
    if len(training) == 0:
        raise ValueError("no training examples")
    network.to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    run = RunState(run_dir, network, optimiser, key=(recipe, seed, len(training), len(validation)))
    with _deterministic():
        for epoch in range(len(run.history), recipe.epochs):
            started = time.perf_counter()
            rate = cosine_rate(recipe, epoch)
            training_loss = _train_epoch(
                network, optimiser, training, recipe, (seed, epoch), rate, loss, device
            )
            validation_loss, validation_score = _judge(network, validation, recipe, loss, score, device)
            seconds = time.perf_counter() - started
            run.add(EpochReport(epoch, rate, training_loss, validation_loss, validation_score, seconds))
            if report is not None:
                report(run.history[-1])
    run.restore_best()
    network.eval()
    return FitResult(history=tuple(run.history), best=best_epoch(run.history))


def _train_epoch(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    training: Examples,
    recipe: TrainingConfig,
    key: tuple[int, int],
    rate: float,
    loss: Loss,
    device: str | torch.device,
) -> float:
    """One pass over the examples; returns the mean loss."""
    rng = epoch_rng(*key)
    torch.manual_seed(int(rng.integers(2**63)))
    order = epoch_order(training.labels, rng=rng, balance=recipe.balance_classes)
    for group in optimiser.param_groups:
        group["lr"] = rate
    network.train()
    total = 0.0
    for indices in _batches(order, recipe.batch_size):
        given, target = training.make_batch(indices, rng if recipe.augment else None)
        value = loss(network(given.to(device)), target.to(device))
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += value.item() * len(indices)
    return total / len(order)


def _judge(
    network: nn.Module,
    validation: Examples,
    recipe: TrainingConfig,
    loss: Loss,
    score: Score,
    device: str | torch.device,
) -> tuple[float, float]:
    """Loss and score on the validation examples; NaN without any."""
    if len(validation) == 0:
        return float("nan"), float("nan")
    network.eval()
    logits, targets = [], []
    with torch.no_grad():
        for indices in _batches(np.arange(len(validation)), recipe.batch_size):
            given, target = validation.make_batch(indices, None)
            logits.append(network(given.to(device)).cpu())
            targets.append(target)
    all_logits, all_targets = torch.cat(logits), torch.cat(targets)
    value = float(loss(all_logits, all_targets))
    return value, score(all_targets.numpy(), all_logits.numpy())


def _batches(order: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    return (order[start : start + size] for start in range(0, len(order), size))


@contextmanager
def _deterministic() -> Iterator[None]:
    """Let torch take reproducible roads, and leave the process as it was."""
    before, warned = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
