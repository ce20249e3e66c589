"""Where the graph network starts: on simulated marks, drawn anew for every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch

from calcigraph.config import Config
from calcigraph.graph import CalcificationGraph
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.models import DistributionNet
from calcigraph.simulate.anatomy import grow_breast
from calcigraph.simulate.marks import DetectorTraits
from calcigraph.training.graphs import augment_graph, fit_graphs
from calcigraph.training.loop import FitResult
from calcigraph.training.points import draw_graph
from calcigraph.training.state import EpochReport

JUDGES_SEED = 1_000_003
"""Graphs that choose the epoch are drawn with this beside the seed, and are the same in every epoch."""

LESIONS_PER_BREAST = 8
"""Growing a breast takes longer than all else, so it is shown with several lesions, one by one."""


class MarkedViews:
    """Graphs of simulated marks, of all distributions by turns; see `loop.Examples`.

    With a generator every batch is drawn anew and varied (`augment_graph`), so that no graph is seen twice; without
    one graph i is always the same.
    """

    def __init__(self, count: int, config: Config, traits: DetectorTraits, *, seed: int) -> None:
        self.config, self.traits, self.seed = config, traits, seed
        self._labels = np.arange(count, dtype=np.int64) % len(DISTRIBUTIONS)
        self._drawn: dict[int, CalcificationGraph] = {}

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) index of the distribution."""
        return self._labels

    def __len__(self) -> int:
        return len(self._labels)

    def make_batch(self, indices: NDArray[np.int64], rng: np.random.Generator | None) -> tuple[Batch, Tensor]:
        """One PyG batch and its labels (n,)."""
        graphs = [self._fixed(int(i)) for i in indices] if rng is None else list(self._fresh(indices, rng))
        return Batch.from_data_list(graphs), torch.as_tensor(self._labels[indices])

    def _fixed(self, index: int) -> CalcificationGraph:
        if index not in self._drawn:
            rng = np.random.default_rng([self.seed, index])
            label = DISTRIBUTIONS[self._labels[index]]
            self._drawn[index] = draw_graph(label, self.config, self.traits, rng)
        return self._drawn[index]

    def _fresh(self, indices: NDArray[np.int64], rng: np.random.Generator) -> Iterator[CalcificationGraph]:
        for place, index in enumerate(indices):
            if place % LESIONS_PER_BREAST == 0:
                breast = grow_breast(rng)
            label = DISTRIBUTIONS[self._labels[index]]
            graph = draw_graph(label, self.config, self.traits, rng, breast=breast)
            yield augment_graph(graph, rng=rng, config=self.config.graph)


def pretrain(
    net: DistributionNet,
    config: Config,
    *,
    run_dir: Path,
    traits: DetectorTraits | None = None,
    device: str | torch.device = "cpu",
    report: Callable[[EpochReport], None] | None = None,
) -> FitResult | None:
    """Train the graph network on simulated marks by `config.pretraining`; see `loop.fit`.

    Args:
        net: with fresh weights.
        config: of the whole road; its seed is that of all draws.
        run_dir: a killed run goes on from here, a finished one returns at once.
        traits: how the detector marks; wide ranges unless given.
        device: where to train.
        report: hears of every epoch.

    Returns:
        None where `config.pretraining.graphs` is 0.
    """
    stage = config.pretraining
    if not stage.graphs:
        return None
    traits = traits or DetectorTraits()
    return fit_graphs(
        net,
        MarkedViews(stage.graphs, config, traits, seed=config.seed),
        MarkedViews(stage.judges, config, traits, seed=config.seed + JUDGES_SEED),
        recipe=stage.recipe,
        seed=config.seed,
        run_dir=run_dir,
        device=device,
        report=report,
    )
