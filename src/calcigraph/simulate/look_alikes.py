"""What is in a breast beside the lesion: satellites, lone punctate and coarse calcifications, calcified vessels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calcigraph.io.truth import Kind
from calcigraph.records import Points
from calcigraph.simulate.anatomy import Anatomy
from calcigraph.simulate.calcification import (
    Calcification,
    draw_diameters,
    make_calcification,
    make_coarse,
    make_vascular,
)

SATELLITES = 0.5
"""Share of the lesions with satellites, whatever their label."""


def place_look_alikes(breast: Anatomy, rng: np.random.Generator) -> list[Calcification]:
    """Draw what a normal breast has too: lone punctate and coarse calcifications, calcified vessels."""
    scattered = breast.random_points(int(rng.poisson(rng.exponential(2.0))), rng)
    found = _punctate(scattered, rng)
    found += [make_coarse(centre, rng) for centre in breast.random_points(int(rng.poisson(0.8)), rng)]
    if rng.random() < 0.15:
        found += make_vascular(_vessel(breast, rng), rng)
    return found


def place_satellites(
    breast: Anatomy, lesion: Sequence[Calcification], rng: np.random.Generator
) -> list[Calcification]:
    """Draw none or one to about ten calcifications around a lesion, which the reader leaves out of it."""
    if not lesion or rng.random() >= SATELLITES:
        return []
    centres = np.array([calcification.centre_mm for calcification in lesion])
    count = int(rng.geometric(0.25))
    beside = centres[rng.integers(len(centres), size=count)]
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    placed = beside + direction * rng.gamma(3.0, rng.uniform(2, 6), (count, 1))
    return _punctate(placed[breast.contains(placed)], rng)


def _punctate(centres_mm: Points, rng: np.random.Generator) -> list[Calcification]:
    diameters = draw_diameters(len(centres_mm), median_mm=0.35, rng=rng)
    return [
        make_calcification(centre, diameter, rng.uniform(0.5, 1.5), Kind.SCATTERED, rng)
        for centre, diameter in zip(centres_mm, diameters, strict=True)
    ]


def _vessel(breast: Anatomy, rng: np.random.Generator) -> Points:
    """Return a gently curved path of 2 to 6 cm across the breast, (n, 3), a point per 1.2 mm."""
    start = breast.random_points(1, rng)[0]
    steps = int(rng.integers(16, 50))
    heading = rng.normal(size=3) + np.cumsum(rng.normal(0, 0.08, (steps, 3)), axis=0)
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    path = start + np.cumsum(heading * 1.2, axis=0)
    return path[breast.contains(path)]
