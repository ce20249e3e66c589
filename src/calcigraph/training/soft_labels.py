"""Soft labels where the definitions overlap: what other lesions of the same shape are called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch_geometric.data import Batch

from calcigraph.graph import CalcificationGraph
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.models.member_readout import SHAPE, lesion_shape

COMPARED = ("log_long_mm", "log_short_mm", "elongation", "along_depth")
"""What of the shape makes two lesions alike, each in standard deviations."""

ALIKE = 80
"""So many lesions of the most similar shape say how a lesion may be called."""


def soft_labels(graphs: Sequence[CalcificationGraph], *, softness: float) -> NDArray[np.float32]:
    """Mix the label of each graph with those of the graphs whose true lesions have the most similar shapes.

    A group of 30 mm and a region of 30 mm may be the same marks; a network that is given the one name for certain
    learns the toss of the coin. Measured in docs/LOG.md.

    Args:
        graphs: n with `y` and, for every node, `member`.
        softness: share of the neighbours' labels in the mixture, in [0, 1].

    Returns:
        (n, 5) shares, each row of sum 1.
    """
    given = np.eye(len(DISTRIBUTIONS), dtype=np.float32)[[int(graph.y) for graph in graphs]]
    shapes = _true_shapes(graphs)
    _, nearest = cKDTree(shapes).query(shapes, k=range(1, min(ALIKE, len(given)) + 1))
    alike = given[nearest].mean(axis=1)
    return softness * alike + (1 - softness) * given


def _true_shapes(graphs: Sequence[CalcificationGraph]) -> NDArray[np.float64]:
    """(n, 4) the columns `COMPARED` of the lesions' shapes, in standard deviations."""
    columns = [SHAPE.index(name) for name in COMPARED]
    batch = Batch.from_data_list(list(graphs))
    shapes: NDArray[np.float64] = lesion_shape(batch.member, batch)[:, columns].numpy().astype(np.float64)
    return shapes / np.maximum(shapes.std(axis=0), np.finfo(np.float64).tiny)
