"""What is known of the graph as a whole: number, spread and aim of its calcifications, in mm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from calcigraph.graph.frame import Frame
from calcigraph.graph.labels import Edges, Float, log_breast_size, weights_of

LINK_MM = 10.0
"""Neighbours closer than this are of one group (BI-RADS: a group lies within one to two centimetres)."""

SUMMARY = (
    "log_count",
    "log_weight",
    "log_long_mm",
    "log_short_mm",
    "log_main_weight",
    "main_share",
    "log_main_long_mm",
    "log_main_short_mm",
    "main_elongation",
    "main_aim",
    "main_depth",
    "breast_share",
    "log_groups",
    "log_density",
    "log_breast_size",
    "whole_breast",
)
"""Nodes and the sum of their probabilities (log1p / 5); long and short spread, four weighted standard
deviations along the principal axes (log1p of mm / 5); the same for the main group, the heaviest of those
linked at `LINK_MM`, and its share of the weight; its elongation 1 - short/long; how far its long axis aims at
the nipple (cos², times elongation) and its depth in 100 mm, both 0 without a nipple; root of the share of the
breast that the spread covers; number of groups; nodes per cm². None changes with the order of the nodes or a
mirror."""


def graph_summary(pos_mm: Float, marks: Float, edge_index: Edges, *, frame: Frame) -> Float:
    """Compute `SUMMARY` of a graph.

    Args:
        pos_mm: (n, 2) positions in the image.
        marks: (n, 3) `labels.MARKS`.
        edge_index: (2, e) neighbour j above node i.
        frame: the breast's axes.

    Returns:
        (len(SUMMARY),), finite for any number of nodes.
    """
    breast, weights = frame.to_breast(pos_mm), weights_of(marks)
    groups, main = _groups(pos_mm, weights, edge_index)
    _, long, short, _ = _spread(breast, weights)
    centre, main_long, main_short, axis = _spread(breast[main], weights[main])
    elongation = 1.0 - (main_short + 1.0) / (main_long + 1.0)
    area_cm2 = np.pi / 4 * (long + 1.0) * (short + 1.0) / 100.0
    nipple = float(frame.whole_breast)
    return np.array(
        [
            np.log1p(len(pos_mm)) / 5,
            np.log1p(weights.sum()) / 5,
            np.log1p(long) / 5,
            np.log1p(short) / 5,
            np.log1p(weights[main].sum()) / 5,
            weights[main].sum() / max(weights.sum(), 1e-12),
            np.log1p(main_long) / 5,
            np.log1p(main_short) / 5,
            elongation,
            nipple * elongation * _aim(centre, axis),
            nipple * centre[0] / 100,
            min(1.0, np.sqrt(area_cm2 / max(frame.area_cm2, 0.01))),
            np.log1p(groups) / 3,
            np.log1p(len(pos_mm) / area_cm2) / 5,
            log_breast_size(frame),
            nipple,
        ]
    )


def _groups(pos_mm: Float, weights: Float, edge_index: Edges) -> tuple[int, NDArray[np.bool_]]:
    """Count the groups and mark the nodes of the heaviest; ties go to the one highest in the image."""
    n = len(pos_mm)
    if n == 0:
        return 0, np.zeros(0, np.bool_)
    neighbour, node = edge_index
    linked = np.linalg.norm(pos_mm[neighbour] - pos_mm[node], axis=1) <= LINK_MM
    starts = np.concatenate([[0], np.cumsum(np.bincount(node[linked], minlength=n))])
    # Edges are sorted by node, so that they are a compressed matrix already.
    links = csr_array((np.ones(int(linked.sum())), neighbour[linked], starts), shape=(n, n))
    count, group = connected_components(links, directed=False)
    total = np.round(np.bincount(group, weights=weights), 6)
    row = np.full(count, np.inf)
    np.minimum.at(row, group, pos_mm[:, 0])
    return int(count), group == np.lexsort((row, -total))[0]


def _spread(breast: Float, weights: Float) -> tuple[Float, float, float, Float]:
    """Return the centre (2,), long and short spread in mm, and the unit vector of the long axis (2,)."""
    if len(breast) == 0:
        return np.zeros(2), 0.0, 0.0, np.zeros(2)
    share = weights / weights.sum()
    centre = share @ breast
    offset = breast - centre
    variance, axes = np.linalg.eigh((offset * share[:, None]).T @ offset)
    short, long = 4.0 * np.sqrt(np.maximum(variance, 0.0))
    return centre, float(long), float(short), axes[:, 1]


def _aim(centre: Float, axis: Float) -> float:
    distance = float(np.hypot(*centre))
    return float(centre @ axis / distance) ** 2 if distance > 0 else 0.0
