"""One epoch of a training: a pass over the examples, and the judgement after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calcigraph.config import TrainingConfig
from calcigraph.errors import BadConfig
from calcigraph.training.sampling import cosine_rate, epoch_order, epoch_rng
from calcigraph.training.state import EpochReport
from calcigraph.training.workers import share_statistics

if TYPE_CHECKING:
    from lightning.fabric import Fabric

PRECISIONS = ("32-true", "bf16-mixed")
"""Names of Lightning: all in float32; or the sums of products in bfloat16, and weights and loss in float32."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits and target of n examples → their mean loss, a scalar."""
Score = Callable[[NDArray[Any], NDArray[np.float32]], float]
"""Targets and logits of all validation examples → a number, higher being better; NaN where undefined."""


def require_precision(name: str) -> None:
    """Refuse a precision by its name.

    Raises:
        BadConfig: none of `PRECISIONS`.
    """
    if name not in PRECISIONS:
        raise BadConfig(f"precision {name!r}", allowed=", ".join(PRECISIONS), do="change the precision")


class Examples(Protocol):
    """What a network is trained on.

    Attributes:
        labels: (n,) int64 class of each, for balanced sampling.
    """

    labels: NDArray[np.int64]

    def make_batch(self, indices: NDArray[np.int64], rng: np.random.Generator | None) -> tuple[Any, Tensor]:
        """Return the network's input and the target; augmented where `rng` is given."""
        ...


@dataclass(frozen=True)
class Course:
    """What a training is given; see `loop.fit`.

    Raises:
        BadConfig: a precision that is none of `PRECISIONS`.
    """

    network: nn.Module
    training: Examples
    validation: Examples
    recipe: TrainingConfig
    seed: int
    run_dir: Path
    loss: Loss
    score: Score
    device: str | torch.device
    precision: str = "32-true"

    def __post_init__(self) -> None:
        require_precision(self.precision)


class Epoch:
    """One pass over the training examples, and the judgement after it."""

    def __init__(
        self,
        course: Course,
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

    def run(self, number: int) -> EpochReport:
        """Train on every example once, and judge; epochs are counted from 0."""
        started = time.perf_counter()
        rate = cosine_rate(self.course.recipe, number)
        training_loss = self._pass(number, rate)
        validation_loss, validation_score = self._judge()
        seconds = time.perf_counter() - started
        return EpochReport(number, rate, training_loss, validation_loss, validation_score, seconds)

    def _pass(self, number: int, rate: float) -> float:
        """Train on all examples once; returns the mean loss."""
        recipe, training = self.course.recipe, self.course.training
        rng = epoch_rng(self.course.seed, number)
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
        value = self.course.loss(self._ask(given), target.to(self.device))
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
        if len(validation.labels) == 0:
            return float("nan"), float("nan")
        self.network.eval()
        logits, targets = [], []
        with torch.no_grad():
            for indices in _batches(np.arange(len(validation.labels)), self.course.recipe.batch_size):
                given, target = validation.make_batch(indices, None)
                logits.append(self._ask(given).cpu())
                targets.append(target)
        all_logits, all_targets = torch.cat(logits), torch.cat(targets)
        value = float(self.course.loss(all_logits, all_targets))
        return value, self.course.score(all_targets.numpy(), all_logits.numpy())

    def _ask(self, given: Any) -> Tensor:
        """Logits of the network, in float32 whatever the precision inside."""
        kind, mixed = torch.device(self.device).type, self.course.precision == "bf16-mixed"
        with torch.autocast(kind, torch.bfloat16, enabled=mixed):
            logits: Tensor = self.network(given.to(self.device))
        return logits.float()


def _batches(order: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    return (order[start : start + size] for start in range(0, len(order), size))
