"""Calcifications as a graph: nodes in mm, k nearest neighbours, labels on both (section 2.5 of the paper)."""

from calcigraph.graph.build import CalcificationGraph, assemble, build_graph, frame_of
from calcigraph.graph.frame import Frame
from calcigraph.graph.labels import EDGE_LABELS, SCALARS, edge_labels, node_scalars, position_columns
from calcigraph.graph.neighbours import nearest_neighbours

__all__ = [
    "EDGE_LABELS",
    "SCALARS",
    "CalcificationGraph",
    "Frame",
    "assemble",
    "build_graph",
    "edge_labels",
    "frame_of",
    "nearest_neighbours",
    "node_scalars",
    "position_columns",
]
