"""Several devices for one training: Lightning Fabric starts a process for each (the extra `[train]`)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from threading import Thread
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from calcigraph.errors import BadConfig

if TYPE_CHECKING:
    from lightning.fabric import Fabric

    from calcigraph.training.state import EpochReport

STRATEGIES = ("ddp",)

# Fabric greets from every process before any code of ours runs there, so it is asked for silence on import.
for _greeter in ("fabric.utilities.distributed", "fabric.utilities.rank_zero", "pytorch.utilities.rank_zero"):
    logging.getLogger(f"lightning.{_greeter}").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Workers:
    """How many processes share the batches of a training, and on what.

    A batch of the recipe is divided among them and the gradients are averaged, so that `devices` changes the
    time and not the result: exactly so for networks without batch normalisation and dropout, whose statistics
    and chances are each process's own (on GPUs the statistics are shared).

    Attributes:
        devices: processes; 1 trains in this process with plain torch.
        strategy: `ddp`, distributed data parallel.
        accelerator: `cpu` or `cuda`.
    """

    devices: int = 1
    strategy: str = "ddp"
    accelerator: str = "cpu"

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise BadConfig(f"{self.devices} devices", allowed="1 or more", do="change --devices")
        if self.strategy not in STRATEGIES:
            raise BadConfig(
                f"strategy {self.strategy!r}", allowed=", ".join(STRATEGIES), do="change --strategy"
            )

    @classmethod
    def on(cls, device: str, devices: int, strategy: str) -> Workers:
        """Share a training among devices of the kind of `device`, a name that torch knows.

        Raises:
            BadConfig: several of a kind that cannot share, or more than there are.
        """
        kind = "cuda" if device.startswith("cuda") else "cpu"
        workers = cls(devices, strategy, kind)
        if devices > 1 and device not in ("cpu", "cuda"):
            raise BadConfig(
                f"{devices} devices of {device}",
                allowed="several of cpu or of cuda",
                do="change --device or --devices",
            )
        present = torch.cuda.device_count() if kind == "cuda" else os.cpu_count() or 1
        if devices > max(present, 1):
            raise BadConfig(f"{devices} devices", allowed=f"1 to {present} of {kind}", do="change --devices")
        return workers

    def launch(
        self,
        train: Callable[[Fabric, Callable[[EpochReport], None]], None],
        *,
        report: Callable[[EpochReport], None] | None,
    ) -> None:
        """Run `train(fabric, hear)` in every process; what `hear` is told arrives at `report` here.

        `train` is sent to the processes, so it must be picklable; the result is what they leave on disk.

        Raises:
            BadConfig: Lightning is not installed, or the processes did not start or ended early.
        """
        fabric = self._fabric()
        told = get_context("spawn").SimpleQueue()
        listener = Thread(target=_listen, args=(told, report), daemon=True)
        listener.start()
        try:
            fabric.launch(train, told.put)
        except (ProcessExitedException, ProcessRaisedException, RuntimeError, OSError) as error:
            said = (str(error).split("\n\n")[-1].strip().splitlines() or [type(error).__name__])[-1]
            raise BadConfig(
                f"{self.devices} devices that could not train together ({said})",
                allowed=f"devices that {self.strategy} can join",
                do="mend that, or take --devices 1",
            ) from error
        finally:
            told.put(None)
            listener.join()

    def require(self) -> None:
        """Check that what several devices need is installed.

        Raises:
            BadConfig: Lightning is not.
        """
        if self.devices > 1:
            self._fabric()

    def _fabric(self) -> Fabric:
        try:
            from lightning.fabric import Fabric
        except ImportError:
            raise BadConfig(
                f"{self.devices} devices without Lightning",
                allowed="1 without it",
                do="pip install 'calcigraph[train]'",
            ) from None
        return Fabric(accelerator=self.accelerator, devices=self.devices, strategy=f"{self.strategy}_spawn")


def share_statistics(network: nn.Module, fabric: Fabric) -> nn.Module:
    """Let batch normalisation see the whole batch, where the device can (torch has it for GPUs only)."""
    if fabric.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return network


def _listen(told: Any, report: Callable[[EpochReport], None] | None) -> None:
    while (heard := told.get()) is not None:
        if report is not None:
            report(heard)
