"""Figures: saliency on the mammogram, and what evaluations and studies draw. No global plotting state."""

from __future__ import annotations

from calcigraph.figures.evaluation import confusion_matrix, reliability, roc_curves
from calcigraph.figures.examples import Example, examples
from calcigraph.figures.saliency import overlay, saliency_colours
from calcigraph.figures.study import deletion_curves, learning_curves
from calcigraph.figures.write import write_figure

__all__ = [
    "Example",
    "confusion_matrix",
    "deletion_curves",
    "examples",
    "learning_curves",
    "overlay",
    "reliability",
    "roc_curves",
    "saliency_colours",
    "write_figure",
]
