"""Pixel spacing in the plane of the breast (DICOM PS3.3 10.7.1.3): stated or given, never guessed."""

from __future__ import annotations

import math

from calcigraph.errors import BadConfig, MissingSpacing
from calcigraph.io.limits import is_spacing, spacing_words
from calcigraph.io.tags import Tags

Spacing = tuple[float, float]

_MAGNIFICATIONS = (0.9, 10.0)


def check_given(spacing_mm: float | None) -> None:
    """Refuse a spacing that a user gave and no mammogram can have.

    Raises:
        BadConfig: not finite, not positive or out of range.
    """
    if spacing_mm is not None and not is_spacing(spacing_mm):
        raise BadConfig(
            f"a spacing of {spacing_mm} mm", allowed=spacing_words(), do="give the pixel spacing in mm"
        )


def given_spacing(label: str, spacing_mm: float | None) -> tuple[Spacing, str]:
    """Return the user's (row, col) spacing for an image that states none, and the words for it.

    Raises:
        MissingSpacing: the user gave none either.
    """
    if spacing_mm is None:
        raise MissingSpacing(
            f"{label}: an image that does not state its pixel spacing",
            allowed=spacing_words(),
            do="give it with --spacing MM (or spacing_mm)",
        )
    return (spacing_mm, spacing_mm), f"spacing {spacing_mm:g} mm as given"


def dicom_spacing(tags: Tags, given_mm: float | None) -> tuple[Spacing, str]:
    """Return the (row, col) spacing that a DICOM file states, or else the user's, and the words for it.

    In this order: Pixel Spacing where it is calibrated; Imager Pixel Spacing divided by the Estimated
    Radiographic Magnification Factor; Pixel Spacing without further words; Nominal Scanned Pixel Spacing of
    digitised film. A spacing that is stated is kept even where the user gives another one.

    Raises:
        MissingSpacing: no usable spacing in the file, and none given.
    """
    try:
        stated = _stated(tags)
    except MissingSpacing:
        if given_mm is None:
            raise
        stated = None
    if stated is None:
        return given_spacing(tags.label, given_mm)
    spacing, words = stated
    if given_mm is not None:
        words += f" (the given {given_mm:g} mm was not needed)"
    return spacing, f"spacing {spacing[0]:.4g} × {spacing[1]:.4g} mm: {words}"


def _stated(tags: Tags) -> tuple[Spacing, str] | None:
    pixel, imager = _pair(tags, "PixelSpacing"), _pair(tags, "ImagerPixelSpacing")
    # Where the two differ, Pixel Spacing was corrected for magnification (PS3.3 10.7.1.3).
    calibrated = tags.text("PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL") or (
        imager is not None and not _same(pixel, imager)
    )
    if pixel is not None and calibrated:
        return pixel, "Pixel Spacing, calibrated"
    if imager is not None:
        factor = _magnification(tags)
        return (imager[0] / factor, imager[1] / factor), f"Imager Pixel Spacing / magnification {factor:.4g}"
    if pixel is not None:
        return pixel, "Pixel Spacing"
    scanned = _pair(tags, "NominalScannedPixelSpacing")
    return None if scanned is None else (scanned, "Nominal Scanned Pixel Spacing")


def _pair(tags: Tags, keyword: str) -> Spacing | None:
    numbers = tags.numbers(keyword)
    if not numbers:
        return None
    if len(numbers) != 2 or not all(is_spacing(v) for v in numbers):
        shown = ", ".join(f"{v:g}" for v in numbers[:4])
        raise MissingSpacing(
            f"{tags.label}: {keyword} of {shown} mm",
            allowed=f"two numbers, {spacing_words()}",
            do="give the spacing with --spacing MM (or spacing_mm)",
        )
    return numbers[0], numbers[1]


def _same(one: Spacing | None, other: Spacing) -> bool:
    return one is not None and all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(one, other, strict=True))


def _magnification(tags: Tags) -> float:
    factor = tags.number("EstimatedRadiographicMagnificationFactor")
    if factor is None:
        return 1.0
    least, most = _MAGNIFICATIONS
    if not least <= factor <= most:
        raise MissingSpacing(
            f"{tags.label}: an Estimated Radiographic Magnification Factor of {factor:g}",
            allowed=f"{least:g} to {most:g}",
            do="give the spacing with --spacing MM (or spacing_mm)",
        )
    return factor
