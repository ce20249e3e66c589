"""The calcification graph on the mammogram, nodes coloured by what they weighed (Figure 5 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from calcigraph.errors import BadConfig
from calcigraph.figures.labels import INK, draw_caption, draw_scale_bar, text_style
from calcigraph.figures.panel import Window, grey, whole, zoom_window
from calcigraph.records import Mammogram, Points, Prediction

DPI = 100
PANEL_PX = 1200
SMALL_PANEL_PX = 800
LEAST_MAGNIFICATION = 1.8
MARGIN_PX, CAPTION_PX, FOOTER_PX, BAR_PX = 24, 150, 44, 150
GROUND, OUTLINE, EDGE = "#0b0e12", "#59c9a5", "#6fcbff"
UNKNOWN = (0.92, 0.92, 0.92, 1.0)
# Blue, yellow and red as in the paper; turquoise and green between the first two because a straight line from
# blue to yellow crosses grey, the colour of the image.
SALIENCY_STOPS = ("#2f6bff", "#12c4e0", "#35d95f", "#ffe21f", "#ffb01c", "#ff6e1a", "#ff2020")
SALIENCY = LinearSegmentedColormap.from_list("saliency", SALIENCY_STOPS)


@dataclass(frozen=True)
class _Panel:
    """One view in the figure: what it shows, where its top left corner is and how large it is drawn."""

    window: Window
    left_px: int
    size_px: tuple[int, int]
    title: str


def saliency_colours(values: ArrayLike) -> NDArray[np.float64]:
    """Colour saliencies from blue (0) over yellow (0.5) to red (1).

    Args:
        values: (n,) in [0, 1], clipped to it; NaN, a saliency that does not exist, becomes light grey.

    Returns:
        (n, 4) red, green, blue and opacity in [0, 1].
    """
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    colours = np.asarray(SALIENCY(np.clip(np.nan_to_num(numbers), 0.0, 1.0)), dtype=np.float64).reshape(-1, 4)
    colours[np.isnan(numbers)] = UNKNOWN
    return colours


def overlay(mammogram: Mammogram, prediction: Prediction) -> Figure:
    """Draw the image with the breast's outline, the graph's edges and its nodes coloured by saliency.

    Where the calcifications take a small part of the image, a second panel magnifies them.

    Returns:
        A figure outside of pyplot's global state; `savefig` writes it at `DPI`, about 1,350 px tall.

    Raises:
        BadConfig: the prediction is of another image.
    """
    if prediction.image_id != mammogram.image_id:
        raise BadConfig(
            f"the prediction of image {prediction.image_id} on image {mammogram.image_id}",
            allowed="the prediction of the same image",
            do="predict this one",
        )
    points_px = prediction.calcifications[["row_px", "col_px"]].to_numpy(dtype=np.float64)
    saliency = _saliency(prediction)
    panels = _layout(mammogram, zoom_window(mammogram, points_px, saliency))
    height_px = CAPTION_PX + max(p.size_px[0] for p in panels) + FOOTER_PX
    # Below this width the caption would not fit beside a narrow image.
    width_px = max(panels[-1].left_px + panels[-1].size_px[1] + BAR_PX, 1000)
    figure = Figure(figsize=(width_px / DPI, height_px / DPI), dpi=DPI, facecolor=GROUND)
    FigureCanvasAgg(figure)
    for panel in panels:
        axes = _draw_image(figure, mammogram, panel)
        _draw_graph(axes, mammogram, prediction, panel, magnified=panel is not panels[0])
    if len(panels) == 2:
        _mark_window(figure.axes[0], panels[1].window)
    draw_caption(figure, mammogram, prediction, dpi=DPI, margin_px=MARGIN_PX)
    if np.isfinite(saliency).any():
        _colour_bar(figure, panels[-1], f"how much {prediction.distribution} rests on a calcification")
    return figure


def _saliency(prediction: Prediction) -> NDArray[np.float64]:
    """Return (n,) saliencies; NaN where there was no answer for them to weigh in."""
    values = prediction.calcifications["saliency"].to_numpy(dtype=np.float64)
    return values if prediction.distribution is not None else np.full_like(values, np.nan)


def _layout(mammogram: Mammogram, zoom: Window | None) -> list[_Panel]:
    """Place the panels side by side; they share one height."""
    full = whole(mammogram)
    height_mm, width_mm = full.size_mm(mammogram.spacing_mm)
    longest_px = int(np.clip(max(mammogram.shape), SMALL_PANEL_PX, PANEL_PX))
    scale = longest_px / max(height_mm, width_mm)
    height_px, width_px = (max(60, round(length * scale)) for length in (height_mm, width_mm))
    magnification = 0.0 if zoom is None else height_px / zoom.size_mm(mammogram.spacing_mm)[0] / scale
    if zoom is None or magnification < LEAST_MAGNIFICATION:
        return [_Panel(full, MARGIN_PX, (height_px, width_px), "")]
    zoom_height_mm, zoom_width_mm = zoom.size_mm(mammogram.spacing_mm)
    zoom_px = (height_px, round(height_px * zoom_width_mm / zoom_height_mm))
    return [
        _Panel(full, MARGIN_PX, (height_px, width_px), "whole image"),
        _Panel(zoom, 2 * MARGIN_PX + width_px, zoom_px, f"magnified {magnification:.1f}×"),
    ]


def _draw_image(figure: Figure, mammogram: Mammogram, panel: _Panel) -> Axes:
    width_px, height_px = figure.get_size_inches() * DPI
    rows, cols = panel.size_px
    bottom_px = height_px - CAPTION_PX - rows
    axes = figure.add_axes(
        (panel.left_px / width_px, bottom_px / height_px, cols / width_px, rows / height_px)
    )
    axes.set_axis_off()
    image = grey(mammogram.pixels, panel.window, panel.size_px)
    # Colours at panel size already: nothing is left to resample, normalise or colour, which takes longest.
    rgba = np.dstack([image, image, image, np.full_like(image, 255)])
    axes.imshow(rgba, extent=panel.window.extent, aspect="auto", interpolation="nearest")
    left, right, bottom, top = panel.window.extent
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    draw_scale_bar(axes, panel.window.size_mm(mammogram.spacing_mm)[1])
    if panel.title:
        axes.text(0.985, 0.012, panel.title, transform=axes.transAxes, ha="right", **text_style(16))
    return axes


def _draw_graph(
    axes: Axes, mammogram: Mammogram, prediction: Prediction, panel: _Panel, *, magnified: bool
) -> None:
    """Draw outline, edges and rings, the most salient on top; a calcification inside of its ring stays visible."""
    table = prediction.calcifications
    points_px = table[["row_px", "col_px"]].to_numpy(dtype=np.float64)
    if not prediction.breast.fills_image and len(prediction.breast.outline_px):
        outline = np.concatenate([prediction.breast.outline_px, prediction.breast.outline_px[:1]])
        axes.plot(outline[:, 1], outline[:, 0], color=OUTLINE, lw=1.0, alpha=0.8, gid="outline")
    diameters_mm = table["diameter_mm"].to_numpy(dtype=np.float64)
    rings_px = _ring_diameters(diameters_mm, mammogram, panel, magnified=magnified)
    width = 2.2 if magnified else 1.5
    edges = _edges(points_px, prediction.edge_index, rings_px / 2 + width, panel)
    lines = LineCollection(edges, colors=EDGE, linewidths=0.4 * width, alpha=0.5, gid="edges")
    axes.add_collection(lines, autolim=False)
    saliency = _saliency(prediction)
    order = np.argsort(np.nan_to_num(saliency, nan=-1.0), kind="stable")
    area_pt = (rings_px[order] * 72 / DPI) ** 2
    for colours, line, gid in (
        ("#000000a0", width + 1.6, "halo"),
        (saliency_colours(saliency[order]), width, "nodes"),
    ):
        col, row = points_px[order, 1], points_px[order, 0]
        axes.scatter(col, row, s=area_pt, facecolors="none", edgecolors=colours, linewidths=line, gid=gid)


def _edges(
    points_px: Points, edge_index: NDArray[np.int64], radii_px: NDArray[np.float64], panel: _Panel
) -> list[NDArray[np.float64]]:
    """Return each pair of neighbours once, as a line (2, 2) of col, row from rim to rim of their rings."""
    window = panel.window
    size_px = np.asarray([window.bottom - window.top, window.right - window.left])
    drawn_per_px = np.asarray(panel.size_px) / size_px
    pairs = np.unique(np.sort(edge_index.reshape(2, -1), axis=0), axis=1)
    start, end = (points_px[ids] * drawn_per_px for ids in pairs)
    length = np.hypot(*(end - start).T)
    apart = length > radii_px[pairs].sum(axis=0)
    step = ((end - start)[apart].T / length[apart]).T
    first, second = (radii_px[ids[apart], None] for ids in pairs)
    lines = np.stack([start[apart] + first * step, end[apart] - second * step], axis=1) / drawn_per_px
    return list(lines[:, :, ::-1])


def _ring_diameters(
    diameters_mm: NDArray[np.float64], mammogram: Mammogram, panel: _Panel, *, magnified: bool
) -> NDArray[np.float64]:
    """Rings around the calcification where it is magnified; else equal, and smaller where there are many."""
    if not magnified:
        size = float(np.clip(22 - 4.5 * np.log10(max(len(diameters_mm), 1)), 7, 18))
        return np.full(len(diameters_mm), size)
    px_per_mm = panel.size_px[0] / panel.window.size_mm(mammogram.spacing_mm)[0]
    return np.clip(np.nan_to_num(diameters_mm) * px_per_mm * 1.4 + 10, 14, 90)


def _mark_window(axes: Axes, window: Window) -> None:
    left, right, bottom, top = window.extent
    frame = Rectangle(
        (left, top), right - left, bottom - top, fill=False, edgecolor=INK, lw=1.4, ls="--", gid="zoom"
    )
    axes.add_patch(frame)


def _colour_bar(figure: Figure, panel: _Panel, meaning: str) -> None:
    width_px, height_px = figure.get_size_inches() * DPI
    rows = min(panel.size_px[0], 500)
    left_px = panel.left_px + panel.size_px[1] + 28
    bottom_px = height_px - CAPTION_PX - rows
    axes = figure.add_axes((left_px / width_px, bottom_px / height_px, 24 / width_px, rows / height_px))
    axes.imshow(
        saliency_colours(np.linspace(1, 0, 256)).reshape(256, 1, 4), aspect="auto", extent=(0, 1, 0, 1)
    )
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set_yticks([0, 0.5, 1], ["0 low", "0.5", "1 high"])
    axes.tick_params(colors=INK, labelsize=14)
    axes.set_ylabel(f"saliency: {meaning}" if rows > 450 else "saliency", color=INK, fontsize=14)
