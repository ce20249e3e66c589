"""From DICOM Pixel Data to an array of stored bit patterns, in every transfer syntax the decoders know."""

from __future__ import annotations

from typing import Any

import gdcm
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder

from calcigraph.errors import UnreadableImage
from calcigraph.io.codestream import FrameHeader, frame_header
from calcigraph.io.tags import DICOM_FAULTS

Patterns = NDArray[np.uint8] | NDArray[np.uint16]

_CODESTREAMS = {*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes, *uid.JPEG2000TransferSyntaxes}


def decode_pixels(dataset: Dataset, label: str, shape: tuple[int, int]) -> Patterns:
    """Decode one grey frame.

    Args:
        dataset: with its File Meta Information and Pixel Data.
        label: names the file in errors.
        shape: rows and columns that its header states, checked before.

    Returns:
        (rows, cols) uint8 or uint16: bit patterns as stored, signed values in two's complement.

    Raises:
        UnreadableImage: truncated or damaged data, another size than the header's, no decoder.
    """
    try:
        pixels = _decode(dataset, shape)
    except DICOM_FAULTS as error:
        raise UnreadableImage(
            f"{label}: pixel data that cannot be decoded ({_reason(error)})",
            allowed="whole pixel data in a transfer syntax of DICOM PS3.5 for single grey images",
            do="export or copy the image again",
        ) from None
    if pixels.shape != shape or pixels.dtype.itemsize > 2:
        raise UnreadableImage(
            f"{label}: pixel data of shape {pixels.shape} and {8 * pixels.dtype.itemsize} bit",
            allowed=f"{shape[0]} × {shape[1]} grey pixels of 8 or 16 bit, as its header says",
            do="export the image again",
        )
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return native.view(np.dtype(f"u{native.dtype.itemsize}"))


def _decode(dataset: Dataset, shape: tuple[int, int]) -> NDArray[Any]:
    syntax = _transfer_syntax(dataset)
    if syntax not in _CODESTREAMS:
        return _by_pydicom(dataset, syntax)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    header = frame_header(frame)
    if header is None:
        raise ValueError("no image header in the compressed data")
    if (header.rows, header.cols, header.samples) != (*shape, 1):
        raise ValueError(f"compressed data of {header.rows} × {header.cols} × {header.samples}")
    if syntax == uid.JPEGExtended12Bit and header.bits > 8:
        return _by_gdcm(frame, dataset, header)
    return _by_pydicom(dataset, syntax)


def _transfer_syntax(dataset: Dataset) -> uid.UID:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:  # files from before PS3.10, or stripped of their meta information: as they were parsed
        implicit, little_endian = dataset.original_encoding
        little = uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian
        syntax = little if little_endian else uid.ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = syntax
    return uid.UID(str(syntax))


def _by_pydicom(dataset: Dataset, syntax: uid.UID) -> NDArray[Any]:
    # Unused bits are masked in the grey table: 65,536 entries instead of every pixel.
    options: dict[str, Any] = {"correct_unused_bits": False, "view_only": True}
    pixels, _ = get_decoder(syntax).as_array(dataset, index=0, raw=True, **options)
    return pixels


def _by_gdcm(frame: bytes, dataset: Dataset, header: FrameHeader) -> NDArray[np.uint16]:
    """Decode 12-bit lossy JPEG, which pydicom refuses to hand to GDCM although GDCM has the codec."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((header.cols, header.rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    syntax = gdcm.TransferSyntax.GetTSType(str(uid.JPEGExtended12Bit))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    image.SetPixelFormat(
        gdcm.PixelFormat(1, 16, header.bits, header.bits - 1, int(dataset.PixelRepresentation))
    )
    text = image.GetBuffer()  # char* arrives as str; None where the codec failed
    if text is None:
        raise ValueError("GDCM found no 12-bit JPEG")
    return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint16).reshape(header.rows, header.cols)


def _reason(error: BaseException) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 160 else f"{words[:157]}..."
