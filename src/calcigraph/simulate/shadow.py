"""The shadow of a calcification on the detector, and whether it can be seen there."""

from __future__ import annotations

import cv2
import numpy as np

from calcigraph.lexicon import View
from calcigraph.records import FloatImage, Points
from calcigraph.simulate.acquire import Acquisition, blur
from calcigraph.simulate.calcification import Calcification
from calcigraph.simulate.projection import Projection, across, along

SUPERSAMPLING = 3
SURROUNDINGS_MM = 2.5
"""How far around a calcification its surroundings reach, to a side."""
SURROUND_MM = 0.1
"""Beyond half of the shadow's own width: the reach of the surroundings that the eye subtracts."""

Window = tuple[slice, slice]


def cast_shadow(
    calcification: Calcification, projection: Projection, machine: Acquisition, shape: tuple[int, int]
) -> tuple[FloatImage, Window] | None:
    """Return attenuation times the way of each ray within the calcification, averaged over each pixel and blurred.

    What spheres share counts once; a lucent core does not count.

    Args:
        calcification: what lies in the beam.
        projection: of the view.
        machine: its pitch and blur.
        shape: of the image.

    Returns:
        A small square of attenuation and where it lies; None where it is not wholly on the image.
    """
    pitch = machine.spacing_mm
    centre = projection.project(calcification.centre_mm[None])[0] / pitch - 0.5
    spheres = _in_beam(calcification.offsets_mm, projection.view) / pitch
    radii = calcification.radii_mm / pitch
    reach = int(np.ceil(np.max(np.abs(spheres[:, :2]).max(axis=1) + radii) + 3 * machine.blur_mm / pitch)) + 1
    corner = np.rint(centre).astype(int) - reach
    side = 2 * reach + 1
    if (corner < 0).any() or (corner + side > np.array(shape)).any():
        return None
    grid = (np.arange(side * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - 0.5
    row = (grid + corner[0] - centre[0])[None, :, None] - spheres[:, 0, None, None]
    col = (grid + corner[1] - centre[1])[None, None, :] - spheres[:, 1, None, None]
    off_axis, deep = row**2 + col**2, spheres[:, 2, None, None]
    way = _way_within(off_axis, deep, radii)
    if calcification.hollow:
        way -= _way_within(off_axis, deep, radii * calcification.hollow)
    depth_px = way.reshape(side, SUPERSAMPLING, side, SUPERSAMPLING).mean(axis=(1, 3))
    sharp = (depth_px * pitch * calcification.attenuation_per_mm).astype(np.float32)
    window = np.s_[corner[0] : corner[0] + side, corner[1] : corner[1] + side]
    return blur(sharp, machine), window


def observer_snr(shadow: FloatImage, window: Window, background: FloatImage, spacing_mm: float) -> float:
    """Return the signal-to-noise ratio of a non-prewhitening observer with an eye filter.

    The observer (Wagner & Brown, Phys Med Biol 1985; Burgess, J Opt Soc Am A 1994) knows the shadow, compares it
    with what lies around it, and is disturbed by whatever the surroundings hold: noise, grain, dust and tissue.
    Below about 5 nobody sees it (Rose).

    Args:
        shadow: (side, side) attenuation of the calcification.
        window: where it lies on the image.
        background: (rows, cols) the exposed image without calcifications.
        spacing_mm: pixel pitch.
    """
    margin = round(SURROUNDINGS_MM / spacing_mm)
    around = tuple(slice(max(0, part.start - margin), part.stop + margin) for part in window)
    width_px = np.sqrt(np.square(shadow.sum()) / max(float(np.square(shadow).sum()), 1e-12))
    surround_px = 0.5 * width_px + SURROUND_MM / spacing_mm
    padded = np.pad(shadow, int(2 * surround_px))
    template = padded - cv2.GaussianBlur(padded, (0, 0), surround_px)
    answers = cv2.filter2D(background[around], cv2.CV_32F, template, borderType=cv2.BORDER_REFLECT)
    return float((template * padded).sum() / max(float(answers.std()), 1e-9))


def _way_within(off_axis: Points, deep: Points, radii: Points) -> Points:
    """Return the length of each ray inside any of the spheres: (n, rows, cols) squared distances to (rows, cols)."""
    half = np.sqrt(np.clip(radii[:, None, None] ** 2 - off_axis, 0, None))
    enters, leaves = deep - half, deep + half
    order = np.argsort(enters, axis=0)
    enters, leaves = (np.take_along_axis(ends, order, axis=0) for ends in (enters, leaves))
    enters[1:] = np.maximum(enters[1:], np.maximum.accumulate(leaves, axis=0)[:-1])
    return np.asarray(np.clip(leaves - enters, 0, None).sum(axis=0))


def _in_beam(offsets_mm: Points, view: View) -> Points:
    """Turn small (n, 3) offsets into row, col and along the beam; a calcification is not spread by compression."""
    return np.stack([-across(offsets_mm, view), offsets_mm[:, 0], along(offsets_mm, view)], axis=1)
