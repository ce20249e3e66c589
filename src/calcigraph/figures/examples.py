"""One example of each class: the truth, the graph's saliency, an image network's saliency (Figure 5 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from calcigraph.figures.evaluation import blank
from calcigraph.figures.panel import Window, grey
from calcigraph.figures.saliency import saliency_colours
from calcigraph.records import FloatImage, Mammogram, Points

PANEL_PX = 500
TRUTH = "#ff2b2b"


@dataclass(frozen=True)
class Example:
    """One image and what explains its answers.

    Attributes:
        title: of the row.
        mammogram: the image.
        window: the breast.
        truth_px: (n, 2) row, col of the true calcifications; none where not known.
        outline_px: (n, 2) row, col of the annotated region; none where not known.
        calcifications: table with `row_px`, `col_px` and `saliency`.
        edge_index: (2, e) rows of it.
        graph_answer: words above the graph's saliency.
        heat: saliency of the image network over the window, in [0, 1]; None without one.
        image_answer: words above it.
    """

    title: str
    mammogram: Mammogram
    window: Window
    truth_px: Points
    outline_px: Points
    calcifications: pd.DataFrame
    edge_index: NDArray[np.int64]
    graph_answer: str
    heat: FloatImage | None
    image_answer: str


def examples(rows: Sequence[Example]) -> Figure:
    """Draw a row for each example, saliency from blue over yellow to red; a third column if an image network looks."""
    columns = 3 if any(row.heat is not None for row in rows) else 2
    figure = blank(width=3.5 * columns, height=4.2 * max(len(rows), 1))
    grid = figure.subplots(max(len(rows), 1), columns, squeeze=False)
    for panels, row in zip(grid, rows, strict=False):
        for each, title in zip(panels, (row.title, row.graph_answer, row.image_answer), strict=False):
            _draw_breast(each, row)
            each.set_title(title, fontsize=9, parse_math=False)
        _draw_truth(panels[0], row)
        _draw_graph(panels[1], row)
        if row.heat is not None:
            _draw_heat(panels[2], row)
    return figure


def _draw_breast(axes: Axes, row: Example) -> None:
    height_mm, width_mm = row.window.size_mm(row.mammogram.spacing_mm)
    scale = PANEL_PX / max(height_mm, width_mm)
    size_px = (max(1, round(height_mm * scale)), max(1, round(width_mm * scale)))
    pixels = grey(row.mammogram.pixels, row.window, size_px)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=row.window.extent)
    axes.set_axis_off()
    left, right, bottom, top = row.window.extent
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_aspect(row.mammogram.spacing_mm[0] / row.mammogram.spacing_mm[1])


def _draw_truth(axes: Axes, row: Example) -> None:
    if len(row.outline_px):
        closed = np.concatenate([row.outline_px, row.outline_px[:1]])
        axes.plot(closed[:, 1], closed[:, 0], color=TRUTH, lw=1.5)
    axes.scatter(row.truth_px[:, 1], row.truth_px[:, 0], s=10, facecolors="none", edgecolors=TRUTH, lw=0.7)


def _draw_graph(axes: Axes, row: Example) -> None:
    points_px = row.calcifications[["row_px", "col_px"]].to_numpy(np.float64)
    lines = points_px[row.edge_index.T][:, :, ::-1]
    axes.add_collection(
        LineCollection(list(lines), colors="#6fcbff", linewidths=0.4, alpha=0.5), autolim=False
    )
    colours = saliency_colours(row.calcifications["saliency"].to_numpy())
    axes.scatter(points_px[:, 1], points_px[:, 0], s=14, facecolors="none", edgecolors=colours, lw=1.2)


def _draw_heat(axes: Axes, row: Example) -> None:
    heat = np.asarray(row.heat)
    colours = saliency_colours(heat.ravel()).reshape(*heat.shape, 4)
    colours[..., 3] = 0.45
    axes.imshow(colours, extent=row.window.extent, interpolation="bilinear", aspect=axes.get_aspect())
