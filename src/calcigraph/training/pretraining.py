"""Where the graph network starts: on thousands of simulated marks without pixels, each shown in many ways."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch

from calcigraph.config import Config
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.models import DistributionNet
from calcigraph.training.graphs import GraphExamples, fit_graphs
from calcigraph.training.loop import FitResult
from calcigraph.training.points import draw_views
from calcigraph.training.soft_labels import soft_labels
from calcigraph.training.state import Reporter

JUDGES_SEED = 1_000_003
"""Graphs that choose the epoch are drawn with this added to the seed."""

TOLD_EVERY = 500
"""So many drawn graphs are told of at once."""


class MarkedViews:
    """Graphs of simulated marks, drawn when the first batch is asked for; see `epoch.Examples`."""

    def __init__(
        self, count: int, config: Config, *, seed: int, reporter: Reporter, softness: float = 0.0
    ) -> None:
        self.config, self.seed, self.reporter, self.softness = config, seed, reporter, softness
        self.labels = np.arange(count, dtype=np.int64) % len(DISTRIBUTIONS)

    def make_batch(self, indices: NDArray[np.int64], rng: np.random.Generator | None) -> tuple[Batch, Tensor]:
        """One PyG batch and its labels, (n,) or soft (n, 5); every graph varied where `rng` is given."""
        return self._drawn.make_batch(indices, rng)

    @cached_property
    def _drawn(self) -> GraphExamples:
        graphs = []
        for graph in draw_views(len(self.labels), self.config, np.random.default_rng(self.seed)):
            graphs.append(graph)
            if len(graphs) % TOLD_EVERY == 0 or len(graphs) == len(self.labels):
                self.reporter.stage("marks", len(graphs), len(self.labels))
        shares = soft_labels(graphs, softness=self.softness) if self.softness else None
        return GraphExamples(graphs, self.config.graph, shares=shares)


def pretrain(
    net: DistributionNet,
    config: Config,
    *,
    run_dir: Path,
    device: str | torch.device = "cpu",
    reporter: Reporter,
) -> FitResult | None:
    """Train the graph network on simulated marks by `config.pretraining`; see `loop.fit`.

    Args:
        net: with fresh weights.
        config: of the whole road; its seed is that of all draws.
        run_dir: a killed run goes on from here, a finished one returns at once.
        device: where to train.
        reporter: hears of the progress.

    Returns:
        None where `config.pretraining.graphs` is 0.
    """
    stage = config.pretraining
    if not stage.graphs:
        return None
    return fit_graphs(
        net,
        MarkedViews(stage.graphs, config, seed=config.seed, reporter=reporter, softness=stage.label_softness),
        MarkedViews(stage.judges, config, seed=config.seed + JUDGES_SEED, reporter=reporter),
        recipe=stage.recipe,
        seed=config.seed,
        run_dir=run_dir,
        device=device,
        report=lambda epoch: reporter.epoch("pretraining", epoch),
    )
