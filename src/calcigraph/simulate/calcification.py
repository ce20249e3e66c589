"""Single calcifications: each a short chain of spheres, whose shadow has its shape in every view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcigraph.io.truth import Kind
from calcigraph.records import Points

DENSEST_PER_MM = 2.0
"""Attenuation above tissue of the densest calcifications: that of hydroxyapatite is 3.0 per mm at 17.5 keV, 2.1 at 20
and 1.6 at 22 (NIST XCOM, 3.16 g/cm³), that of tissue less than 0.1."""


@dataclass(frozen=True)
class Calcification:
    """One calcification.

    Attributes:
        centre_mm: (3,) depth, lateral, up.
        offsets_mm: (n, 3) centres of its spheres around it.
        radii_mm: (n,) their radii.
        attenuation_per_mm: above that of tissue, at mammographic energies.
        kind: what it is.
        hollow: share of each radius that is lucent.
    """

    centre_mm: Points
    offsets_mm: Points
    radii_mm: Points
    attenuation_per_mm: float
    kind: Kind
    hollow: float = 0.0

    @property
    def diameter_mm(self) -> float:
        """Diameter of the sphere with the extent of the whole chain: mean of its long and short side."""
        long_side = 2 * float(np.max(np.linalg.norm(self.offsets_mm, axis=1) + self.radii_mm))
        return (long_side + 2 * float(self.radii_mm.max())) / 2


def draw_diameters(count: int, *, median_mm: float, rng: np.random.Generator) -> Points:
    """Return diameters, log-normal, of 0.1 to 1.4 mm: from fine to coarse heterogeneous (BI-RADS: over 0.5 mm)."""
    return np.clip(rng.lognormal(np.log(median_mm), 0.4, count), 0.1, 1.4)


def make_calcification(
    centre_mm: Points, diameter_mm: float, attenuation_per_mm: float, kind: Kind, rng: np.random.Generator
) -> Calcification:
    """Draw a shape: round (punctate), a rod (fine linear), an irregular clump (pleomorphic) or a haze (amorphous)."""
    shape = rng.choice(["round", "rod", "clump", "haze"], p=[0.35, 0.15, 0.38, 0.12])
    radius = diameter_mm / 2
    if shape == "round":
        offsets, radii = np.zeros((1, 3)), np.array([radius])
    elif shape == "rod":
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        offsets = np.linspace(-1, 1, 5)[:, None] * direction * radius * rng.uniform(0.9, 1.6)
        radii = radius * rng.uniform(0.4, 0.6, 5)
    elif shape == "haze":
        offsets = rng.normal(0, radius * 0.6, size=(12, 3))
        radii = radius * rng.uniform(0.25, 0.5, 12)
    else:
        count = int(rng.integers(3, 7))
        offsets = rng.normal(0, radius * 0.4, size=(count, 3))
        offsets -= offsets.mean(axis=0)
        radii = radius * rng.uniform(0.45, 0.8, count)
    return Calcification(centre_mm, offsets, radii, attenuation_per_mm, kind)


def make_coarse(centre_mm: Points, rng: np.random.Generator) -> Calcification:
    """Draw a round benign calcification of 1.2 to 3 mm, in half of the cases with a lucent centre."""
    radius = rng.uniform(0.6, 1.5)
    hollow = rng.uniform(0.5, 0.8) if rng.random() < 0.5 else 0.0
    return Calcification(
        centre_mm, np.zeros((1, 3)), np.array([radius]), rng.uniform(0.2, 0.6), Kind.COARSE, float(hollow)
    )


def make_vascular(path_mm: Points, rng: np.random.Generator) -> list[Calcification]:
    """Line both walls of a vessel with dashes ("tram tracks"); `path_mm` is (n, 3), and under 3 points make none."""
    if len(path_mm) < 3:
        return []
    half_width = rng.uniform(0.5, 1.2)
    along = np.gradient(path_mm, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    across = np.cross(along, rng.normal(size=3))
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    dashes = []
    for side in (-half_width, half_width):
        for index in np.flatnonzero(rng.random(len(path_mm)) < 0.5):
            length = np.linspace(-1, 1, 6)[:, None] * along[index] * rng.uniform(0.4, 0.9)
            radii = np.full(6, rng.uniform(0.06, 0.15))
            centre = path_mm[index] + side * across[index]
            dashes.append(Calcification(centre, length, radii, rng.uniform(0.2, 0.5), Kind.VASCULAR))
    return dashes
