"""Where the breast is: Otsu's threshold, without labels, metal and burnt-in graphics, and the breast's own axes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from calcigraph.config import BreastConfig
from calcigraph.detect.tophat import disc
from calcigraph.detect.working import WorkingImage, at_pitch
from calcigraph.records import SIDES, Breast, FloatImage, Mammogram, Mask, Points

GRAPHICS_MM2 = 1.5
"""Least area of metal and graphics; microcalcifications are smaller."""

RIM_PX = 4
"""So far around a saturated area is looked whether it ends abruptly."""

COMPRESSION = 0.5
"""Power to which grey values are raised before Otsu's threshold."""

SATURATED = 0.985
"""Share of the brightest value from which a large flat area is metal or graphics, not tissue."""

NEGATIVE_GREY = 0.9
"""Share of the grey scale from which on a pixel is as bright as the air of a negative."""

NEGATIVE_BORDER, NEGATIVE_IMAGE = 0.5, 0.2
"""Shares of the border and of the image that are so bright on a negative. Of 266 mammograms (films, exports to 8 bits,
simulated and others) none has more than .09 and .15; their negatives, but for a view without air, .61 and .23."""

BLACK = 0.02
"""Share of the bright tissue's grey value below which a pixel is black."""

BLACK_WINDOW_MM = 3.0
"""Side of the square in which more than half of the pixels are black where tissue is not shown."""


def segment_breast(mammogram: Mammogram, working: WorkingImage, config: BreastConfig) -> Breast:
    """Find the tissue to search and the axes of the breast (section 2.4 of the paper).

    An image without background (a crop, a magnification view) is all breast.
    """
    small = at_pitch(mammogram, config.spacing_mm, tolerance=0.0)
    smooth = np.asarray(cv2.GaussianBlur(small.pixels, (0, 0), 1.0))
    tissue, fills_image = _tissue(smooth)
    side = mammogram.chest_wall or _chest_wall_side(tissue)
    nipple_px = _centre(tissue) if fills_image else _farthest_point(tissue, side)
    nipple_mm = small.to_original(nipple_px[None])[0] * np.asarray(mammogram.spacing_mm)
    mask, black = _searched(tissue, small, working, config, fills_image=fills_image)
    return Breast(
        mask=mask,
        outline_px=small.to_original(_outline(tissue)),
        area_cm2=float(tissue.sum()) * small.spacing_mm[0] * small.spacing_mm[1] / 100,
        nipple_mm=(float(nipple_mm[0]), float(nipple_mm[1])),
        depth_axis=SIDES[side],
        fills_image=fills_image,
        black=black,
        negative=_is_negative(smooth),
    )


def _is_negative(smooth: FloatImage) -> bool:
    """Whether the air around the breast is bright."""
    dark, bright = float(smooth.min()), float(smooth.max())
    level = dark + NEGATIVE_GREY * (bright - dark)
    air = smooth >= level
    return bright > dark and bool(air.mean() > NEGATIVE_IMAGE and _border(air).mean() > NEGATIVE_BORDER)


def _border(mask: Mask) -> Mask:
    return np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])


def _tissue(smooth: FloatImage) -> tuple[Mask, bool]:
    """Return the largest bright area, without the parts that are as bright as metal, and whether it is all."""
    whole = np.ones(smooth.shape, dtype=bool)
    threshold = _otsu(smooth)
    background = smooth <= threshold
    if not _is_background(smooth, background):
        return whole, True
    metal = _metal(smooth)
    opened = cv2.morphologyEx((~background & ~metal).astype(np.uint8), cv2.MORPH_OPEN, disc(5))
    closed = cv2.morphologyEx(_largest(opened.astype(bool)).astype(np.uint8), cv2.MORPH_CLOSE, disc(25))
    tissue = _fill_holes(closed.astype(bool)) & ~metal
    return (tissue, False) if tissue.mean() >= 0.02 else (whole, True)


def _otsu(pixels: FloatImage) -> float:
    """Otsu's threshold on the compressed grey scale.

    On the plain scale metal, labels and muscle draw the threshold up into the fat. Cutting the range at a bright
    quantile and raising it to a power below 1 leaves air and tissue as the two classes.
    """
    above = pixels[pixels > pixels.min()]
    if not above.size:
        return float(pixels.max())
    middle, bright = np.quantile(above, [0.6, 0.995])
    ceiling = max(float(middle), 0.25 * float(bright))  # a small breast leaves the middle to the air's noise
    levels = (np.clip(pixels / max(ceiling, 1e-6), 0, 1) ** COMPRESSION * 255).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return (float(threshold) / 255) ** (1 / COMPRESSION) * ceiling


def _is_background(pixels: FloatImage, background: Mask) -> bool:
    """Air is dark, smooth, reaches the border and covers a visible part of the image; fat is not and does not."""
    share = float(background.mean())
    if not 0.02 <= share <= 0.98:
        return False
    air, tissue = pixels[background], pixels[~background]
    dark = float(np.median(air)) < 0.45 * float(np.median(tissue))
    return dark and float(_border(background).mean()) >= 0.05


def _metal(smooth: FloatImage) -> Mask:
    """Large areas that are as bright as the image gets: metal parts, markers, the paddle's edge."""
    bright = smooth >= SATURATED * float(smooth.max())
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bright.astype(np.uint8))
    large = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= 30)
    metal = np.isin(labels, large[large > 0])
    return metal if metal.mean() < 0.5 and count > 1 else np.zeros_like(bright)


