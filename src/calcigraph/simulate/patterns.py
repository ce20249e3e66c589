"""The five distributions of the BI-RADS atlas (5th edition), placed in a breast.

Definitions: diffuse, throughout the breast; regional, a large volume that follows no duct; grouped, at least five
close together; linear, in a line, as along one duct; segmental, in the ducts of one lobe, towards the nipple. The
atlas draws the line between grouped and regional at 2 cm, radiologists do not: extents are those of their outlines
(`extent`), so that the classes overlap as they do in practice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from calcigraph.io.truth import Kind
from calcigraph.lexicon import Distribution
from calcigraph.records import Points
from calcigraph.simulate.anatomy import Anatomy
from calcigraph.simulate.calcification import (
    DENSEST_PER_MM,
    Calcification,
    draw_diameters,
    make_calcification,
)
from calcigraph.simulate.draw import log_uniform
from calcigraph.simulate.extent import MARGINS_MM, Extent, draw_count, draw_extent, stretch

Draw = Callable[[Anatomy, Extent, int, np.random.Generator], Points]
"""(breast, extent, count, rng) → (count, 3) points of about that extent."""

PLACES = 12
"""So many places in the breast are tried; the lesion goes where most of it is inside."""


def place_lesion(
    breast: Anatomy, distribution: Distribution, rng: np.random.Generator
) -> list[Calcification]:
    """Draw the calcifications that make the distribution; at least five, all inside the breast."""
    if distribution is Distribution.DIFFUSE:
        return make_lesion(_diffuse(breast, rng), rng)
    return make_lesion(_fitted(breast, distribution, _DRAWS[distribution], rng), rng)


def make_lesion(centres_mm: Points, rng: np.random.Generator) -> list[Calcification]:
    """Give (n, 3) centres the sizes, densities and shapes of one lesion, which are alike."""
    median = log_uniform(rng, 0.17, 0.5)
    attenuation = log_uniform(rng, 0.5, 2.0)
    diameters = draw_diameters(len(centres_mm), median_mm=median, rng=rng)
    attenuations = np.minimum(attenuation * rng.uniform(0.7, 1.3, len(centres_mm)), DENSEST_PER_MM)
    return [
        make_calcification(centre, diameter, density, Kind.LESION, rng)
        for centre, diameter, density in zip(centres_mm, diameters, attenuations, strict=True)
    ]


def _diffuse(breast: Anatomy, rng: np.random.Generator) -> Points:
    """Return points throughout the breast, at times only throughout its inner part, where the gland is."""
    share = rng.uniform(0.55, 1.0)
    spread = breast.random_points(int(np.clip(rng.lognormal(np.log(70), 0.6), 20, 250)), rng)
    return spread * [rng.uniform(0.7, 1.0), share, share]


def _fitted(breast: Anatomy, distribution: Distribution, draw: Draw, rng: np.random.Generator) -> Points:
    """Draw points, stretch them to an extent, and keep the place that holds most of them."""
    extent = draw_extent(distribution, rng)
    count = draw_count(0.75 * extent.long_mm * extent.short_mm, rng)
    margin_mm = rng.uniform(*MARGINS_MM)
    best = np.empty((0, 3))
    for _ in range(PLACES):
        points = stretch(draw(breast, extent, count, rng), extent, margin_mm=margin_mm)
        points = points[breast.contains(points, margin=0.97)]
        if len(points) > len(best):
            best = points
        if len(best) >= 0.95 * count:
            break
    return best if len(best) >= 5 else _fitted(breast, distribution, draw, rng)


def _cloud(breast: Anatomy, extent: Extent, count: int, rng: np.random.Generator) -> Points:
    """Return points in a randomly turned ellipsoid: filled evenly, thinning out either way, or in clumps."""
    centre = breast.random_points(1, rng)[0]
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    offset = direction * rng.random((count, 1)) ** rng.uniform(0.03, 0.45)
    if rng.random() < 0.4:
        clump = offset[rng.integers(0, max(2, count // 6), count)]
        offset = 0.6 * clump + 0.4 * offset
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    axes = np.array([extent.long_mm, extent.short_mm, extent.short_mm]) / 2
    return centre + offset * axes @ turn.T


def _along_duct(breast: Anatomy, extent: Extent, count: int, rng: np.random.Generator) -> Points:
    """Return points along one duct and around it: a thin bent line, or a band where the duct is wide or branches."""
    ducts = [duct for lobe in breast.lobes for duct in lobe]
    reach = min(extent.long_mm, max(len(points) for points in ducts))
    points, place = _nearest(breast, [points for points in ducts if len(points) >= reach], rng)
    span = int(min(len(points), max(5, extent.long_mm)))
    start = int(np.clip(place - span // 2, 0, len(points) - span))
    chosen = points[start + rng.integers(0, span, count)]
    return chosen + rng.uniform(-1, 1, (count, 3)) * rng.uniform(0.05, 0.6) * extent.short_mm


def _in_lobe(breast: Anatomy, extent: Extent, count: int, rng: np.random.Generator) -> Points:
    """Return points in the branches of one lobe, over a stretch of it that tapers to the nipple."""
    lobes = [np.concatenate(lobe) for lobe in breast.lobes]
    points, place = _nearest(breast, lobes, rng)
    near = points[np.linalg.norm(points - points[place], axis=1) <= max(8.0, extent.long_mm / 2)]
    beside = rng.uniform(-1, 1, (count, 3)) * rng.uniform(0.03, 0.5) * extent.short_mm
    return near[rng.integers(0, len(near), count)] + beside


def _nearest(breast: Anatomy, paths_mm: Sequence[Points], rng: np.random.Generator) -> tuple[Points, int]:
    """Return the path that is nearest to somewhere in the breast, and which of its points is.

    So linear and segmental lesions lie as far from the nipple, and as far aside, as any others.
    """
    somewhere = breast.random_points(1, rng)
    distances = [np.linalg.norm(points - somewhere, axis=1) for points in paths_mm]
    best = int(np.argmin([distance.min() for distance in distances]))
    return paths_mm[best], int(np.argmin(distances[best]))


_DRAWS: dict[Distribution, Draw] = {
    Distribution.REGIONAL: _cloud,
    Distribution.GROUPED: _cloud,
    Distribution.LINEAR: _along_duct,
    Distribution.SEGMENTAL: _in_lobe,
}
