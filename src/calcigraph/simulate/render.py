"""A view of a simulated breast: tissue and calcifications → X-rays → pixels, with the truth beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from calcigraph.io.truth import TRUTH_COLUMNS, Kind
from calcigraph.lexicon import Laterality, View
from calcigraph.records import FloatImage, Mask, Points
from calcigraph.simulate.acquire import Acquisition, expose, process
from calcigraph.simulate.anatomy import Anatomy
from calcigraph.simulate.calcification import Calcification
from calcigraph.simulate.projection import Projection, project_breast
from calcigraph.simulate.shadow import Window, cast_shadow, observer_snr
from calcigraph.simulate.tissue import attenuation_map, outline_mask

SIMULATED_COLUMNS = (*TRUTH_COLUMNS, "kind", "snr")


@dataclass(frozen=True)
class SimulatedView:
    """A simulated mammogram with its truth.

    Attributes:
        pixels: (rows, cols) float32 in [0, 1], bright is dense.
        spacing_mm: pixel pitch.
        truth: table with `SIMULATED_COLUMNS`; `kind` is a `Kind`, `snr` as `shadow.observer_snr` says, 0 for what is
            not wholly on the image.
        outline_px: (n, 2) row, col: convex hull of the lesion, widened by 1 mm; empty without a lesion.
    """

    pixels: FloatImage
    spacing_mm: float
    view: View
    laterality: Laterality
    truth: pd.DataFrame
    outline_px: Points


@dataclass(frozen=True)
class Exposure:
    """A view before its calcifications: where the breast lies, and the exposed image, (rows, cols) attenuation."""

    projection: Projection
    machine: Acquisition
    mask: Mask
    exposed: FloatImage

    def shadows(self, calcifications: Sequence[Calcification]) -> list[tuple[FloatImage, Window] | None]:
        """Cast the shadow of each; None for what is not wholly on the image."""
        shape = (self.exposed.shape[0], self.exposed.shape[1])
        return [cast_shadow(one, self.projection, self.machine, shape) for one in calcifications]

    def look(self, calcifications: Sequence[Calcification]) -> list[float]:
        """Return how well each can be seen (`shadow.observer_snr`), 0 for what is not wholly on the image."""
        return self.signal_to_noise(self.shadows(calcifications))

    def signal_to_noise(self, shadows: Sequence[tuple[FloatImage, Window] | None]) -> list[float]:
        """Return `look` of what casts these shadows."""
        pitch = self.machine.spacing_mm
        return [0.0 if one is None else observer_snr(*one, self.exposed, pitch) for one in shadows]


def expose_view(breast: Anatomy, *, view: View, machine: Acquisition, rng: np.random.Generator) -> Exposure:
    """Project and expose one view of a breast without calcifications."""
    projection = project_breast(breast, view, rng)
    mask = outline_mask(projection, machine.spacing_mm)
    attenuation = attenuation_map(breast, projection, machine.spacing_mm, rng)
    return Exposure(projection, machine, mask, expose(attenuation, mask, machine, rng))


def finish_view(
    exposure: Exposure, calcifications: Sequence[Calcification], *, laterality: Laterality
) -> SimulatedView:
    """Add calcifications and process as a vendor does; right breasts have their chest wall at the right."""
    pitch, view = exposure.machine.spacing_mm, exposure.projection.view
    shadows = exposure.shadows(calcifications)
    snr = exposure.signal_to_noise(shadows)
    exposed = exposure.exposed.copy()
    for one in shadows:
        if one is not None:
            exposed[one[1]] += one[0]
    pixels = process(exposed, exposure.mask, exposure.machine)
    truth = _truth(calcifications, snr, exposure.projection, pitch, exposed.shape)
    outline = lesion_outline(truth, pitch)
    if laterality is Laterality.RIGHT:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        truth["col_px"] = pixels.shape[1] - 1 - truth["col_px"]
        outline = outline * [1, -1] + [0, pixels.shape[1] - 1]
    _add_marker(pixels, laterality, view, pitch)
    return SimulatedView(pixels, pitch, view, laterality, truth, outline)


def lesion_outline(truth: pd.DataFrame, spacing_mm: float, *, margin_mm: float = 1.0) -> Points:
    """Return the convex hull of the lesion's calcifications, widened by a margin: (n, 2) row, col in pixels."""
    lesion = truth[truth["kind"] == Kind.LESION]
    if lesion.empty:
        return np.empty((0, 2))
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([np.sin(turn), np.cos(turn)], axis=1) * margin_mm / spacing_mm
    points = (lesion[["row_px", "col_px"]].to_numpy()[:, None] + ring).reshape(-1, 2)
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], dtype=np.float64)


def _truth(
    calcifications: Sequence[Calcification],
    snr: Sequence[float],
    projection: Projection,
    pitch: float,
    shape: tuple[int, ...],
) -> pd.DataFrame:
    """List the calcifications that lie on the image."""
    centres = np.array([c.centre_mm for c in calcifications]).reshape(-1, 3)
    pixels = projection.project(centres) / pitch - 0.5
    table = pd.DataFrame({"row_px": pixels[:, 0], "col_px": pixels[:, 1]})
    table["diameter_mm"] = [c.diameter_mm for c in calcifications]
    table["kind"] = [str(c.kind) for c in calcifications]
    table["snr"] = snr
    inside = (pixels >= 0).all(axis=1) & (pixels <= np.array(shape[:2]) - 1).all(axis=1)
    return table.iloc[np.flatnonzero(inside)].reset_index(drop=True)


def _add_marker(pixels: FloatImage, laterality: Laterality, view: View, pitch: float) -> None:
    """Write laterality and view as lead letters into the air, at the corner away from the chest wall."""
    text, scale, thickness = f"{laterality} {view}", 0.2 / pitch, max(1, round(0.6 / pitch))
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    margin = round(2 / pitch)
    col = margin if laterality is Laterality.RIGHT else pixels.shape[1] - width - margin
    place = (max(col, 0), height + margin)
    lead = np.zeros(pixels.shape, dtype=np.uint8)
    cv2.putText(lead, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    np.maximum(pixels, lead.astype(np.float32) / 255, out=pixels)
