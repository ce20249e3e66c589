"""A mammogram from a DICOM file: checked, decoded, right way up, with its spacing (PS3.3 A.26, PS3.5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from calcigraph.errors import UnreadableImage
from calcigraph.io import orientation
from calcigraph.io.decode import Patterns, decode_pixels
from calcigraph.io.grey import grey_table, sop_class_name
from calcigraph.io.parse import parse
from calcigraph.io.quiet import quiet
from calcigraph.io.spacing import dicom_spacing
from calcigraph.io.tags import Tags
from calcigraph.limits import check_extent, check_size
from calcigraph.records import FloatImage, Mammogram

_STRIP_ROWS = 256
_OTHER_MODALITIES = ("CR", "DX", "SC", "OT", "DR", "RG", "XC")
"""Modalities under which breasts are found in archives: computed radiography, secondary captures."""


def read_dicom(content: bytes, label: str, *, spacing_mm: float | None, image_id: str) -> Mammogram:
    """Read a single-frame DICOM image of a breast.

    Args:
        content: of the whole file.
        label: names the file in errors and in the record.
        spacing_mm: used where the file states none.
        image_id: of the record.

    Returns:
        The mammogram, its pixels as stored: never rotated, flipped or cropped.

    Raises:
        UnreadableImage: not a grey, single-frame image of a breast, a damaged one, or one larger than any breast.
        MissingSpacing: no spacing in the file, and none given.
    """
    with quiet():
        dataset = parse(content, label)
        tags = Tags(dataset, label)
        _check_kind(tags)
        shape = _check_pixel_tags(tags)
        spacing, spacing_words = dicom_spacing(tags, spacing_mm)
        check_extent(label, shape, spacing)
        patterns = decode_pixels(dataset, label, shape)
        pixels, notes = _to_grey(tags, patterns)
        return Mammogram(
            pixels=pixels,
            spacing_mm=spacing,
            image_id=image_id,
            patient_id=tags.original("PatientID"),
            path=label,
            laterality=orientation.laterality(tags),
            view=orientation.view(tags),
            chest_wall=orientation.chest_wall(tags),
            transforms=(
                _format_words(dataset, tags),
                *notes,
                spacing_words,
                *orientation.field_of_view(tags),
            ),
        )


def _check_kind(tags: Tags) -> None:
    modality, kind = tags.text("Modality"), sop_class_name(tags)
    of_breast = modality == "MG" or "MAMMOGRAPHY X-RAY" in kind or "BREAST" in kind
    if not of_breast and not (modality in _OTHER_MODALITIES and tags.text("BodyPartExamined") == "BREAST"):
        kind_words = kind[:60].title() or "no SOP class"
        raise UnreadableImage(
            f"{tags.label}: a DICOM file of modality {modality[:20] or 'unknown'} ({kind_words})",
            allowed="modality MG, or CR, DX, SC, OT with Body Part Examined BREAST",
            do="give mammograms only",
        )
    frames = tags.whole("NumberOfFrames")
    if frames not in (None, 1):
        raise UnreadableImage(
            f"{tags.label}: a DICOM image of {frames} frames",
            allowed="one frame",
            do="give the mammogram or the synthetic view that goes with a tomosynthesis stack",
        )


def _check_pixel_tags(tags: Tags) -> tuple[int, int]:
    rows, cols = tags.whole("Rows"), tags.whole("Columns")
    if rows is None or cols is None or "PixelData" not in tags:
        raise _refused(tags, "a DICOM file without pixel data", "images with Rows, Columns and Pixel Data")
    check_size(tags.label, rows, cols)
    photometric = tags.text("PhotometricInterpretation")
    samples = tags.whole("SamplesPerPixel")
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or samples not in (None, 1):
        raise _refused(
            tags, f"a DICOM image in {photometric[:20] or 'no photometric interpretation'}", "grey images"
        )
    bits, allocated, high = (tags.whole(k) for k in ("BitsStored", "BitsAllocated", "HighBit"))
    if allocated not in (8, 16) or bits is None or not 1 < bits <= allocated or high not in (None, bits - 1):
        got = f"Bits Allocated {allocated}, Bits Stored {bits}, High Bit {high}"
        raise _refused(
            tags, got, "8 or 16 allocated, up to as many stored, High Bit one less than Bits Stored"
        )
    if tags.whole("PixelRepresentation") not in (0, 1):
        raise _refused(tags, "no valid Pixel Representation", "0 or 1")
    return rows, cols


def _refused(tags: Tags, got: str, allowed: str) -> UnreadableImage:
    return UnreadableImage(f"{tags.label}: {got}", allowed=allowed, do="export the image again")


def _to_grey(tags: Tags, patterns: Patterns) -> tuple[FloatImage, tuple[str, ...]]:
    levels = 1 << 8 * patterns.dtype.itemsize
    strips = [slice(at, at + _STRIP_ROWS) for at in range(0, len(patterns), _STRIP_ROWS)]
    counts: NDArray[np.int64] = np.zeros(levels, np.int64)
    for strip in strips:  # strips keep NumPy's 64-bit copies of the pixels small
        counts += np.bincount(patterns[strip].ravel(), minlength=levels)
    table = grey_table(tags, counts)
    pixels = np.empty(patterns.shape, np.float32)
    for strip in strips:
        np.take(table.grey, patterns[strip], out=pixels[strip], mode="clip")
    return pixels, table.notes


def _format_words(dataset: Dataset, tags: Tags) -> str:
    name = getattr(dataset.file_meta.get("TransferSyntaxUID"), "name", "unknown transfer syntax")
    sign = "signed" if tags.whole("PixelRepresentation") == 1 else "unsigned"
    return f"DICOM, {name}, {tags.whole('BitsStored')} bit {sign}, {tags.text('PhotometricInterpretation')}"