def _largest(mask: Mask) -> Mask:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if len(stats) < 2:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def _fill_holes(mask: Mask) -> Mask:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, dtype=np.uint8)
    return np.asarray(cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)).astype(bool)


def _outline(tissue: Mask) -> Points:
    contours, _ = cv2.findContours(tissue.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.empty((0, 2))
    longest = max(contours, key=cv2.contourArea)
    return np.asarray(longest[:, 0, ::-1], dtype=np.float64)


def _chest_wall_side(tissue: Mask, *, slack_px: int = 3) -> str:
    """Return the side on which the breast ends in a straight line, whether or not air was padded beside it."""
    rows, cols = np.flatnonzero(tissue.any(axis=1)), np.flatnonzero(tissue.any(axis=0))
    box = tissue[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    straight = {
        "left": box[:, :slack_px].any(axis=1).mean(),
        "right": box[:, -slack_px:].any(axis=1).mean(),
        "top": box[:slack_px].any(axis=0).mean(),
        "bottom": box[-slack_px:].any(axis=0).mean(),
    }
    return max(straight, key=lambda side: float(straight[side]))


def _centre(tissue: Mask) -> NDArray[np.float64]:
    return (np.asarray(tissue.shape, dtype=np.float64) - 1) / 2


def _farthest_point(tissue: Mask, side: str) -> NDArray[np.float64]:
    points = np.argwhere(tissue).astype(np.float64)
    depth = points @ np.asarray(SIDES[side])
    return np.asarray(points[depth >= depth.max() - 1].mean(axis=0))


def _searched(
    tissue: Mask, small: WorkingImage, working: WorkingImage, config: BreastConfig, *, fills_image: bool
) -> tuple[Mask, float]:
    """Return the tissue at the working pitch, less the skin rim, black tissue and the surroundings of graphics.

    Returns:
        the mask, and the share of black tissue.
    """
    pitch = small.pitch_mm
    inner = tissue.astype(np.uint8)
    if not fills_image:
        inner = cv2.copyMakeBorder(inner, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        distance = cv2.distanceTransform(inner, cv2.DIST_L2, 3)[1:-1, 1:-1]
        inner = (distance * pitch > config.tissue_margin_mm).astype(np.uint8)
    rows, cols = working.pixels.shape
    mask = cv2.resize(inner, (cols, rows), interpolation=cv2.INTER_NEAREST).astype(bool)
    black = mask & _black(working.pixels, mask, working.pitch_mm)
    share = float(black.sum()) / max(int(mask.sum()), 1)
    return mask & ~black & ~_graphics(working, mask, config), share


def _black(pixels: FloatImage, mask: Mask, pitch_mm: float) -> Mask:
    """Where tissue is below the grey scale, as in many exports to 8 bits: only the peaks of noise are left of it.

    They look like calcifications to whoever measures in units of local noise.
    """
    tissue = pixels[::8, ::8][mask[::8, ::8]]
    level = BLACK * float(np.quantile(tissue, 0.995)) if tissue.size else 0.0
    side = round(BLACK_WINDOW_MM / pitch_mm) | 1
    black = (pixels < level).astype(np.float32)
    return np.asarray(cv2.blur(black, (side, side), borderType=cv2.BORDER_REFLECT) > 0.5)


def _graphics(working: WorkingImage, mask: Mask, config: BreastConfig) -> Mask:
    """Saturated areas at the tissue, larger than any microcalcification, widened by the margin kept from them."""
    pitch = working.pitch_mm
    margin_px = round(config.metal_margin_mm / pitch) + 1
    near = _box_around(mask, margin_px)
    found, bright = np.zeros(mask.shape, dtype=bool), np.zeros(mask.shape, dtype=bool)
    top = float(working.pixels.max())
    bright[near] = working.pixels[near] >= SATURATED * top
    if top <= 0 or np.count_nonzero(bright) * pitch**2 < GRAPHICS_MM2:
        return found
    near = _box_around(bright, margin_px + RIM_PX)
    pixels = working.pixels[near]
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bright[near].astype(np.uint8))
    large = stats[:, cv2.CC_STAT_AREA] * pitch**2 >= GRAPHICS_MM2
    large[0] = False
    for label in np.flatnonzero(large):
        large[label] = _is_sharp(pixels, labels, stats[label], int(label), 0.8 * top)
    kept = large[labels].astype(np.uint8)
    if kept.any():
        distance = cv2.distanceTransform(1 - kept, cv2.DIST_L2, 3)
        found[near] = distance * pitch <= config.metal_margin_mm
    return found


def _box_around(mask: Mask, margin_px: int) -> tuple[slice, slice]:
    left, top, cols, rows = cv2.boundingRect(mask.astype(np.uint8))
    if not rows:
        return np.s_[0:0, 0:0]
    return (
        slice(max(top - margin_px, 0), top + rows + margin_px),
        slice(max(left - margin_px, 0), left + cols + margin_px),
    )


def _is_sharp(
    pixels: FloatImage, labels: NDArray[np.int32], box: NDArray[np.int32], label: int, level: float
) -> bool:
    """Whether a saturated area ends abruptly, as metal and graphics do; saturated gland fades out."""
    left, top, width, height, _ = (int(value) for value in box)
    window = np.s_[
        max(top - RIM_PX, 0) : top + height + RIM_PX, max(left - RIM_PX, 0) : left + width + RIM_PX
    ]
    area = (labels[window] == label).astype(np.uint8)
    ring = cv2.dilate(area, disc(7)).astype(bool) & ~cv2.dilate(area, disc(5)).astype(bool)
    return bool(ring.any()) and float(np.median(pixels[window][ring])) < level
