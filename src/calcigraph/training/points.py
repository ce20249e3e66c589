"""Graphs of simulated marks, without pixels: on tens of thousands of them the graph network starts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from calcigraph.config import Config
from calcigraph.graph import CalcificationGraph, Frame, assemble
from calcigraph.lexicon import DISTRIBUTIONS, Distribution, View
from calcigraph.simulate.anatomy import Anatomy, grow_breast
from calcigraph.simulate.look_alikes import place_look_alikes, place_satellites
from calcigraph.simulate.marks import DetectorTraits, MarkedView, mark_view
from calcigraph.simulate.patterns import place_lesion

LESIONS_PER_BREAST = 8
"""Growing a breast takes longer than all else, so it is shown with several lesions, one by one."""

TRIES = 30
"""So many breasts are drawn for one graph on which something of the lesion is found."""


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
    """Draw this distribution in a breast and return the graph of one view.

    One mark of it or more is true, unless `TRIES` breasts in a row show none: probabilities are asked for from one
    calcification on.

    Args:
        distribution: of the lesion.
        config: neighbours, edge labels and width of the visual features.
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
        if marked.is_lesion.any():
            break
    return graph_of_marks(marked, config, distribution=distribution)


def draw_views(count: int, config: Config, rng: np.random.Generator) -> Iterator[CalcificationGraph]:
    """Draw graphs of all distributions by turns, with `y`, as detectors of wide ranges would mark them.

    Args:
        count: of graphs.
        config: neighbours, edge labels and width of the visual features.
        rng: of all; what draws from it between two graphs changes those that follow.
    """
    traits = DetectorTraits()
    for number in range(count):
        if number % LESIONS_PER_BREAST == 0:
            breast = grow_breast(rng)
        distribution = DISTRIBUTIONS[number % len(DISTRIBUTIONS)]
        yield draw_graph(distribution, config, traits, rng, breast=breast)
