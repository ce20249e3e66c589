"""Words on a mammogram: caption, scale bar, and the style of all text."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patheffects import withStroke

from calcigraph.figures.panel import scale_bar_mm
from calcigraph.lexicon import RESEARCH_USE, count
from calcigraph.records import Mammogram, Prediction

INK, FAINT = "#f2f4f7", "#aab2bd"


def draw_scale_bar(axes: Axes, width_mm: float) -> None:
    """Draw a bar of a round length at the lower left, in shares of the panel's width."""
    length_mm = scale_bar_mm(width_mm)
    halo = [withStroke(linewidth=5, foreground="black")]
    ends = (0.03, 0.03 + length_mm / width_mm)
    axes.plot(
        ends,
        (0.016, 0.016),
        transform=axes.transAxes,
        color="white",
        lw=3,
        solid_capstyle="butt",  # others make it longer than what it measures
        path_effects=halo,
        gid="scale",
    )
    axes.text(
        ends[0],
        0.022,
        f"{length_mm:g} mm",
        transform=axes.transAxes,
        ha="left",
        va="bottom",
        **text_style(16),
    )


def draw_caption(
    figure: Figure, mammogram: Mammogram, prediction: Prediction, *, dpi: int, margin_px: int
) -> None:
    """Write the answer, the facts and what to beware of above, each cut to one line, the notice below."""
    height_px, width_px = figure.get_figheight() * dpi, figure.get_figwidth() * dpi
    left = margin_px / width_px
    lines = zip((14, 56, 88, 120), (23, 15, 15, 15), _caption_lines(mammogram, prediction), strict=True)
    for top_px, points, line in lines:
        written = figure.text(left, 1 - top_px / height_px, line, va="top", **text_style(points))
        kept = (width_px - 2 * margin_px) / max(written.get_window_extent().width, 1)
        if kept < 1:
            written.set_text(f"{line[: int(kept * len(line)) - 2].rstrip()}…")
    figure.text(left, 12 / height_px, RESEARCH_USE, va="bottom", **{**text_style(14), "color": FAINT})


def _caption_lines(mammogram: Mammogram, prediction: Prediction) -> tuple[str, str, str, str]:
    kept = count(len(prediction.calcifications), "calcification")
    answer = "no distribution: too little evidence"
    others = "  ".join(f"{d} {p:.2f}" for d, p in prediction.probabilities.items() if not math.isnan(p))
    if prediction.distribution is not None:
        probability = prediction.probabilities[prediction.distribution]
        answer = f"{prediction.distribution} (probability {probability:.2f})"
    elif others:
        others = f"if there is a lesion: {others}"
    seen = " ".join(str(part) for part in (mammogram.laterality, mammogram.view) if part)
    pitch = " × ".join(f"{side:.3g}" for side in dict.fromkeys(mammogram.spacing_mm))
    facts = "  ·  ".join(
        part for part in (_shown(prediction.image_id), seen, kept, f"{pitch} mm pixels") if part
    )
    warned = "  ·  ".join(_head(warning) for warning in prediction.warnings)
    return answer, facts, others, f"Warning: {warned}" if warned else ""


def _head(warning: str) -> str:
    """Return what a warning says first: less its stage, which comes before, and its numbers, which come after."""
    return warning.split(": ")[1] if ": " in warning else warning


def _shown(text: str) -> str:
    """Replace what the figure's font cannot draw, and shorten."""
    font = get_font(findfont("DejaVu Sans"))
    drawn = "".join(sign if sign.isprintable() and font.get_char_index(ord(sign)) else "?" for sign in text)
    return drawn if len(drawn) <= 60 else f"{drawn[:28]}…{drawn[-28:]}"


def text_style(points: float) -> dict[str, Any]:
    """Return the properties of all text in a figure."""
    halo = [withStroke(linewidth=3, foreground="black")]
    # File names may hold dollar signs, which are no mathematics here.
    return {
        "fontsize": points,
        "color": INK,
        "path_effects": halo,
        "parse_math": False,
        "family": "DejaVu Sans",
    }
