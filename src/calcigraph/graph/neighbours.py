"""k nearest neighbours of every node (section 2.5.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

TIE_MM = 1e-6
"""Distances closer than this are ties."""


def nearest_neighbours(pos_mm: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """Join every node with the k others at the smallest Euclidean distance.

    Ties are broken by row, then column, then index, so that the order of the nodes does not matter (except
    among nodes at one and the same position). A graph of n <= k nodes is complete.

    Args:
        pos_mm: (n, 2) positions.
        k: neighbours of each node, 1 or more.

    Returns:
        (2, n * min(k, n - 1)) int64, neighbour j above node i; sorted by node, then distance.
    """
    pos = np.asarray(pos_mm, np.float64).reshape(-1, 2)
    n = len(pos)
    k = min(k, n - 1)
    if k < 1:
        return np.zeros((2, 0), np.int64)
    nodes = np.arange(n)
    # Twice as many as needed are asked for, so that what is cut off is not decided by the tree's own order.
    distance, near = map(np.asarray, cKDTree(pos).query(pos, k=min(n, 2 * k + 2)))
    distance = np.where(near == nodes[:, None], np.inf, distance)
    order = np.lexsort((near, pos[near, 1], pos[near, 0], np.round(distance / TIE_MM)), axis=1)
    chosen = np.take_along_axis(near, order, axis=1)[:, :k]
    return np.stack([chosen.ravel(), np.repeat(nodes, k)]).astype(np.int64)
