"""Graphs of simulated marks, without pixels: on tens of thousands of them the graph network starts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from calcigraph.config import Config
from calcigraph.graph import CalcificationGraph, Frame, assemble
from calcigraph.lexicon import DISTRIBUTIONS, Distribution, View
from calcigraph.simulate.anatomy import Anatomy, grow_breast
from calcigraph.simulate.look_alikes import place_look_alikes, place_satellites
from calcigraph.simulate.marks import DetectorTraits, MarkedView, mark_view
from calcigraph.simulate.patterns import place_lesion

TRIES = 30
"""So many breasts are drawn for one graph with enough calcifications."""


def graph_of_marks(
    marked: MarkedView, config: Config, *, distribution: Distribution | None = None
) -> CalcificationGraph:
    """Build the graph of marks on a view.

    Its visual features are NaN, unknown (0 for a network that takes them as they are); `member` (n,) float32 is 1
    for nodes of the lesion and 0 for others.
    """
    unknown = torch.nan if config.network.visual_dropout else 0.0
    graph = assemble(
        marked.pos_mm,
        marked.marks,
        torch.full((len(marked.pos_mm), config.network.visual_dim), unknown),
        frame=Frame.of(marked.breast, marked.extent_mm),
        config=config.graph,
    )
    graph.member = torch.as_tensor(marked.is_lesion.astype(np.float32))
    if distribution is not None:
        graph.y = torch.tensor([distribution.place])
    return graph


def draw_graph(
    distribution: Distribution,
    config: Config,
    traits: DetectorTraits,
    rng: np.random.Generator,
    *,
    breast: Anatomy | None = None,
) -> CalcificationGraph:
    """Draw this distribution in a breast and return the graph of one view, at least five marks of it true.

    Args:
        distribution: of the lesion.
        config: neighbours, edge labels, width of the visual features and least number of calcifications.
        traits: of the detectors.
        rng: of all.
        breast: the first that is tried; drawn unless given.
    """
    for attempt in range(TRIES):
        if breast is None or attempt:
            breast = grow_breast(rng)
        lesion = place_lesion(breast, distribution, rng)
        calcifications = lesion + place_satellites(breast, lesion, rng) + place_look_alikes(breast, rng)
        view = View.CC if rng.random() < 0.5 else View.MLO
        marked = mark_view(breast, calcifications, view=view, traits=traits, rng=rng)
        if marked.is_lesion.sum() >= config.confirm.at_least:
            break
    return graph_of_marks(marked, config, distribution=distribution)


def draw_graphs(
    count: int,
    config: Config,
    *,
    seed: int,
    traits: DetectorTraits | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> list[CalcificationGraph]:
    """Draw graphs of all distributions by turns; graph i depends on (seed, i) alone.

    Args:
        count: of graphs.
        config: neighbours, edge labels, width of the visual features and least number of calcifications.
        seed: of all.
        traits: of the detectors.
        report: called with graphs done and graphs in all.
    """
    graphs = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        distribution = DISTRIBUTIONS[number % len(DISTRIBUTIONS)]
        graphs.append(draw_graph(distribution, config, traits or DetectorTraits(), rng))
        if (number + 1) % 500 == 0 or number + 1 == count:
            report(number + 1, count)
    return graphs
