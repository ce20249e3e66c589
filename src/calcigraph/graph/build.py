"""From a table of calcifications to the graph that the network reads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data

from calcigraph.config import GraphConfig
from calcigraph.graph.frame import Frame
from calcigraph.graph.labels import MARKS, edge_labels, node_scalars
from calcigraph.graph.neighbours import nearest_neighbours
from calcigraph.lexicon import Distribution
from calcigraph.records import Breast


class CalcificationGraph(Data):  # type: ignore[misc]
    """The calcifications of one mammogram.

    Attributes:
        pos: (n, 2) float32, row and col in mm from the image's first pixel.
        visual: (n, v) float32, what the patches look like (equation 3).
        scalars: (n, len(SCALARS)) float32.
        marks: (n, 3) float32, probability, diameter_mm and contrast, as in the table.
        edge_index: (2, e) int64, neighbour j above node i.
        edge_attr: (e, 2 or 5) float32, the labels L(j, i) of equation 6.
        frame: (1, 8) float32, the breast's axes (`Frame.numbers`).
        member: (n,) float32, 1 for nodes of the lesion, 0 for others, NaN for unknown; absent but in training.
        y: (1,) int64 index of the distribution; absent where that is not known.
    """


def build_graph(
    table: pd.DataFrame,
    visual: NDArray[np.float32],
    *,
    mammogram_extent_mm: tuple[float, float],
    breast: Breast,
    config: GraphConfig,
    distribution: Distribution | None = None,
    member: NDArray[np.float32] | None = None,
) -> CalcificationGraph:
    """Build the graph of the calcifications in a table; 0, 1 and up to k of them are ordinary cases.

    Args:
        table: n rows with `records.CANDIDATE_COLUMNS`; a probability of NaN counts as 1.
        visual: (n, v) features of their patches.
        mammogram_extent_mm: (rows, cols) of the image in mm.
        breast: its segmentation, for the nipple, the axes and the area.
        config: neighbours and kind of edge labels.
        distribution: the true answer, for training.
        member: (n,) whether each row is of the lesion, for training.

    Raises:
        ValueError: table and visual differ in length.
    """
    if len(table) != len(visual):
        raise ValueError(f"{len(table)} rows and {len(visual)} visual features")
    graph = assemble(
        table[["row_mm", "col_mm"]].to_numpy(np.float64),
        table[list(MARKS)].to_numpy(np.float64),
        torch.as_tensor(np.ascontiguousarray(visual, dtype=np.float32)),
        frame=Frame.of(breast, mammogram_extent_mm),
        config=config,
    )
    if distribution is not None:
        graph.y = torch.tensor([distribution.place])
    if member is not None:
        graph.member = torch.as_tensor(member)
    return graph


def assemble(
    pos_mm: NDArray[np.float64],
    marks: NDArray[np.float64],
    visual: torch.Tensor,
    *,
    frame: Frame,
    config: GraphConfig,
) -> CalcificationGraph:
    """Compute edges, labels and scalars from positions (n, 2), marks (n, 3) and visual (n, v)."""
    edge_index = nearest_neighbours(pos_mm, config.neighbours)
    labels = edge_labels(pos_mm, edge_index, kind=config.edge_labels, frame=frame)
    return CalcificationGraph(
        pos=_float(pos_mm),
        visual=visual,
        scalars=_float(node_scalars(pos_mm, marks, edge_index, frame=frame)),
        marks=_float(marks),
        edge_index=torch.as_tensor(edge_index),
        edge_attr=_float(labels),
        frame=_float(np.array([frame.numbers()])),
    )


def frame_of(graph: CalcificationGraph) -> Frame:
    """Return the breast's axes that travel with a graph."""
    return Frame.from_numbers(graph.frame[0].tolist())


def _float(values: NDArray[np.float64]) -> torch.Tensor:
    return torch.as_tensor(values.astype(np.float32))
