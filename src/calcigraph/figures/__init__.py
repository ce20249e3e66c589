"""Figures: saliency on the mammogram, and what evaluation and training draw. No global plotting state."""

from __future__ import annotations

from calcigraph.figures.evaluation import confusion_matrix, history, reliability, roc_curves
from calcigraph.figures.saliency import overlay, saliency_colours

__all__ = ["confusion_matrix", "history", "overlay", "reliability", "roc_curves", "saliency_colours"]
