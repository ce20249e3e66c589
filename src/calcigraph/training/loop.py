"""The one training loop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from calcigraph.config import TrainingConfig
from calcigraph.training.epoch import Course, Epoch, Examples, Loss, Score
from calcigraph.training.state import EpochReport, RunState, best_epoch
from calcigraph.training.workers import Workers

if TYPE_CHECKING:
    from lightning.fabric import Fabric


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
    precision: str = "32-true",
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
        precision: one of `epoch.PRECISIONS`.
        report: called after every epoch.
        workers: several devices in place of one; everything above must then be picklable.

    Raises:
        BadModel: `run_dir` holds a run of another recipe, precision, seed, network or number of examples.
        BadConfig: several devices without Lightning, or an unknown precision.
        ValueError: there is nothing to train on.
    """
    if len(training.labels) == 0:
        raise ValueError("no training examples")
    course = Course(network, training, validation, recipe, seed, run_dir, loss, score, device, precision)
    if workers is not None and workers.devices > 1:
        # They leave a finished run on disk, which the call below takes up like any other.
        workers.launch(partial(_train_beside, course), report=report)
    return _train(None, course, report)


def _train_beside(course: Course, fabric: Fabric, report: Callable[[EpochReport], None]) -> None:
    """Train as one of several processes, on a network of its own; the result is on disk."""
    # What is sent to a process shares its memory with the sender.
    _train(fabric, replace(course, network=copy.deepcopy(course.network)), report)


def _train(fabric: Fabric | None, course: Course, report: Callable[[EpochReport], None] | None) -> FitResult:
    """Train in this process, alone or as one of several that `fabric` joins."""
    recipe, first = course.recipe, fabric is None or fabric.is_global_zero
    device = course.device if fabric is None else fabric.device
    network = course.network.to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    examples = len(course.training.labels), len(course.validation.labels)
    key = (asdict(recipe), course.precision, course.seed, *examples)
    run = RunState(course.run_dir, network, optimiser, key=key)
    epoch = Epoch(course, network, optimiser, device, fabric)
    with _deterministic():
        for number in range(len(run.history), recipe.epochs):
            done = epoch.run(number)
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
