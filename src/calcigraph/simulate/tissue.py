"""What the X-rays cross: thickness, gland, fibres, skin, muscle and strands, as a map of attenuation.

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
from calcigraph.simulate.texture import fibres, power_law, strands, value_noise

FAT_PER_MM = 0.047
GLAND_EXCESS_PER_MM = 0.030
SKIN_MM = 1.5
COARSE_PITCH_MM = 0.8
FIBRE_PITCH_MM = 0.2
"""Pitch at which the larger fibres are made."""


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
    gland = _gland_share(breast, projection, shape, spacing_mm, depth_in, rng)
    total = thickness * (FAT_PER_MM + GLAND_EXCESS_PER_MM * gland)
    skin = np.where((depth_in > 0) & (depth_in < SKIN_MM), SKIN_MM * 0.8, 0).astype(np.float32)
    total += GLAND_EXCESS_PER_MM * cv2.GaussianBlur(skin, (0, 0), 0.5 / spacing_mm)
    busy = rng.uniform(0.4, 1.5)
    for per_cm2, width_mm, contrast in ((2.5, 0.2, 0.035), (1.2, 0.45, 0.06), (0.08, 1.8, 0.12)):
        drawn = strands(shape, spacing_mm, rng, per_cm2=busy * per_cm2, width_mm=width_mm)
        total += np.float32(contrast * rng.uniform(0.5, 1.6)) * drawn
    if projection.view is View.MLO:
        total += _pectoral_muscle(projection, shape, spacing_mm, rng)
    total[depth_in <= 0] = 0
    return total


def _distance_inside(projection: Projection, shape: tuple[int, int]) -> FloatImage:
    """Distance (mm) from the skin, 0 in air; the chest wall is no edge."""
    coarse = outline_mask(projection, COARSE_PITCH_MM).astype(np.uint8)
    padded = cv2.copyMakeBorder(coarse, 2, 2, 200, 2, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[2:-2, 200:-2] * COARSE_PITCH_MM
    smooth = cv2.GaussianBlur(distance, (0, 0), 1.5)
    fine = cv2.resize(smooth, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.maximum(fine - 0.5, 0))


def _thickness(depth_in_mm: FloatImage, compressed_mm: float) -> FloatImage:
    """Flat between the paddles, round at the free edge: a quarter of an ellipse, .35 of the thickness wide."""
    radius = compressed_mm * 0.35
    share = np.clip(depth_in_mm / radius, 0, 1)
    return np.asarray(compressed_mm * np.sqrt(share * (2 - share)), dtype=np.float32)


def _gland_share(
    breast: Anatomy,
    projection: Projection,
    shape: tuple[int, int],
    spacing_mm: float,
    depth_in_mm: FloatImage,
    rng: np.random.Generator,
) -> FloatImage:
    """Share of gland along the beam: lobules where the ducts are, fibres through fat and gland, fine texture."""
    envelope = _fit(_duct_envelope(breast, projection), shape)
    under_skin = np.clip(depth_in_mm / np.float32(rng.uniform(4, 14)), 0, 1)
    bias = float(np.log(breast.density / (1 - breast.density)))
    lobules = _fit(_lobules(breast, projection, rng), shape)
    logit = rng.uniform(1.2, 2.6) * lobules + 2.4 * envelope - 1.9 + 0.9 * bias
    share = under_skin / (1 + np.exp(-logit))
    network = _fit(_fibre_network(projection, rng), shape)
    share = share * (0.72 + 0.28 * network) + np.float32(rng.uniform(0.06, 0.2)) * network * under_skin
    texture = power_law(shape, rng.uniform(2.6, 3.4), rng, coarsest_px=rng.uniform(6, 25) / spacing_mm)
    grain = np.float32(rng.uniform(0.03, 0.12))
    return np.asarray(share + grain * (0.5 + share) * texture, dtype=np.float32)


def _fit(field: FloatImage, shape: tuple[int, int]) -> FloatImage:
    return np.asarray(cv2.resize(field, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC))


def _duct_envelope(breast: Anatomy, projection: Projection) -> FloatImage:
    """Blurred density of the ducts at a coarse pitch, 0 to about 1."""
    shape = image_shape(projection, COARSE_PITCH_MM)
    points = np.concatenate([duct for lobe in breast.lobes for duct in lobe])
    rows, cols = np.floor(projection.project(points) / COARSE_PITCH_MM).astype(int).T
    inside = (rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1])
    density = np.zeros(shape, dtype=np.float32)
    np.add.at(density, (rows[inside], cols[inside]), 1)
    density = np.asarray(cv2.GaussianBlur(density, (0, 0), 7 / COARSE_PITCH_MM))
    return np.sqrt(density / max(float(np.quantile(density, 0.99)), 1e-9))


def _towards_nipple(
    projection: Projection, pitch_mm: float, rng: np.random.Generator
) -> tuple[FloatImage, FloatImage]:
    """Return two coordinates (mm) of every pixel: along and across the lines that run to the nipple, both warped."""
    shape = image_shape(projection, pitch_mm)
    rows, cols = (axis.astype(np.float32) * np.float32(pitch_mm) for axis in np.indices(shape))
    behind = projection.depth_mm + rng.uniform(5, 40)
    down, back = rows - np.float32(projection.middle_mm), np.float32(behind) - cols
    along = np.hypot(down, back)
    across = np.arctan2(down, np.maximum(back, 1e-3)) * np.float32(rng.uniform(50, 90))
    for mesh_mm, amplitude_mm in ((35.0, rng.uniform(4, 10)), (9.0, rng.uniform(0.5, 2.0))):
        along = along + np.float32(amplitude_mm) * value_noise(rows / mesh_mm, cols / mesh_mm, rng)
        across = across + np.float32(amplitude_mm) * value_noise(rows / mesh_mm, cols / mesh_mm, rng)
    return along, across


def _lobules(breast: Anatomy, projection: Projection, rng: np.random.Generator) -> FloatImage:
    """Return where gland lies together, at a coarse pitch: smooth noise of 4 to 40 mm, drawn out to the nipple."""
    along, across = _towards_nipple(projection, COARSE_PITCH_MM, rng)
    drawn_out = rng.uniform(1.0, 2.2)
    total = np.zeros_like(along)
    falling = rng.uniform(0.55, 0.9)
    for step, mesh_mm in enumerate((22.0, 11.0, 5.5, 2.8)):
        layer = value_noise(along / np.float32(mesh_mm * drawn_out), across / np.float32(mesh_mm), rng)
        total += np.float32(falling**step) * layer
    return total / max(float(total.std()), 1e-6)


def _fibre_network(projection: Projection, rng: np.random.Generator) -> FloatImage:
    """Return septa, ligaments and fine fibres, 0 to about 1.5, at `FIBRE_PITCH_MM`."""
    along, across = _towards_nipple(projection, FIBRE_PITCH_MM, rng)
    drawn_out = rng.uniform(1.0, 1.7)
    total = np.zeros_like(along)
    for coarsest_mm, weight in (
        (18, 0.4),
        (11, 0.4),
        (7, 0.4),
        (5, 0.35),
        (3.5, 0.3),
        (2.5, 0.3),
        (1.8, 0.25),
    ):
        mesh_mm = np.float32(coarsest_mm * rng.uniform(0.7, 1.0))
        rows, cols = along / (mesh_mm * np.float32(drawn_out)), across / mesh_mm
        bend = np.float32(rng.uniform(0.3, 0.8))
        rows, cols = rows + bend * value_noise(rows, cols, rng), cols + bend * value_noise(rows, cols, rng)
        width = float(np.clip(rng.uniform(0.3, 0.9) / mesh_mm, 0.05, 0.3))
        total += np.float32(weight * rng.uniform(0.2, 1.0)) * fibres(rows, cols, rng, width=width)
    return total + _islands(along, across, rng)


def _islands(along: FloatImage, across: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Return small soft islands and knots of gland, round or drawn out: what comes nearest to a calcification."""
    total = np.zeros_like(along)
    for coarsest_mm in (2.4, 1.4):
        mesh_mm = np.float32(coarsest_mm * rng.uniform(0.6, 1.0))
        drawn_out = np.float32(rng.uniform(1.0, 3.0))
        peaks = np.maximum(value_noise(along / (mesh_mm * drawn_out), across / mesh_mm, rng) - 1.6, 0)
        total += np.float32(rng.uniform(0.05, 0.5)) * peaks
    return total


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
