"""What is known of nodes (scalars) and edges (L(j, i) of equation 6), apart from their looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from calcigraph.graph.frame import Frame

Float = NDArray[np.float64]
Edges = NDArray[np.int64]

IMAGE_SCALARS = ("row_share", "col_share")
"""Centre as a share of the image's height and width: the paper's S (equation 4)."""

RANKS = (1, 2, 3, 5, 8, 12)
"""The distances to these nearest nodes are told: a lesion is where calcifications are crowded."""

BREAST_SCALARS = (
    "centre_depth",
    "centre_across",
    "probability",
    "log_diameter",
    "log_contrast",
    "log_neighbour_distance",
    "log_count",
    "log_breast_size",
    "whole_breast",
    *(f"log_distance_{rank}" for rank in RANKS),
)
"""Offset from the probability-weighted centre along the depth axis and across it, in 50 mm; the candidate's own
numbers; log1p of the mean distance to its neighbours in mm; log1p of the number of nodes / 5; log of the root of the
breast's area in 10 cm; log1p of the distance in mm to the nearest node, the second nearest and so on (`RANKS`), in a
small graph to the farthest. None changes when the image is mirrored, so that
the chest wall changes sides."""

SCALARS = (*IMAGE_SCALARS, *BREAST_SCALARS)

EDGE_LABELS: dict[str, tuple[str, ...]] = {
    "offset": ("row_share", "col_share"),
    "mm": ("depth", "across", "log_distance", "unit_depth", "unit_across"),
}

MARKS = ("probability", "diameter_mm", "contrast")
"""Columns of the candidates' table that a graph keeps."""


def position_columns(kind: str) -> slice:
    """Say which scalars are embedded (equation 4): the paper's two, or all that are the breast's own."""
    return slice(0, len(IMAGE_SCALARS)) if kind == "offset" else slice(len(IMAGE_SCALARS), len(SCALARS))


def weights_of(marks: Float) -> Float:
    """Probability of each node, (n,) in (0, 1]; 1 where the patch network has not spoken (NaN)."""
    weights: Float = np.clip(np.nan_to_num(marks[:, 0], nan=1.0), 1e-6, 1.0)
    return weights


def edge_labels(pos_mm: Float, edge_index: Edges, *, kind: str, frame: Frame) -> Float:
    """Label every edge with where the neighbour j lies as seen from the node i.

    Args:
        pos_mm: (n, 2) positions in the image.
        edge_index: (2, e) neighbour j above node i.
        kind: `offset`: row and column offset as shares of the image (the paper's); `mm`: offset in depth and
            across in 10 mm, log1p of the distance in mm, unit direction (0 for two nodes at one position).
        frame: the breast's axes.

    Returns:
        (e, 2) or (e, 5).
    """
    neighbour, node = edge_index
    if kind == "offset":
        shares: Float = (pos_mm[neighbour] - pos_mm[node]) / np.asarray(frame.extent_mm)
        return shares
    breast = frame.to_breast(pos_mm)
    offset = breast[neighbour] - breast[node]
    distance = np.linalg.norm(offset, axis=1, keepdims=True)
    unit = np.divide(offset, distance, out=np.zeros_like(offset), where=distance > 0)
    return np.hstack([offset / 10.0, np.log1p(distance), unit])


def node_scalars(pos_mm: Float, marks: Float, edge_index: Edges, *, frame: Frame) -> Float:
    """Compute `SCALARS` of every node.

    Args:
        pos_mm: (n, 2) positions in the image.
        marks: (n, 3) `MARKS`.
        edge_index: (2, e) neighbour j above node i.
        frame: the breast's axes.

    Returns:
        (n, len(SCALARS)).
    """
    breast = frame.to_breast(pos_mm)
    weights = weights_of(marks)
    ones = np.ones(len(pos_mm))
    columns = [
        pos_mm / np.asarray(frame.extent_mm),
        (breast - _centre(breast, weights)) / 50.0,
        weights,
        np.log(np.maximum(np.nan_to_num(marks[:, 1]), 0.01)),
        np.log1p(np.maximum(np.nan_to_num(marks[:, 2]), 0.0)),
        _log_neighbour_distance(pos_mm, edge_index),
        ones * np.log1p(len(pos_mm)) / 5.0,
        ones * log_breast_size(frame),
        ones * float(frame.whole_breast),
        _log_ranked_distances(pos_mm),
    ]
    return np.column_stack(columns)


def log_breast_size(frame: Frame) -> float:
    """Log of the root of the breast's area in units of 10 cm: about 0 for a breast of 100 cm²."""
    return float(np.log(np.sqrt(max(frame.area_cm2, 0.01)) / 10.0))


def _centre(breast: Float, weights: Float) -> Float:
    centre: Float = (breast * weights[:, None]).sum(axis=0) / max(float(weights.sum()), 1e-12)
    return centre


def _log_neighbour_distance(pos_mm: Float, edge_index: Edges) -> Float:
    neighbour, node = edge_index
    distance = np.linalg.norm(pos_mm[neighbour] - pos_mm[node], axis=1)
    total = np.bincount(node, weights=distance, minlength=len(pos_mm))
    degree = np.bincount(node, minlength=len(pos_mm))
    log_mean: Float = np.log1p(total / np.maximum(degree, 1))
    return log_mean


def _log_ranked_distances(pos_mm: Float) -> Float:
    """Return log1p of the distance to the nodes of `RANKS`, (n, len(RANKS)); 0 for a node alone."""
    n = len(pos_mm)
    if n < 2:
        return np.zeros((n, len(RANKS)))
    ranks = np.minimum(RANKS, n - 1)
    distance, _ = cKDTree(pos_mm).query(pos_mm, k=int(ranks.max()) + 1)
    return np.log1p(np.asarray(distance)[:, ranks])
