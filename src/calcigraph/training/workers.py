"""Several devices for one training: Lightning Fabric starts a process for each (the extra `[train]`)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from threading import Thread
from typing import TYPE_CHECKING, Any

from torch import nn

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

    def launch(
        self,
        train: Callable[[Fabric, Callable[[EpochReport], None]], None],
        *,
        report: Callable[[EpochReport], None] | None,
    ) -> None:
        """Run `train(fabric, hear)` in every process; what `hear` is told arrives at `report` here.

        `train` is sent to the processes, so it must be picklable; the result is what they leave on disk.

        Raises:
            BadConfig: Lightning is not installed.
        """
        fabric = self._fabric()
        told = get_context("spawn").SimpleQueue()
        listener = Thread(target=_listen, args=(told, report), daemon=True)
        listener.start()
        try:
            fabric.launch(train, told.put)
        finally:
            told.put(None)
            listener.join()

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
