"""What might be a calcification: a response over its local mean, a threshold, and a table of what passes."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calcigraph.config import CandidateConfig
from calcigraph.detect.objects import label_objects
from calcigraph.detect.tophat import disc, enhance, local_mean, white_tophat
from calcigraph.detect.working import WorkingImage
from calcigraph.records import CANDIDATE_COLUMNS, Breast, FloatImage, Mammogram, Mask, Points, empty_table

NOISE_WINDOW_MM = 6.0
"""Side of the window over which the response's local mean (local noise and texture) is taken."""

BORDER_MM = 0.3
"""Width of the image's border in which nothing is sought."""

NOISE_CEILING = 10.0
"""Responses above so many means over the breast count as that: calcifications must not raise the noise under them."""

RIM_MM = 0.8
"""So far from its centre the rim of a calcification is sought."""

LEVELS = 32767
"""Grey levels of the top-hat; twice as many still fit, where enhancement adds the top-hat to the image."""

NOISE_FLOOR = 0.5
"""Least local noise, as a share of the median over the breast: flat tissue must not amplify specks."""


def tophat(working: WorkingImage, config: CandidateConfig) -> FloatImage:
    """Return I_T of equation 1, (rows, cols) in [0, 1]; where `bottom_hat` is set, of the enhanced image, in [0, 2]."""
    element = disc(round(config.opening_mm / working.pitch_mm))
    levels = (working.pixels * LEVELS).astype(np.uint16)
    if config.bottom_hat:
        levels = enhance(levels, element)
    return white_tophat(levels, element).astype(np.float32) / np.float32(LEVELS)


def blob(working: WorkingImage, config: CandidateConfig) -> FloatImage:
    """Return the negative Laplacian of Gaussian, cut at 0: small bright blobs, whatever the slope they lie on.

    Of the responses compared on simulated mammograms it finds the most calcifications at the same number of
    candidates (see docs/LOG.md).
    """
    smooth = cv2.GaussianBlur(working.pixels, (0, 0), config.blob_sigma_mm / working.pitch_mm)
    return np.asarray(np.maximum(-cv2.Laplacian(smooth, cv2.CV_32F), 0))


def respond(working: WorkingImage, tophat_image: FloatImage, config: CandidateConfig) -> FloatImage:
    """Return the response that is thresholded: the top-hat of equation 1 or the blob filter."""
    return tophat_image if config.response == "tophat" else blob(working, config)


def local_noise(response: FloatImage, mask: Mask, spacing_mm: float) -> FloatImage:
    """Local mean of the response over the tissue: the unit of candidate contrast and of patch intensities."""
    side = max(9, round(NOISE_WINDOW_MM / spacing_mm) | 1)
    inside = response[::4, ::4][mask[::4, ::4]]
    ceiling = NOISE_CEILING * float(inside.mean()) if inside.size else np.inf
    noise = local_mean(np.minimum(response, max(ceiling, 1e-6)), mask, side)
    sample = noise[::8, ::8][mask[::8, ::8]]
    floor = NOISE_FLOOR * float(np.median(sample)) if sample.size else 0.0
    return np.maximum(noise, max(floor, 1e-6), out=noise)


def find_candidates(
    mammogram: Mammogram,
    working: WorkingImage,
    breast: Breast,
    *,
    response: FloatImage,
    tophat_image: FloatImage,
    config: CandidateConfig,
) -> tuple[pd.DataFrame, Points]:
    """Threshold the response (f_detect, the second line of equation 1).

    Args:
        mammogram: gives the original pixel spacing.
        working: the image that was searched.
        breast: nothing outside its mask passes.
        response: (rows, cols) in units of its local mean; changed: 0 outside the mask.
        tophat_image: (rows, cols), on which diameters are measured.
        config: threshold, rule and the most that are kept.

    Returns:
        the candidate table, strongest first, and (n, 2) centres in working pixels.
    """
    response[~breast.mask] = 0
    _clear_border(response, round(BORDER_MM / working.pitch_mm))
    find = _peaks if config.rule == "peaks" else _components
    centres, contrast = find(response, config.threshold, config.at_most)
    if not len(centres):
        return empty_table(CANDIDATE_COLUMNS), centres
    original = working.to_original(centres)
    in_mm = original * np.asarray(mammogram.spacing_mm)
    reach_px = max(8, round(RIM_MM / working.pitch_mm))
    diameter = _diameters(tophat_image, centres, reach_px=reach_px) * working.pitch_mm
    unknown = np.full(len(centres), np.nan)
    objects = label_objects(working, centres, reach_mm=config.object_reach_mm).astype(np.float64)
    columns = (*original.T, *in_mm.T, diameter, contrast, unknown, objects)
    return pd.DataFrame(dict(zip(CANDIDATE_COLUMNS, columns, strict=True))), centres


