"""A breast in three dimensions: its size, its density and the lobes of ducts that branch from the nipple.

Axes in mm: depth (from the chest wall, 0, towards the nipple), lateral (outwards, away from the sternum) and up.
Source of the proportions: ducts converge on the nipple in some 15 lobes, of which 7 to 10 open (Going & Moffat,
J Pathol 2004); compressed breasts are 20 to 80 mm thick (Helvie et al., AJR 1994).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calcigraph.records import Points

STEP_MM = 1.0
"""Distance between successive points of a duct."""


@dataclass(frozen=True)
class Anatomy:
    """One breast, uncompressed.

    Attributes:
        depth_mm: from the chest wall to the nipple.
        half_width_mm: half of its lateral extent at the chest wall.
        half_height_mm: half of its vertical extent there.
        thickness_mm: compressed thickness.
        density: share of fibroglandular tissue, 0 to 1.
        shape: exponent of the outline's superellipse, 2 is an ellipse.
        lobes: the ducts of each lobe without their branches, (n, 3) depth, lateral, up, from the nipple backwards.
    """

    depth_mm: float
    half_width_mm: float
    half_height_mm: float
    thickness_mm: float
    density: float
    shape: float
    lobes: tuple[tuple[Points, ...], ...]

    def contains(self, points_mm: Points, *, margin: float = 0.92) -> NDArray[np.bool_]:
        """Whether (n, 3) points lie inside, at least `1 - margin` of the way from the surface."""
        axes = np.array([self.depth_mm, self.half_width_mm, self.half_height_mm]) * margin
        inside = np.sum((points_mm / axes) ** 2, axis=1) < 1
        return np.asarray(inside & (points_mm[:, 0] > 4))

    def random_points(self, count: int, rng: np.random.Generator) -> Points:
        """Return (count, 3) points, uniform in the breast."""
        kept = np.empty((0, 3))
        axes = np.array([self.depth_mm, self.half_width_mm, self.half_height_mm])
        while len(kept) < count:
            drawn = rng.uniform([0, -1, -1], 1, size=(4 * count + 8, 3)) * axes
            kept = np.concatenate([kept, drawn[self.contains(drawn)]])
        return kept[:count]


def grow_breast(rng: np.random.Generator) -> Anatomy:
    """Draw a breast and grow its ducts."""
    depth = float(np.clip(rng.lognormal(np.log(90), 0.25), 45, 150))
    half_width = depth * rng.uniform(0.72, 1.0)
    half_height = depth * rng.uniform(0.75, 1.05)
    bare = Anatomy(
        depth_mm=depth,
        half_width_mm=half_width,
        half_height_mm=half_height,
        thickness_mm=float(np.clip(depth * rng.uniform(0.5, 0.85), 22, 80)),
        density=float(rng.beta(1.6, 3.0)),
        shape=float(rng.uniform(1.9, 2.6)),
        lobes=(),
    )
    lobes = tuple(_grow_lobe(bare, angle, rng) for angle in _lobe_angles(rng))
    return replace(bare, lobes=lobes)


def _lobe_angles(rng: np.random.Generator) -> NDArray[np.float64]:
    count = int(rng.integers(8, 15))
    return np.asarray((np.arange(count) + rng.uniform(-0.3, 0.3, count)) * 2 * np.pi / count)


def _grow_lobe(breast: Anatomy, angle: float, rng: np.random.Generator) -> tuple[Points, ...]:
    """Grow the main duct of a lobe backwards from the nipple, then two generations of branches."""
    tilt = rng.uniform(0.2, 1.1)
    sideways = np.array([np.cos(angle) * breast.half_width_mm, np.sin(angle) * breast.half_height_mm])
    heading = np.array([-breast.depth_mm * (1 - tilt * 0.4), *(sideways * tilt)])
    nipple = np.array([min(breast.depth_mm - 6, breast.depth_mm * 0.9), 0.0, 0.0])  # inside of `contains`
    main = _grow_duct(breast, nipple, heading, breast.depth_mm * rng.uniform(0.6, 1.0), rng)
    ducts, parents = [main], [main]
    for level in (1, 2):
        children = [
            child for parent in parents for child in _branches(breast, parent, level, rng) if len(child) > 3
        ]
        ducts, parents = ducts + children, children
    return tuple(ducts)


def _branches(breast: Anatomy, parent: Points, level: int, rng: np.random.Generator) -> list[Points]:
    if len(parent) < 6:
        return []
    count = int(rng.integers(3, 7)) if level == 1 else int(rng.integers(1, 4))
    starts = rng.integers(len(parent) // 5, len(parent) - 2, size=count)
    length = breast.depth_mm * rng.uniform(0.15, 0.35, size=count) / level
    children = []
    for start, reach in zip(starts, length, strict=True):
        along = parent[start + 1] - parent[start]
        heading = along / np.linalg.norm(along) + rng.normal(0, 0.45, 3)
        children.append(_grow_duct(breast, parent[start], heading, float(reach), rng))
    return children


def _grow_duct(
    breast: Anatomy, start: Points, heading: Points, length_mm: float, rng: np.random.Generator
) -> Points:
    """Walk with a slowly turning heading until the length or the surface is reached."""
    steps = max(2, int(length_mm / STEP_MM))
    turns = np.cumsum(rng.normal(0, 0.035, size=(steps, 3)), axis=0)
    headings = heading / np.linalg.norm(heading) + turns
    headings /= np.linalg.norm(headings, axis=1, keepdims=True)
    points = np.concatenate([start[None], start + np.cumsum(headings * STEP_MM, axis=0)])
    inside = breast.contains(points)
    inside[0] = True
    end = len(points) if inside.all() else int(np.argmin(inside))
    return points[:end]
