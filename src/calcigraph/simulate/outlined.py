"""Simulated calcifications inside real outlines: the shapes and labels are real, breast and pixels simulated.

What lies inside depends on the outline alone, never on its label, so that a score is one of shape, size and place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count as count_up

import cv2
import numpy as np

from calcigraph.lexicon import Laterality, View
from calcigraph.records import FloatImage, Points
from calcigraph.simulate.anatomy import Anatomy, grow_breast
from calcigraph.simulate.calcification import Calcification
from calcigraph.simulate.extent import MARGINS_MM, draw_count, rectangle
from calcigraph.simulate.look_alikes import place_satellites
from calcigraph.simulate.patterns import make_lesion
from calcigraph.simulate.plan import Outline
from calcigraph.simulate.projection import SPREAD, Projection, project_breast

FILM_EDGE_MM = 10.0
"""Strip of a film, at the chest wall, in which there is no breast."""

FILM_WIDTH_MM = 150.0
"""Width of a film on which the outline is on the right breast, unless it needs more: outlines on left breasts lie
as far from the left edge as those on right ones from 150 mm (medians of the DDSM outlines)."""

NIPPLE_ROW_MM = {View.CC: 110.0, View.MLO: 135.0}
"""Row of the nipple on a film: the middle of the DDSM outlines, near that of films of 18 × 24 cm."""

SKIN_MM = 3.0
"""An outline keeps this distance from the skin."""

NEAR_ENOUGH_MM = 30.0
"""The first breast that holds the outlines with this much shift is taken: the films say no more about it."""

BREASTS = 10
"""So many breasts are tried; where none holds the outlines, bigger ones are."""

TRIES = 20
"""So often points are sought within the margin before the whole of an outline will do."""

CLUMPED = 0.4
"""Share of the lesions whose calcifications lie in clumps."""


@dataclass(frozen=True)
class OutlinedBreast:
    """A breast that holds the outlines of its case.

    Attributes:
        anatomy: the breast.
        projections: of each view.
        polygons_mm: (n, 2) row, col of each view's outline on the image, chest wall at column 0.
        shift_mm: how far outlines had to be moved to lie inside, in all.
    """

    anatomy: Anatomy
    projections: tuple[Projection, ...]
    polygons_mm: tuple[Points, ...]
    shift_mm: float


def draw_inside(
    held: OutlinedBreast, place: int, beside: list[Calcification], rng: np.random.Generator
) -> list[Calcification]:
    """Draw what a view shows: what lies in the breast anyhow, a lesion inside the outline, and its satellites.

    The lesion is that of one view only, as the outlines of two views do not say which point is which.

    Args:
        held: the breast and the outlines on its views.
        place: of the view.
        beside: what is no lesion and seen on every view.
        rng: of lesion and satellites.
    """
    projection = held.projections[place]
    lesion = make_lesion(back_project(fill(held.polygons_mm[place], rng), projection), rng)
    return beside + lesion + place_satellites(held.anatomy, lesion, rng)


def find_breast(
    outlines: Sequence[Outline], view_seeds: Sequence[Sequence[int]], rng: np.random.Generator
) -> OutlinedBreast:
    """Return a breast that holds the outlines near to where they are on their films.

    Args:
        outlines: of the views of one breast.
        view_seeds: of the generators with which the views will be rendered; the projection is the first thing
            that each of them draws.
        rng: of the breast.
    """
    best: OutlinedBreast | None = None
    attempt = 0
    while best is None or (attempt < BREASTS and best.shift_mm > NEAR_ENOUGH_MM):
        anatomy = _scaled(grow_breast(rng), 1 + 0.06 * max(0, attempt + 1 - BREASTS))
        held = _hold(anatomy, outlines, view_seeds)
        if held is not None and (best is None or held.shift_mm < best.shift_mm):
            best = held
        attempt += 1
    return best


def fill(polygon_mm: Points, rng: np.random.Generator) -> Points:
    """Draw (n, 2) points in a polygon, evenly or in clumps; n follows from its area alone (`draw_count`).

    An outline is drawn around what is there: points keep the margin within it that simulated lesions have
    (`extent.MARGINS_MM`, at most three eighths of the short side), and some lie near each of its four sides.
    """
    contour = np.asarray(polygon_mm, dtype=np.float32)
    area = float(cv2.contourArea(contour))
    count = draw_count(area, rng)
    margin_mm = min(rng.uniform(*MARGINS_MM), 0.375 * rectangle(polygon_mm).short_mm)
    if rng.random() >= CLUMPED:
        return _reaching(contour, count, margin_mm, rng)
    parents = _reaching(contour, max(4, count // 6), margin_mm, rng)
    kept = parents
    while len(kept) < count:
        drawn = parents[rng.integers(len(parents), size=4 * count)]
        drawn = drawn + rng.normal(0, 0.15 * np.sqrt(area), drawn.shape)
        kept = np.concatenate([kept, drawn[_depth_mm(contour, drawn) >= 0]])
    return kept[:count]


def back_project(points_mm: Points, projection: Projection) -> Points:
    """Turn (n, 2) row, col in mm of a view into (n, 3) points of the breast, in the plane through its middle."""
    across = (projection.middle_mm - points_mm[:, 0]) / SPREAD
    half = across / np.sqrt(2)
    lateral, up = (across, 0 * across) if projection.view is View.CC else (half, half)
    return np.stack([points_mm[:, 1], lateral, up], axis=1)


def _hold(
    anatomy: Anatomy, outlines: Sequence[Outline], view_seeds: Sequence[Sequence[int]]
) -> OutlinedBreast | None:
    """Place every outline in its view, moved inwards as far as it must be; None where it does not fit."""
    projections, polygons, total = [], [], 0.0
    for outline, seed in zip(outlines, view_seeds, strict=True):
        projection = project_breast(anatomy, outline.view, np.random.default_rng(seed))
        polygon = _on_image(outline, projection)
        inwards = [projection.middle_mm, 0.4 * projection.depth_mm] - polygon.mean(axis=0)
        fitting = [s for s in np.linspace(0, 1, 11) if _fits(polygon + s * inwards, projection)]
        if not fitting:
            return None
        total += float(fitting[0] * np.hypot(*inwards))
        projections.append(projection)
        polygons.append(polygon + fitting[0] * inwards)
    return OutlinedBreast(anatomy, tuple(projections), tuple(polygons), total)


def _on_image(outline: Outline, projection: Projection) -> Points:
    """Turn (row, col) on the film into (n, 2) mm on the image: chest wall at column 0, nipple in its row."""
    film = np.array(outline.film_mm)
    if outline.laterality is Laterality.RIGHT:
        film[:, 1] = max(FILM_WIDTH_MM, film[:, 1].max() + 5) - film[:, 1]
    film[:, 1] -= FILM_EDGE_MM
    film[:, 0] += projection.middle_mm - NIPPLE_ROW_MM[outline.view]
    return film


def _fits(polygon_mm: Points, projection: Projection) -> bool:
    skin = projection.outline_mm().astype(np.float32)
    rows, cols = projection.extent_mm
    on_image = (polygon_mm >= 2).all() and (polygon_mm <= [rows - 2, cols - 2]).all()
    return bool(on_image) and all(
        cv2.pointPolygonTest(skin, (float(r), float(c)), True) >= SKIN_MM for r, c in polygon_mm
    )


def _scaled(anatomy: Anatomy, factor: float) -> Anatomy:
    return replace(
        anatomy,
        depth_mm=anatomy.depth_mm * factor,
        half_width_mm=anatomy.half_width_mm * factor,
        half_height_mm=anatomy.half_height_mm * factor,
        lobes=tuple(tuple(duct * factor for duct in lobe) for lobe in anatomy.lobes),
    )


def _reaching(contour: FloatImage, count: int, margin_mm: float, rng: np.random.Generator) -> Points:
    """Draw six times as many points as are asked for; keep those nearest to the four sides, and others at random."""
    points = _inside(contour, 6 * count, margin_mm, rng)
    _, _, degrees = cv2.minAreaRect(contour)
    angle = np.deg2rad(degrees)
    along = points @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    outermost = np.unique([along.argmin(axis=0), along.argmax(axis=0)])
    others = rng.permutation(np.setdiff1d(np.arange(len(points)), outermost))
    return points[np.concatenate([outermost, others])[:count]]


def _inside(contour: FloatImage, count: int, margin_mm: float, rng: np.random.Generator) -> Points:
    """Draw (count, 2) points this far within a contour; where next to nothing of it is, in the whole of it."""
    low, high = contour.min(axis=0), contour.max(axis=0)
    kept = np.empty((0, 2))
    for attempt in count_up():
        drawn = rng.uniform(low, high, (4 * count + 16, 2))
        least_mm = margin_mm if attempt < TRIES else 0.0
        kept = np.concatenate([kept, drawn[_depth_mm(contour, drawn) >= least_mm]])
        if len(kept) >= count:
            break
    return kept[:count]


def _depth_mm(contour: FloatImage, points_mm: Points) -> Points:
    """How far (n, 2) points lie within a contour, mm, below 0 outside: (n,)."""
    return np.array([cv2.pointPolygonTest(contour, (float(r), float(c)), True) for r, c in points_mm])
