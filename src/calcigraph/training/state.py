"""What a training leaves on disk after every epoch, and how it is taken up again."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from calcigraph.checkpoint import load_weights, read_tensors, write_tensors
from calcigraph.errors import BadModel
from calcigraph.io.tables import write_text

STATE_FILE = "state.safetensors"


@dataclass(frozen=True)
class EpochReport:
    """One row of `history.csv`; validation is NaN where nobody is held out."""

    epoch: int
    learning_rate: float
    training_loss: float
    validation_loss: float
    validation_score: float
    seconds: float


class Reporter(Protocol):
    """Hears how a training goes on."""

    def stage(self, name: str, done: int, total: int) -> None:
        """So many images of a stage are done."""
        ...

    def epoch(self, network: str, report: EpochReport) -> None:
        """An epoch of a network has ended."""
        ...


def best_epoch(history: Sequence[EpochReport]) -> EpochReport:
    """The highest score, then the lowest loss, then the first; without validation, the last."""
    judged = [report for report in history if not math.isnan(report.validation_loss)]
    return min(judged, key=_rank) if judged else history[-1]


def _rank(report: EpochReport) -> tuple[float, float]:
    score = report.validation_score
    return (math.inf if math.isnan(score) else -score, report.validation_loss)


class RunState:
    """A run's history, weights and moments, in memory and on disk.

    One file holds all that goes together, so that no moment exists at which a kill leaves halves: tensors are
    `network/<name>` and `optimiser/<parameter>/<name>`; history and key are JSON in the header. `history.csv` is
    written from it, for people.

    `key` is what a run must have in common with its folder's to go on there, besides the network's shapes: anything
    that JSON takes.
    """

    def __init__(
        self,
        folder: Path,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        *,
        key: Sequence[object],
    ) -> None:
        self.folder, self.network, self.optimiser = folder, network, optimiser
        self.history: list[EpochReport] = []
        shapes = [[name, *tensor.shape] for name, tensor in network.state_dict().items()]
        self.key = json.dumps([*key, shapes])
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._resume()

    @property
    def path(self) -> Path:
        """The file of the last finished epoch."""
        return self.folder / STATE_FILE

    @property
    def best_path(self) -> Path:
        """The weights of the best epoch."""
        return self.folder / "best.safetensors"

    def add(self, report: EpochReport) -> None:
        """End an epoch: everything is on disk when this returns."""
        self.history.append(report)
        if best_epoch(self.history) == report:
            # Before the state: if killed in between, the epoch is done again and writes the same weights again.
            write_tensors(self.best_path, self.network.state_dict(), {"epoch": str(report.epoch)})
        tensors = {f"network/{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= _moments(self.optimiser)
        header = {"key": self.key, "history": json.dumps([astuple(each) for each in self.history])}
        write_tensors(self.path, tensors, header)
        self._write_history()

    def restore_best(self) -> None:
        """Give the network the weights of its best epoch."""
        load_weights(self.network, self.best_path)

    def _resume(self) -> None:
        tensors, header = read_tensors(self.path)
        if header.get("key") != self.key:
            raise BadModel(
                f"a run in {self.folder} of another recipe, precision, seed, network or number of examples",
                allowed="the same again, to resume it",
                do="choose another folder or remove it",
            )
        self.history = [EpochReport(*row) for row in json.loads(header["history"])]
        self.network.load_state_dict(
            {name.removeprefix("network/"): t for name, t in tensors.items() if name.startswith("network/")}
        )
        _restore_moments(self.optimiser, tensors)
        self._write_history()

    def _write_history(self) -> None:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(field.name for field in fields(EpochReport))
        rows.writerows(astuple(report) for report in self.history)
        write_text(self.folder / "history.csv", text.getvalue())


def _moments(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's step counts and moments, all of them tensors."""
    state: dict[int, dict[str, Tensor]] = optimiser.state_dict()["state"]
    return {f"optimiser/{i}/{name}": tensor for i, values in state.items() for name, tensor in values.items()}


def _restore_moments(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        if path.startswith("optimiser/"):
            _, parameter, name = path.split("/")
            state.setdefault(int(parameter), {})[name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
