"""A mammogram from a PNG, TIFF, JPEG or PGM file of 8 or 16 bit; bright is dense, as exporters write it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calcigraph.errors import UnreadableImage
from calcigraph.io.codestream import tells_of_damage
from calcigraph.io.quiet import overhear, quiet
from calcigraph.io.raster_header import RasterHeader, raster_header
from calcigraph.io.spacing import given_spacing
from calcigraph.io.tiff import check_tiff_data
from calcigraph.limits import check_extent, check_size
from calcigraph.records import Mammogram

_DEPTHS = (8, 10, 12, 14, 16)
"""Bits that detectors have; exporters put 10 to 14 of them into 16 and leave the rest empty."""


def read_raster(content: bytes, label: str, *, spacing_mm: float | None, image_id: str) -> Mammogram | None:
    """Read a grey raster image; None where the content is of none of the formats.

    The resolution that PNG and TIFF files state is a printing habit (72 or 96 dpi), so the spacing must be given.

    Raises:
        UnreadableImage: a damaged, coloured, animated, multi-page, floating-point, too small or too large image, or
            one larger than any breast.
        MissingSpacing: no spacing was given.
    """
    try:
        header = raster_header(content)
    except ValueError as error:
        raise _refused(label, str(error)) from None
    if header is None:
        return None
    check_size(label, header.rows, header.cols)
    if header.bits not in (8, 16):
        raise _refused(label, f"a {header.format} of {header.bits} bit")
    stored, notes = _one_channel(_decode(content, header, label), label)
    spacing, spacing_words = given_spacing(label, spacing_mm)
    check_extent(label, (header.rows, header.cols), spacing)
    top = _white(stored, header, label)
    pixels = np.multiply(stored, np.float32(1.0 / top), dtype=np.float32)
    if header.white_is_zero:
        notes = (*notes, "0 is white: inverted")
        # OpenCV has already done so at 8 bit, and does not at 16.
        pixels = pixels if stored.dtype == np.uint8 else np.subtract(1, pixels, dtype=np.float32)
    words = f"{header.format}, {header.bits} bit, divided by {top}"
    transforms = (words, *notes, spacing_words)
    return Mammogram(pixels=pixels, spacing_mm=spacing, image_id=image_id, path=label, transforms=transforms)


def _decode(content: bytes, header: RasterHeader, label: str) -> NDArray[Any]:
    try:
        with quiet(), overhear() as heard:
            if header.format == "TIFF":
                check_tiff_data(content)
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError):  # OpenCV raises its own error for whatever its codecs refuse
        pixels = None
    except ValueError as error:
        raise _refused(label, str(error)) from None
    if pixels is None or pixels.shape[:2] != (header.rows, header.cols) or tells_of_damage(heard.text):
        raise _refused(label, f"a damaged {header.format}")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise _refused(label, f"a {header.format} of type {pixels.dtype}")
    if 8 * pixels.dtype.itemsize < header.bits:
        raise _refused(label, f"a {header.format} of {header.bits} bit in a layout that is decoded as 8 bit")
    if header.times_alpha and pixels.ndim == 3 and pixels.shape[2] == 4 and pixels[..., 3].min() < 255:
        raise _refused(label, f"a transparent {header.format} (unassociated alpha, ExtraSamples 2)")
    return np.asarray(pixels)


def _one_channel(pixels: NDArray[Any], label: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    if pixels.ndim == 2:
        return pixels, ()
    grey, colours = pixels[..., 0], pixels[..., : 3 if pixels.shape[2] >= 3 else 1]
    if any(not np.array_equal(grey, colours[..., k]) for k in range(1, colours.shape[2])):
        raise _refused(label, "an image in colour")
    return np.ascontiguousarray(grey), (f"first of {pixels.shape[2]} channels, the colours being equal",)


def _white(stored: NDArray[Any], header: RasterHeader, label: str) -> int:
    most = int(stored.max())
    if header.white is not None:
        if most > header.white:
            raise _refused(
                label, f"a damaged {header.format} (a sample of {most}, white being {header.white})"
            )
        return header.white
    bits = 8 if stored.dtype == np.uint8 else next(b for b in _DEPTHS if most < 1 << b)
    return (1 << bits) - 1


def _refused(label: str, got: str) -> UnreadableImage:
    return UnreadableImage(
        f"{label}: {got}",
        allowed="whole single-page PNG, TIFF, JPEG or PGM images, grey, 8 or 16 bit unsigned",
        do="export the image again",
    )
