"""The geometry of the detected calcifications: what can be known without looks or a graph."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import ConvexHull, QhullError, cKDTree
from scipy.spatial.distance import pdist, squareform

from calcigraph.crossval.bench import Bench, Float, read_left
from calcigraph.crossval.graph_models import DETECTOR, FoldModel
from calcigraph.encode import Encoding
from calcigraph.graph import Frame, frame_of
from calcigraph.io.tables import write_table

LINK_MM = 10.0
"""Calcifications closer than this are of one group."""

AT_MOST = 600
"""Calcifications whose distances are measured, the likeliest."""

FEATURES = (
    "count",
    "probability_sum",
    "long_mm",
    "short_mm",
    "elongation",
    "hull_mm2",
    "hull_share",
    "per_cm2",
    "nearest_mm",
    "nearest_spread_mm",
    "tree_mm",
    "tree_edge_mm",
    "tree_longest_mm",
    "nipple_mm",
    "nipple_angle",
    "groups",
    "main_share",
    "main_long_mm",
    "main_short_mm",
    "main_elongation",
    "main_hull_share",
    "main_nipple_angle",
)
"""Number and summed probability; long and short side along the principal axes, long over short; area of the convex
hull, as such and as a share of the breast's; density; mean and deviation of the distance to the nearest; length of
the minimum spanning tree, its mean and longest edge; distance to the nipple, and the angle (radians, 0 to π/2)
between the long axis and the direction to the nipple; number of groups, and the same of the largest. NaN where
undefined."""


def measure(encoding: Encoding) -> dict[str, float]:
    """Compute `FEATURES` of the calcifications of an image; any number of them will do."""
    table, frame = encoding.calcifications.iloc[:AT_MOST], frame_of(encoding.graph)
    points_mm = table[["row_mm", "col_mm"]].to_numpy(np.float64)
    everything = dict.fromkeys(FEATURES, float("nan"))
    everything |= {"count": float(len(encoding.calcifications)), "groups": 0.0}
    if len(points_mm) == 0:
        return everything
    groups, main = largest_group(points_mm)
    shape, main_shape = form_of(points_mm, frame), form_of(points_mm[main], frame)
    return (
        everything
        | shape
        | _spacing(points_mm)
        | {f"main_{name}": value for name, value in main_shape.items() if f"main_{name}" in FEATURES}
        | {
            "probability_sum": float(table["probability"].sum()),
            "per_cm2": 100 * len(points_mm) / max(shape["hull_mm2"], 1.0),
            "groups": float(groups),
            "main_share": float(main.mean()),
        }
    )


def largest_group(points_mm: Float) -> tuple[int, NDArray[np.bool_]]:
    """Count the groups of points linked at `LINK_MM`, and mark (n,) the members of the largest."""
    pairs = cKDTree(points_mm).query_pairs(LINK_MM, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(len(points_mm), len(points_mm)))
    groups, group = connected_components(links, directed=False)
    return int(groups), group == np.bincount(group).argmax()


def form_of(points_mm: Float, frame: Frame) -> dict[str, float]:
    """Measure the form of points (n, 2) mm, n of 1 or more: sides, hull, and how it aims at the nipple."""
    offset = points_mm - points_mm.mean(axis=0)
    axes = np.linalg.eigh(offset.T @ offset)[1]
    short, long = np.ptp(offset @ axes, axis=0)
    area = _hull_area(points_mm)
    way = np.asarray(frame.nipple_mm) - points_mm.mean(axis=0)
    distance = float(np.hypot(*way))
    aims = frame.whole_breast and distance > 0 and len(points_mm) > 1
    cosine = abs(float(way @ axes[:, 1])) / distance if aims else float("nan")
    return {
        "long_mm": float(long),
        "short_mm": float(short),
        "elongation": float((long + 1) / (short + 1)),
        "hull_mm2": area,
        "hull_share": area / max(100 * frame.area_cm2, 1.0),
        "nipple_mm": distance if frame.whole_breast else float("nan"),
        "nipple_angle": float(np.arccos(min(cosine, 1.0))) if aims else float("nan"),
    }


def _hull_area(points_mm: Float) -> float:
    """Area in mm²; 0 for fewer than three points, or all on a line."""
    if len(points_mm) < 3:
        return 0.0
    try:
        return float(ConvexHull(points_mm).volume)
    except QhullError:
        return 0.0


def _spacing(points_mm: Float) -> dict[str, float]:
    if len(points_mm) < 2:
        return {}
    # Two marks at one position would have no edge in a sparse matrix.
    distances = squareform(np.maximum(pdist(points_mm), 1e-6))
    tree = minimum_spanning_tree(distances).data
    nearest = np.where(np.eye(len(points_mm), dtype=bool), np.inf, distances).min(axis=1)
    return {
        "nearest_mm": float(nearest.mean()),
        "nearest_spread_mm": float(nearest.std()),
        "tree_mm": float(tree.sum()),
        "tree_edge_mm": float(tree.mean()),
        "tree_longest_mm": float(tree.max()),
    }


def measure_fold(bench: Bench) -> pd.DataFrame:
    """Return the `FEATURES` of every labelled image of a fold by image id, measured once.

    The calcifications are those that the detector of the fold's `default` finds.
    """
    path = bench.folder / DETECTOR / "geometry.csv"
    if not path.exists():
        cases = [case for part in ("train", "validation", "test") for case in bench.labelled(part)]
        encodings = FoldModel.load(bench, DETECTOR).encode(bench, cases, "geometry")
        table = pd.DataFrame([measure(encoding) for encoding in encodings], columns=list(FEATURES))
        table.insert(0, "image_id", [case.image_id for case in cases])
        write_table(path, table)
    return read_left(path, ("image_id", *FEATURES)).set_index("image_id")
