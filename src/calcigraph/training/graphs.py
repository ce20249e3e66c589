"""Training of the graph network (section 2.5.3, equation 9)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch

from calcigraph.config import GraphConfig, TrainingConfig
from calcigraph.graph import CalcificationGraph, Frame, assemble, frame_of
from calcigraph.metrics import multiclass_auc
from calcigraph.models import DistributionNet, focal_loss
from calcigraph.training.epoch import Examples
from calcigraph.training.loop import FitResult, fit
from calcigraph.training.members import member_surprise
from calcigraph.training.sampling import split_held_out
from calcigraph.training.state import EpochReport

DROPPED_AT_MOST = 0.2
"""Share of the nodes that may be left out."""
TURN_DEGREES = 10.0
STRETCH = 0.07
SHIFT_MM = 0.3
CROPPED = 0.25
"""Share of the graphs that are shown as a crop around the calcifications, without a nipple."""
PARTIAL = 0.5
"""Share of the graphs whose breast is shown in part, as spot and biopsy views do: its area is smaller."""
AREA = 0.3
VISUAL_NOISE = 0.1
"""Standard deviations: turn about the nipple, log of the stretch, shift of each node, log of the breast's area, noise
on visual features as a share of their own."""


class GraphExamples:
    """Graphs with their distribution in `y`, and to learn from, where given, shares (n, 5) of all distributions."""

    def __init__(
        self,
        graphs: Sequence[CalcificationGraph],
        config: GraphConfig,
        *,
        shares: NDArray[np.float32] | None = None,
    ) -> None:
        self.graphs, self.config = list(graphs), config
        self.labels = classes_of(self.graphs)
        self._targets = torch.as_tensor(self.labels if shares is None else shares)

    def make_batch(self, indices: NDArray[np.int64], rng: np.random.Generator | None) -> tuple[Batch, Tensor]:
        """One PyG batch and its labels (n,) or shares (n, 5); every graph varied where `rng` is given."""
        graphs = [self.graphs[i] for i in indices]
        if rng is not None:
            graphs = [augment_graph(graph, rng=rng, config=self.config) for graph in graphs]
        return Batch.from_data_list(graphs), self._targets[indices]


def classes_of(graphs: Sequence[CalcificationGraph]) -> NDArray[np.int64]:
    """(n,) int64 index of the distribution of each graph."""
    return np.array([int(graph.y) for graph in graphs], np.int64)


def augment_graph(
    graph: CalcificationGraph, *, rng: np.random.Generator, config: GraphConfig
) -> CalcificationGraph:
    """Vary a graph as another breast, another positioning or another detector would.

    Nodes are left out and shifted, the whole is mirrored across the depth axis, turned about the nipple and
    stretched, and the visual features get noise; then edges, labels and scalars are computed anew. No
    false nodes are added: a graph that came through the detector has its own.
    """
    kept = rng.random(len(graph.pos)) >= DROPPED_AT_MOST * rng.random()
    if not kept.any():
        kept[:] = True
    pos_mm, frame = graph.pos.numpy()[kept].astype(np.float64), frame_of(graph)
    if len(pos_mm) and rng.random() < CROPPED:
        pos_mm, frame = _crop(pos_mm, frame, rng)
    elif rng.random() < PARTIAL:
        frame = replace(frame, area_cm2=frame.area_cm2 * rng.uniform(0.2, 1))
    frame = replace(frame, area_cm2=frame.area_cm2 * np.exp(AREA * rng.standard_normal()))
    breast_mm = _vary_positions(frame.to_breast(pos_mm), frame, rng)
    visual = graph.visual[torch.as_tensor(kept)]
    noise = torch.as_tensor(rng.standard_normal(visual.shape, np.float32))
    varied = assemble(
        frame.to_image(breast_mm),
        graph.marks.numpy()[kept].astype(np.float64),
        visual + VISUAL_NOISE * visual.std(dim=0, correction=0, keepdim=True) * noise
        if len(visual)
        else visual,
        frame=frame,
        config=config,
    )
    if "member" in graph:
        varied.member = graph.member[torch.as_tensor(kept)]
    varied.y = graph.y
    return varied


def _crop(
    pos_mm: NDArray[np.float64], frame: Frame, rng: np.random.Generator
) -> tuple[NDArray[np.float64], Frame]:
    """Cut a window around the calcifications, as a magnification view shows them; its middle stands for the nipple."""
    corner = pos_mm.min(axis=0) - rng.uniform(3, 30, 2)
    rows, cols = (pos_mm.max(axis=0) + rng.uniform(3, 30, 2) - corner).tolist()
    window = Frame(
        nipple_mm=(rows / 2, cols / 2),
        depth_axis=frame.depth_axis,
        extent_mm=(rows, cols),
        area_cm2=rows * cols / 100,
        whole_breast=False,
    )
    return pos_mm - corner, window


def _vary_positions(
    breast_mm: NDArray[np.float64], frame: Frame, rng: np.random.Generator
) -> NDArray[np.float64]:
    angle = np.deg2rad(TURN_DEGREES) * rng.standard_normal()
    if not frame.whole_breast:  # what shows no nipple has no direction either
        angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    mirror = np.array([1.0, rng.choice([-1.0, 1.0])])
    stretch = np.exp(STRETCH * rng.standard_normal())
    shift = SHIFT_MM * rng.standard_normal(breast_mm.shape)
    varied: NDArray[np.float64] = (breast_mm * mirror) @ turn * stretch + shift
    return varied


def train_distribution_network(
    net: DistributionNet,
    graphs: Sequence[CalcificationGraph],
    patients: Sequence[str],
    *,
    held_out: Collection[str],
    graph_config: GraphConfig,
    recipe: TrainingConfig,
    seed: int,
    run_dir: Path,
    device: str | torch.device = "cpu",
    report: Callable[[EpochReport], None] | None = None,
) -> FitResult:
    """Train the graph network by the focal loss (equation 9); see `loop.fit`.

    Args:
        net: with fresh weights, or those to go on from.
        graphs: with `y`.
        patients: of each graph.
        held_out: the patients who do not train, judged by the macro one-vs-rest AUC.
        graph_config: with which the graphs were built, to build varied ones.
    """
    split = split_held_out(patients, held_out)
    training = [graphs[i] for i in split.training]
    if net.visual is not None:
        net.visual.measure(training)
    return fit_graphs(
        net,
        GraphExamples(training, graph_config),
        GraphExamples([graphs[i] for i in split.validation], graph_config),
        recipe=recipe,
        seed=seed,
        run_dir=run_dir,
        device=device,
        report=report,
    )


def fit_graphs(
    net: DistributionNet,
    training: Examples,
    validation: Examples,
    *,
    recipe: TrainingConfig,
    seed: int,
    run_dir: Path,
    device: str | torch.device = "cpu",
    report: Callable[[EpochReport], None] | None = None,
) -> FitResult:
    """Fit by the focal loss of the graphs and, where it is known, which nodes are the lesion's; see `loop.fit`."""

    def score(target: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
        return multiclass_auc(target, net.probabilities(torch.as_tensor(logits)).numpy(), average="macro")

    with member_surprise(net) as surprise:

        def loss(logits: Tensor, target: Tensor) -> Tensor:
            value = focal_loss(logits, target, gamma=recipe.focal_gamma, output=net.output)
            return value + surprise().to(value.device) if net.training else value

        return fit(
            net,
            training,
            validation,
            recipe=recipe,
            seed=seed,
            run_dir=run_dir,
            loss=loss,
            score=score,
            device=device,
            report=report,
        )
