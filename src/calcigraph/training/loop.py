"""The one training loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calcigraph.config import TrainingConfig
from calcigraph.training.sampling import cosine_rate, epoch_order, epoch_rng
from calcigraph.training.state import EpochReport, RunState, best_epoch
from calcigraph.training.workers import Workers, share_statistics

if TYPE_CHECKING:
    from lightning.fabric import Fabric

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


@dataclass(frozen=True)
class _Course:
    """What a training is given; see `fit`."""

    network: nn.Module
    training: Examples
    validation: Examples
    recipe: TrainingConfig
    seed: int
    run_dir: Path
    loss: Loss
    score: Score
    device: str | torch.device


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
    workers: Workers | None = None,
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
        workers: several devices in place of one; everything above must then be picklable.

    Raises:
        BadModel: `run_dir` holds a run of another recipe, seed, network or number of examples.
        BadConfig: several devices without Lightning.
        ValueError: there is nothing to train on.
    """
    if len(training) == 0:
        raise ValueError("no training examples")
    course = _Course(network, training, validation, recipe, seed, run_dir, loss, score, device)
    if workers is not None and workers.devices > 1:
        # They leave a finished run on disk, which the call below takes up like any other.
        workers.launch(partial(_train_beside, course), report=report)
    return _train(None, course, report)


def _train_beside(course: _Course, fabric: Fabric, report: Callable[[EpochReport], None]) -> None:
    """Train as one of several processes, on a network of its own; the result is on disk."""
    # What is sent to a process shares its memory with the sender.
    _train(fabric, replace(course, network=copy.deepcopy(course.network)), report)


def _train(fabric: Fabric | None, course: _Course, report: Callable[[EpochReport], None] | None) -> FitResult:
    """Train in this process, alone or as one of several that `fabric` joins."""
    recipe, first = course.recipe, fabric is None or fabric.is_global_zero
    device = course.device if fabric is None else fabric.device
    network = course.network.to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    key = (recipe, course.seed, len(course.training), len(course.validation))
    run = RunState(course.run_dir, network, optimiser, key=key)
    epoch_of = _Epoch(course, network, optimiser, device, fabric)
    with _deterministic():
        for epoch in range(len(run.history), recipe.epochs):
            done = epoch_of(epoch)
            if not first:
                run.history.append(done)
                continue
            run.add(done)
            if report is not None:
                report(done)
    if fabric is not None:
        fabric.barrier()
    if first:
        run.restore_best()
    network.eval()
    return FitResult(history=tuple(run.history), best=best_epoch(run.history))


class _Epoch:
    """One pass over the training examples, and the judgement after it."""

    def __init__(
        self,
        course: _Course,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        device: str | torch.device,
        fabric: Fabric | None,
    ) -> None:
        self.course, self.device, self.fabric = course, device, fabric
        self.rank: int = 0 if fabric is None else fabric.global_rank
        self.world: int = 1 if fabric is None else fabric.world_size
        self.network: Any = network
        self.optimiser: Any = optimiser
        if fabric is not None:
            self.network, self.optimiser = fabric.setup(share_statistics(network, fabric), optimiser)

    def __call__(self, epoch: int) -> EpochReport:
        started = time.perf_counter()
        rate = cosine_rate(self.course.recipe, epoch)
        training_loss = self._pass(epoch, rate)
        validation_loss, validation_score = self._judge()
        seconds = time.perf_counter() - started
        return EpochReport(epoch, rate, training_loss, validation_loss, validation_score, seconds)

    def _pass(self, epoch: int, rate: float) -> float:
        """Train on all examples once; returns the mean loss."""
        recipe, training = self.course.recipe, self.course.training
        rng = epoch_rng(self.course.seed, epoch)
        torch.manual_seed(int(rng.integers(2**63)))
        order = epoch_order(training.labels, rng=rng, balance=recipe.balance_classes)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        total = sum(self._step(indices, rng) for indices in _batches(order, recipe.batch_size))
        return total / len(order)

    def _step(self, indices: NDArray[np.int64], rng: np.random.Generator) -> float:
        """Learn from one batch; returns the sum of its losses."""
        # Each process takes its part; one that would have none looks at the first, with no weight.
        own = indices[self.rank :: self.world]
        shown = own if len(own) else indices[:1]
        given, target = self.course.training.make_batch(shown, rng if self.course.recipe.augment else None)
        value = self.course.loss(self.network(given.to(self.device)), target.to(self.device))
        # Processes average their gradients: weighted so, that is the gradient of the batch's mean loss.
        value = value * (len(own) * self.world / len(indices))
        self.optimiser.zero_grad()
        if self.fabric is None:
            value.backward()  # type: ignore[no-untyped-call]
            mean = value.item()
        else:
            self.fabric.backward(value)
            mean = float(self.fabric.all_reduce(value.detach(), reduce_op="mean"))
        self.optimiser.step()
        return mean * len(indices)

    def _judge(self) -> tuple[float, float]:
        """Loss and score on the validation examples; NaN without any."""
        validation = self.course.validation
        if len(validation) == 0:
            return float("nan"), float("nan")
        self.network.eval()
        logits, targets = [], []
        with torch.no_grad():
            for indices in _batches(np.arange(len(validation)), self.course.recipe.batch_size):
                given, target = validation.make_batch(indices, None)
                logits.append(self.network(given.to(self.device)).cpu())
                targets.append(target)
        all_logits, all_targets = torch.cat(logits), torch.cat(targets)
        value = float(self.course.loss(all_logits, all_targets))
        return value, self.course.score(all_targets.numpy(), all_logits.numpy())


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
