"""Of what lies beside each other, the first alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def first_apart(pos_mm: NDArray[np.float64], separation_mm: float) -> NDArray[np.bool_]:
    """Say what stays if each position drops the later ones within `separation_mm`, unless it was dropped itself: (n,).

    Args:
        pos_mm: (n, 2), the likeliest first.
        separation_mm: 0 keeps all but those at the same place.
    """
    stays = np.ones(len(pos_mm), dtype=np.bool_)
    if len(pos_mm):
        for one, other in sorted(cKDTree(pos_mm).query_pairs(separation_mm)):
            stays[other] &= not stays[one]
    return stays
