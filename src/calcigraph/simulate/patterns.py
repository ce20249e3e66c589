"""The five distributions of the BI-RADS atlas (5th edition), placed in a breast, and the look-alikes beside them.

Definitions: diffuse, throughout the breast; regional, a large volume (over 2 cm) that follows no duct; grouped, at
least five within 1 cm and up to 2 cm; linear, in a line, as along one duct; segmental, in the ducts of one lobe.
Extents are drawn so that the classes overlap, near the outlines that radiologists drew in DDSM (medians, long by
short side in mm: grouped 15 × 10, linear 21 × 10, segmental 50 × 31, regional 86 × 57). The hulls of 150 breasts in
both views, with 1 mm around the calcifications, measure 12 × 8, 21 × 4, 44 × 19 and 68 × 44.
"""

from __future__ import annotations

import numpy as np

from calcigraph.lexicon import Distribution
from calcigraph.records import Points
from calcigraph.simulate.anatomy import Anatomy, Duct
from calcigraph.simulate.calcification import (
    Calcification,
    Kind,
    draw_diameters,
    make_calcification,
    make_coarse,
    make_vascular,
)

CLEARLY_SEEN = 6
"""So many calcifications of a lesion are large and dense enough to be seen: nobody labels what nobody sees."""


def place_lesion(
    breast: Anatomy, distribution: Distribution, rng: np.random.Generator
) -> list[Calcification]:
    """Draw the calcifications that make the distribution; at least five."""
    centres = _PATTERNS[distribution](breast, rng)
    median = float(np.exp(rng.uniform(np.log(0.2), np.log(0.6))))
    attenuation = float(np.exp(rng.uniform(np.log(0.5), np.log(2.0))))
    diameters = draw_diameters(len(centres), median_mm=median, rng=rng)
    attenuations = attenuation * rng.uniform(0.7, 1.3, len(centres))
    seen = np.argsort(-diameters)[:CLEARLY_SEEN]
    diameters[seen] = np.maximum(diameters[seen], 0.3)
    attenuations[seen] = np.maximum(attenuations[seen], 0.8)
    return [
        make_calcification(centre, diameter, density, Kind.LESION, rng)
        for centre, diameter, density in zip(centres, diameters, attenuations, strict=True)
    ]


def place_look_alikes(breast: Anatomy, rng: np.random.Generator) -> list[Calcification]:
    """Draw what a normal breast has too: lone punctate and coarse calcifications, calcified vessels."""
    scattered = breast.random_points(int(rng.poisson(1.2)), rng)
    found = [
        make_calcification(centre, diameter, rng.uniform(0.5, 1.5), Kind.SCATTERED, rng)
        for centre, diameter in zip(
            scattered, draw_diameters(len(scattered), median_mm=0.35, rng=rng), strict=True
        )
    ]
    found += [make_coarse(centre, rng) for centre in breast.random_points(int(rng.poisson(0.8)), rng)]
    if rng.random() < 0.15:
        found += make_vascular(_vessel(breast, rng), rng)
    return found


def diffuse(breast: Anatomy, rng: np.random.Generator) -> Points:
    """Return points throughout the breast, a little denser where the gland is."""
    count = int(rng.integers(30, 130))
    spread = breast.random_points(count, rng)
    return spread * np.array([rng.uniform(0.85, 1.0), 1.0, 1.0])


def regional(breast: Anatomy, rng: np.random.Generator) -> Points:
    """Return points in an ellipsoid of 3 to 15 cm, as far as the breast reaches, that follows no duct."""
    long_mm = float(np.clip(rng.lognormal(np.log(100), 0.45), 28, 150))
    axes = long_mm / 2 * np.array([1.0, rng.uniform(0.55, 0.95), rng.uniform(0.5, 0.9)])
    return _ellipsoid(breast, axes, int(rng.integers(18, 80)), rng)


def grouped(breast: Anatomy, rng: np.random.Generator) -> Points:
    """Return at least five points in an ellipsoid of up to about 2 cm."""
    long_mm = float(np.clip(rng.lognormal(np.log(16), 0.4), 6, 24))
    axes = long_mm / 2 * np.array([1.0, rng.uniform(0.5, 0.95), rng.uniform(0.5, 0.95)])
    count = int(np.clip(rng.lognormal(np.log(12), 0.5), 5, 45))
    return _ellipsoid(breast, axes, count, rng)


def linear(breast: Anatomy, rng: np.random.Generator) -> Points:
    """Return points along one duct, scattered by less than its breadth."""
    length_mm = float(np.clip(rng.lognormal(np.log(26), 0.4), 11, 55))
    duct = _long_duct(breast, length_mm, rng)
    points = duct.points_mm
    span = min(len(points), max(5, int(length_mm)))
    start = int(rng.integers(0, len(points) - span + 1))
    count = int(np.clip(rng.lognormal(np.log(13), 0.4), 6, 40))
    chosen = points[start + rng.integers(0, span, count)]
    return chosen + rng.normal(0, rng.uniform(0.3, 1.2), (count, 3))


def segmental(breast: Anatomy, rng: np.random.Generator) -> Points:
    """Return points in the branches of one lobe, over a stretch of it that tapers to the nipple."""
    lobe = breast.lobes[int(rng.integers(len(breast.lobes)))]
    points = np.concatenate([duct.points_mm for duct in lobe])
    reach_mm = float(np.clip(rng.lognormal(np.log(75), 0.35), 30, 140))
    centre = lobe[0].points_mm[int(rng.integers(len(lobe[0].points_mm)))]
    near = points[np.linalg.norm(points - centre, axis=1) <= reach_mm / 2]
    count = int(rng.integers(15, 75))
    return near[rng.integers(0, len(near), count)] + rng.normal(0, rng.uniform(0.8, 2.0), (count, 3))


_PATTERNS = {
    Distribution.DIFFUSE: diffuse,
    Distribution.REGIONAL: regional,
    Distribution.GROUPED: grouped,
    Distribution.LINEAR: linear,
    Distribution.SEGMENTAL: segmental,
}


def _ellipsoid(breast: Anatomy, axes_mm: Points, count: int, rng: np.random.Generator) -> Points:
    """Return points that fill a randomly turned ellipsoid, those inside the breast."""
    centre = breast.random_points(1, rng)[0] * rng.uniform(0.5, 1.0)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    kept = np.empty((0, 3))
    while len(kept) < count:
        direction = rng.normal(size=(4 * count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        drawn = centre + (direction * rng.random((4 * count, 1)) ** (1 / 3) * axes_mm) @ turn.T
        kept = np.concatenate([kept, drawn[breast.contains(drawn, margin=0.96)]])
    return kept[:count]


def _long_duct(breast: Anatomy, length_mm: float, rng: np.random.Generator) -> Duct:
    ducts = [duct for lobe in breast.lobes for duct in lobe]
    long_enough = [duct for duct in ducts if len(duct.points_mm) >= length_mm]
    if not long_enough:
        return max(ducts, key=lambda duct: len(duct.points_mm))
    return long_enough[int(rng.integers(len(long_enough)))]


def _vessel(breast: Anatomy, rng: np.random.Generator) -> Points:
    """Return a gently curved path of 2 to 6 cm across the breast, (n, 3), a point per 1.2 mm."""
    start = breast.random_points(1, rng)[0]
    steps = int(rng.integers(16, 50))
    heading = rng.normal(size=3) + np.cumsum(rng.normal(0, 0.08, (steps, 3)), axis=0)
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    path = start + np.cumsum(heading * 1.2, axis=0)
    return path[breast.contains(path)]
