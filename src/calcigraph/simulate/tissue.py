"""What the X-rays cross: thickness, gland, skin, muscle and strands, as a map of attenuation.

Attenuation coefficients near 20 keV (Hammerstein et al., Radiology 1979; Johns & Yaffe, Phys Med Biol 1987):
fat 0.045 to 0.05, fibroglandular tissue 0.07 to 0.08 per mm.
"""

from __future__ import annotations

import cv2
import numpy as np

from calcigraph.lexicon import View
from calcigraph.records import FloatImage, Mask
from calcigraph.simulate.anatomy import Anatomy
from calcigraph.simulate.projection import Projection
from calcigraph.simulate.texture import power_law, strands

FAT_PER_MM = 0.047
GLAND_EXCESS_PER_MM = 0.030
SKIN_MM = 1.5
COARSE_PITCH_MM = 0.8
FAT_TEXTURE = 0.03
"""Fat is not empty: the texture goes on in it with this amplitude (share of gland)."""


def outline_mask(projection: Projection, spacing_mm: float) -> Mask:
    """Return the breast on the pixel grid."""
    shape = image_shape(projection, spacing_mm)
    polygon = np.rint(projection.outline_mm()[:, ::-1] / spacing_mm).astype(np.int32)
    filled = cv2.fillPoly(np.zeros(shape, dtype=np.uint8), [polygon], 1)
    return np.asarray(filled).astype(bool)


def image_shape(projection: Projection, spacing_mm: float) -> tuple[int, int]:
    """Rows and columns of the image."""
    rows, cols = (int(np.ceil(extent / spacing_mm)) for extent in projection.extent_mm)
    return rows, cols


def attenuation_map(
    breast: Anatomy, projection: Projection, spacing_mm: float, rng: np.random.Generator
) -> FloatImage:
    """Return the line integral of attenuation without calcifications, (rows, cols), 0 in air."""
    shape = image_shape(projection, spacing_mm)
    depth_in = _distance_inside(projection, shape)
    thickness = _thickness(depth_in, breast.thickness_mm)
    gland = _gland_share(breast, projection, shape, spacing_mm, rng)
    total = thickness * (FAT_PER_MM + GLAND_EXCESS_PER_MM * gland)
    skin = np.where((depth_in > 0) & (depth_in < SKIN_MM), SKIN_MM * 0.8, 0).astype(np.float32)
    total += GLAND_EXCESS_PER_MM * cv2.GaussianBlur(skin, (0, 0), 0.5 / spacing_mm)
    for per_cm2, width_mm, contrast in ((1.5, 0.25, 0.10), (0.7, 0.6, 0.14), (0.08, 2.0, 0.15)):
        drawn = strands(shape, spacing_mm, rng, per_cm2=per_cm2, width_mm=width_mm)
        total += np.float32(contrast * rng.uniform(0.5, 1.4)) * drawn
    if projection.view is View.MLO:
        total += _pectoral_muscle(projection, shape, spacing_mm, rng)
    total[depth_in <= 0] = 0
    return total


def _distance_inside(projection: Projection, shape: tuple[int, int]) -> FloatImage:
    """Distance (mm) from the skin, 0 in air; the chest wall is no edge."""
    coarse = outline_mask(projection, COARSE_PITCH_MM).astype(np.uint8)
    padded = cv2.copyMakeBorder(coarse, 2, 2, 200, 2, cv2.BORDER_REPLICATE)
    padded[:2] = padded[2]
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[2:-2, 200:-2] * COARSE_PITCH_MM
    smooth = cv2.GaussianBlur(distance, (0, 0), 1.5)
    fine = cv2.resize(smooth, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.maximum(fine - 0.5, 0))


def _thickness(depth_in_mm: FloatImage, compressed_mm: float) -> FloatImage:
    """Flat between the paddles, round at the free edge: a half-circle of half the compressed thickness."""
    radius = compressed_mm * 0.5
    share = np.clip(depth_in_mm / radius, 0, 1)
    return np.asarray(compressed_mm * np.sqrt(share * (2 - share)), dtype=np.float32)


def _gland_share(
    breast: Anatomy,
    projection: Projection,
    shape: tuple[int, int],
    spacing_mm: float,
    rng: np.random.Generator,
) -> FloatImage:
    """Share of gland along the beam: where the ducts are, broken up by power-law texture."""
    envelope = _duct_envelope(breast, projection)
    envelope = cv2.resize(envelope, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    texture = power_law(shape, rng.uniform(3.0, 3.9), rng, coarsest_px=rng.uniform(12, 40) / spacing_mm)
    bias = np.log(breast.density / (1 - breast.density)) if 0 < breast.density < 1 else 0.0
    sharpness = rng.uniform(0.5, 1.3)
    logit = sharpness * texture + 2.2 * envelope - 1.2 + 0.7 * bias
    share = 1 / (1 + np.exp(-logit))
    return np.asarray(share + FAT_TEXTURE * texture, dtype=np.float32)


def _duct_envelope(breast: Anatomy, projection: Projection) -> FloatImage:
    """Blurred density of the ducts at a coarse pitch, 0 to about 1."""
    shape = image_shape(projection, COARSE_PITCH_MM)
    points = np.concatenate([duct.points_mm for lobe in breast.lobes for duct in lobe])
    rows, cols = np.floor(projection.project(points) / COARSE_PITCH_MM).astype(int).T
    inside = (rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1])
    density = np.zeros(shape, dtype=np.float32)
    np.add.at(density, (rows[inside], cols[inside]), 1)
    density = np.asarray(cv2.GaussianBlur(density, (0, 0), 7 / COARSE_PITCH_MM))
    return np.sqrt(density / max(float(np.quantile(density, 0.99)), 1e-9))


def _pectoral_muscle(
    projection: Projection, shape: tuple[int, int], spacing_mm: float, rng: np.random.Generator
) -> FloatImage:
    """Return the triangle in the upper corner at the chest wall, as dense as gland."""
    length = projection.middle_mm * rng.uniform(0.75, 1.15)
    breadth = max(projection.tail_mm, 15.0) * rng.uniform(0.7, 1.3)
    rows = np.linspace(0, length, 40)
    bulge = breadth * (1 - rows / length) ** rng.uniform(0.8, 1.2)
    polygon = np.concatenate([np.stack([bulge, rows], axis=1), [[-5, length], [-5, 0]]]) / spacing_mm
    mask = cv2.fillPoly(np.zeros(shape, dtype=np.float32), [np.rint(polygon).astype(np.int32)], 1.0)
    soft = cv2.GaussianBlur(mask, (0, 0), 1.0 / spacing_mm)
    return np.asarray(soft * np.float32(rng.uniform(0.25, 0.6)))
