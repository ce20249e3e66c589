"""Pixel spacing in the plane of the breast (DICOM PS3.3 10.7.1.3): stated or given, never guessed."""

from __future__ import annotations

import math
import reprlib
from numbers import Real

from calcigraph.errors import BadConfig, MissingSpacing
from calcigraph.io.tags import Tags
from calcigraph.limits import is_spacing, spacing_words

Spacing = tuple[float, float]

_STATED_IN = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_MAGNIFICATIONS = (0.9, 10.0)

GIVE = "give the spacing with --spacing MM (in Python and in a manifest: spacing_mm)"


def check_given(spacing_mm: float | None) -> None:
    """Refuse a spacing that a user gave and no mammogram can have.

    Raises:
        BadConfig: not a number, not finite, not positive or out of range.
    """
    if spacing_mm is not None and not (isinstance(spacing_mm, Real) and is_spacing(float(spacing_mm))):
        raise BadConfig(
            f"a spacing of {reprlib.repr(spacing_mm)} mm",
            allowed=spacing_words(),
            do="give the pixel spacing in mm",
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
            do=GIVE,
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
    if scanned is not None:
        return scanned, "Nominal Scanned Pixel Spacing"
    if unusable := _unusable(tags):
        raise _not_usable(tags, unusable, allowed=f"two numbers, {spacing_words()}")
    return None


def _pair(tags: Tags, keyword: str) -> Spacing | None:
    """Return the pair of spacings under a keyword; None where there is none that can be one."""
    numbers = tags.numbers(keyword)
    if len(numbers) != 2 or not all(is_spacing(v) for v in numbers):
        return None
    return numbers[0], numbers[1]


def _unusable(tags: Tags) -> str:
    """Words for the first spacing that the file states and no mammogram can have; "" where it states none."""
    for keyword in _STATED_IN:
        if numbers := tags.numbers(keyword):
            return f"{keyword} of {', '.join(f'{v:g}' for v in numbers[:4])} mm"
    return ""


def _not_usable(tags: Tags, got: str, *, allowed: str) -> MissingSpacing:
    return MissingSpacing(
        f"{tags.label}: {got}",
        allowed=allowed,
        do=GIVE,
    )


def _same(one: Spacing | None, other: Spacing) -> bool:
    return one is not None and all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(one, other, strict=True))


def _magnification(tags: Tags) -> float:
    factor = tags.number("EstimatedRadiographicMagnificationFactor")
    if factor is None:
        return 1.0
    least, most = _MAGNIFICATIONS
    if not least <= factor <= most:
        got = f"an Estimated Radiographic Magnification Factor of {factor:g}"
        raise _not_usable(tags, got, allowed=f"{least:g} to {most:g}")
    return factor
