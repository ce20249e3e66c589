"""Raw detector images (FOR PROCESSING): from x-ray intensity to attenuation, stretched over the tissue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calcigraph.io.tags import Tags
from calcigraph.io.voi import Values

Counts = NDArray[np.int64]

_BINS = 512
_TWO_HUMPS = 0.75
"""Least share of the variance that Otsu's threshold must explain for there to be air beside the tissue; one
normal distribution, cut in the middle, has 2/π = 0.64."""
_TISSUE_SHARES = (0.01, 0.999)
_MARGINS = (0.05, 0.10)
"""Room below and above these percentiles, as shares of their range: calcifications are brighter than tissue."""


def raw_grey(tags: Tags, stored: Values, seen: Counts) -> tuple[Values, tuple[str, ...]]:
    """Turn raw stored values into attenuation and stretch it to [0, 1].

    Pixel Intensity Relationship (0028,1040) says whether a value is proportional to the intensity or to its
    logarithm, and its sign (0028,1041) whether it grows with it. The sign is physics, so it outranks
    Photometric Interpretation, a hint for displays, and the two never add up to a double inversion.
    The Modality LUT and the windows of raw images are meant for other eyes and not applied.

    Args:
        tags: of the image.
        stored: (n,) stored value of each bit pattern.
        seen: (n,) its count in the image, padding left out.

    Returns:
        (n,) grey in [0, 1], bright = dense, and what was done.
    """
    density, measured, words = _attenuation(tags, stored)
    counts = np.where(measured, seen, 0)
    low, high, tissue = _tissue_range(density, counts)
    grey = np.clip((density - low) / max(high - low, 1e-9), 0.0, 1.0)
    stretch = f"stretched from {low:.4g} to {high:.4g} ({tissue})"
    return np.where(measured, grey, 0.0), (f"FOR PROCESSING: {words}", stretch)


def _attenuation(tags: Tags, stored: Values) -> tuple[Values, NDArray[np.bool_], str]:
    grows, why = _grows_with_intensity(tags)
    if tags.text("PixelIntensityRelationship") != "LIN":
        return -stored if grows else stored, np.ones(stored.shape, np.bool_), f"{why}, no logarithm"
    intensity = stored if grows else float(stored.max()) - stored
    # No intensity is no measurement (outside of the collimator, a dead pixel): background, not density.
    return -np.log(np.maximum(intensity, 1.0)), intensity > 0, f"{why}, -log of the intensity"


def _grows_with_intensity(tags: Tags) -> tuple[bool, str]:
    sign = tags.whole("PixelIntensityRelationshipSign")
    if sign in (1, -1):
        return sign == 1, f"Pixel Intensity Relationship Sign {sign}"
    photometric = tags.text("PhotometricInterpretation")
    return photometric == "MONOCHROME1", photometric


def _tissue_range(density: Values, counts: Counts) -> tuple[float, float, str]:
    order = np.argsort(density, kind="stable")
    values, weights = density[order], counts[order].astype(np.float64)
    if weights.sum() == 0:
        return 0.0, 1.0, "nothing measured"
    threshold, explained = _otsu(values, weights)
    with_air = explained > _TWO_HUMPS
    if with_air:
        weights = np.where(values > threshold, weights, 0.0)
    low, high = np.quantile(values, _TISSUE_SHARES, weights=weights, method="inverted_cdf")
    room = high - low
    tissue = "tissue beyond Otsu's threshold" if with_air else "all tissue"
    return low - _MARGINS[0] * room, high + _MARGINS[1] * room, tissue


def _otsu(values: Values, weights: Values) -> tuple[float, float]:
    """Return Otsu's threshold of weighted values and the share of the variance between its two classes."""
    present = values[weights > 0]
    histogram, edges = np.histogram(
        values, _BINS, (present[0], max(present[-1], present[0] + 1e-9)), weights=weights
    )
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(histogram)[:-1]
    above = histogram.sum() - below
    mass = np.cumsum(histogram * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass[:-1] / below - (mass[-1] - mass[:-1]) / above) ** 2
    between = np.nan_to_num(between, nan=0.0, posinf=0.0)
    mean = mass[-1] / histogram.sum()
    variance = float((histogram * (centres - mean) ** 2).sum()) * histogram.sum()
    best = int(between.argmax())
    return float(edges[best + 1]), float(between[best]) / variance if variance > 0 else 0.0