def _clear_border(response: FloatImage, width_px: int) -> None:
    """Nothing is sought where a filter looks beyond the image."""
    for edge in (np.s_[:width_px], np.s_[-width_px:], np.s_[:, :width_px], np.s_[:, -width_px:]):
        if width_px:
            response[edge] = 0


def _strongest(contrast: NDArray[np.floating], at_most: int) -> NDArray[np.int64]:
    return np.argsort(-contrast, kind="stable")[:at_most]


def _peaks(response: FloatImage, threshold: float, at_most: int) -> tuple[Points, NDArray[np.float64]]:
    """The strongest local maxima in 5×5 pixels, moved to the centroid of the 3×3 around them."""
    highest = cv2.dilate(response, np.ones((5, 5), np.uint8))
    peaks = np.argwhere((response >= highest) & (response > threshold))
    peaks = peaks[_strongest(response[tuple(peaks.T)], at_most)]
    padded = np.pad(response, 1)
    steps = np.arange(3)
    around = padded[peaks[:, 0, None, None] + steps[:, None], peaks[:, 1, None, None] + steps]
    weight = np.maximum(around.sum(axis=(1, 2)), 1e-9)
    shift_row = (around[:, 2] - around[:, 0]).sum(axis=1) / weight
    shift_col = (around[:, :, 2] - around[:, :, 0]).sum(axis=1) / weight
    centres = peaks + np.stack([shift_row, shift_col], axis=1)
    return centres.astype(np.float64), around[:, 1, 1].astype(np.float64)


def _components(response: FloatImage, threshold: float, at_most: int) -> tuple[Points, NDArray[np.float64]]:
    """Centroids of the connected components above the threshold with the greatest responses, and these."""
    above = (response > threshold).astype(np.uint8)
    count, labels, _, centroids = cv2.connectedComponentsWithStats(above)
    contrast = np.zeros(count, dtype=np.float32)
    inside = above.astype(bool)
    np.maximum.at(contrast, labels[inside], response[inside])
    strongest = 1 + _strongest(contrast[1:], at_most)
    return centroids[strongest, ::-1].astype(np.float64), contrast[strongest].astype(np.float64)


def _diameters(tophat_image: FloatImage, centres_px: Points, *, reach_px: int) -> NDArray[np.float64]:
    """Diameter (pixels) of a disc with the area above half of the peak, among the rings that stay above it."""
    steps = np.arange(-reach_px, reach_px + 1)
    nearest = np.rint(centres_px).astype(int) + reach_px
    padded = np.pad(tophat_image, reach_px)
    windows = padded[nearest[:, 0, None, None] + steps[:, None], nearest[:, 1, None, None] + steps]
    half = windows[:, reach_px - 1 : reach_px + 2, reach_px - 1 : reach_px + 2].max(axis=(1, 2)) / 2
    radius = np.hypot(steps[:, None], steps)
    rings = [(radius >= r - 0.5) & (radius < r + 0.5) for r in range(reach_px + 1)]
    share = np.stack([(windows[:, ring] > half[:, None]).mean(axis=1) for ring in rings], axis=1)
    share[np.maximum.accumulate(share < 0.25, axis=1)] = 0  # beyond the first dark ring lies something else
    area = (share * np.array([ring.sum() for ring in rings])).sum(axis=1)
    return np.asarray(2 * np.sqrt(np.maximum(area, 1.0) / np.pi))
