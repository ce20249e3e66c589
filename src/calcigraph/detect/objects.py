"""Which candidates lie on one bright object: a coarse calcification has several peaks along its rim."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from calcigraph.detect.working import WorkingImage
from calcigraph.records import FloatImage, Points

SMOOTH_MM = 0.05
"""Standard deviation of the Gaussian that is laid over the image first: noise would part the pieces of an object."""

STEP_MM = 0.15
"""Points on a line lie about so far apart."""

LINE_MM = 3.0
"""What goes on for so long along some line is background: a fibre, an edge of gland, a slope."""

DIRECTIONS = 8
"""Lines through each candidate along which its background is sought."""

SADDLE_SHARE = 0.6
"""Between two peaks of one object it is nowhere darker than this share of the brighter one's height."""


BOWS = (-0.25, 0.0, 0.25)
"""Ways from one peak to another, by their greatest distance from the straight one as a share of its length: the bright
way along the rim of a hollow calcification is not straight."""


def label_objects(working: WorkingImage, centres_px: Points, *, reach_mm: float) -> NDArray[np.int64]:
    """Number the bright objects on which candidates lie.

    Two candidates are on one object if on a way from one to the other (`BOWS`) the image stays above `SADDLE_SHARE` of
    the brighter one's height over the background, or if others join them in this way. As the brighter one counts,
    a fibre or the blur between close neighbours, which is dim beside them, does not join them.

    Args:
        working: the image that was searched.
        centres_px: (n, 2) row, col in its pixels.
        reach_mm: only candidates this close to each other are compared; 0 gives each its own object.

    Returns:
        (n,) numbers from 0.
    """
    count = len(centres_px)
    if reach_mm <= 0 or count < 2:
        return np.arange(count)
    tree = cKDTree(centres_px * np.asarray(working.spacing_mm))
    pairs = tree.query_pairs(reach_mm, output_type="ndarray")
    image = cv2.GaussianBlur(working.pixels, (0, 0), SMOOTH_MM / working.pitch_mm)
    step = max(1, round(STEP_MM / working.pitch_mm))
    peak = _sample(image, centres_px)[pairs].max(axis=1)
    ground = _background(image, centres_px, round(LINE_MM / working.pitch_mm / 2), step)[pairs].max(axis=1)
    saddle = _saddles(image, centres_px[pairs], 1 + int(np.ceil(reach_mm / STEP_MM)))
    joined = pairs[saddle - ground > SADDLE_SHARE * (peak - ground)]
    links = coo_array((np.ones(len(joined)), tuple(joined.T)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)


def _background(image: FloatImage, centres_px: Points, reach_px: int, step_px: int) -> FloatImage:
    """Brightest, among lines of `reach_px` to both sides of each centre, of the darkest point on a line: (n,)."""
    angle = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    reach_px -= reach_px % step_px
    along = np.arange(-reach_px, reach_px + 1, step_px)[:, None]
    row, col = (np.rint(along * side).astype(int) for side in (np.sin(angle), np.cos(angle)))
    padded = np.pad(image, reach_px, mode="edge")
    middle_row, middle_col = _nearest(image, centres_px)
    middle = (middle_row + reach_px) * padded.shape[1] + middle_col + reach_px
    on_lines = padded.ravel()[(row * padded.shape[1] + col)[:, :, None] + middle]
    return np.asarray(on_lines.min(axis=0).max(axis=0))


def _saddles(image: FloatImage, ends_px: Points, steps: int) -> FloatImage:
    """Darkest of `steps` + 1 points on the brightest way between (pairs, 2 ends, 2) row, col: (pairs,)."""
    start, way = ends_px[:, 0], ends_px[:, 1] - ends_px[:, 0]
    across = way[:, ::-1] * (1, -1)
    share = np.linspace(0, 1, steps + 1)[:, None, None]
    straight, aside = start + share * way, 4 * share * (1 - share) * across
    saddles = [_sample(image, straight + bow * aside).min(axis=0) for bow in BOWS]
    return np.asarray(np.max(saddles, axis=0))


def _sample(image: FloatImage, points_px: Points) -> FloatImage:
    """Grey values of the pixels nearest to (..., 2) points."""
    return np.asarray(image[_nearest(image, points_px)])


def _nearest(image: FloatImage, points_px: Points) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the pixels nearest to (..., 2) points."""
    rows, cols = image.shape
    nearest = np.rint(points_px).astype(np.int64)
    return nearest[..., 0].clip(0, rows - 1), nearest[..., 1].clip(0, cols - 1)
