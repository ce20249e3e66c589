"""From DICOM Pixel Data to an array of stored bit patterns, in every transfer syntax the decoders know."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder

from calcigraph.errors import UnreadableImage
from calcigraph.io.codestream import JPEG_END, JPEG_TAIL_BYTES, FrameHeader, frame_header, tells_of_damage
from calcigraph.io.quiet import overhear
from calcigraph.io.tags import DICOM_FAULTS

Patterns = NDArray[np.uint8] | NDArray[np.uint16]

_JPEG_8_BIT = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
_BY_GDCM = (uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, *uid.JPEGLSTransferSyntaxes)
_NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
_CODESTREAMS = {*_JPEG_8_BIT, *_BY_GDCM, *uid.JPEG2000TransferSyntaxes}
_PLUGINS = {uid.RLELossless: "pydicom"} | dict.fromkeys(uid.JPEG2000TransferSyntaxes, "pylibjpeg")
"""Decoders that answer damage with an exception. pylibjpeg-rle panics on it, beyond the reach of `except`;
GDCM, to which pydicom turns when openjpeg refuses, ends the process."""
_RLE_EXCESS = re.compile(r"padding - (\d+) vs\. (\d+) bytes")
_RLE_PADDING_BYTES = 8
"""Encoders pad a segment to an even length (PS3.5 G.3.1), which reads as a byte too many, perhaps to a little more.
Where bytes are missing, what follows is out of step, and ends as a rule hundreds too late or too early."""
_GDCM_SECONDS = 120
_GDCM_PROGRAM = Path(__file__).with_name("gdcm_frame.py")


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
    if syntax in _NATIVE and dataset["PixelData"].is_undefined_length:  # PS3.5 A.4
        raise ValueError("compressed data under a transfer syntax of uncompressed data")
    if syntax == uid.RLELossless:
        return _by_rle(dataset)
    if syntax not in _CODESTREAMS:
        return _by_pydicom(dataset, syntax)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    header = frame_header(frame)
    if header is None:
        raise ValueError("no image header in the compressed data")
    if (header.rows, header.cols, header.samples) != (*shape, 1):
        raise ValueError(f"compressed data of {header.rows} × {header.cols} × {header.samples}")
    pixels = _decode_codestream(dataset, syntax, frame, header)
    _check_bits(pixels, header.bits, dataset)
    return pixels


def _decode_codestream(dataset: Dataset, syntax: uid.UID, frame: bytes, header: FrameHeader) -> NDArray[Any]:
    if syntax in _JPEG_8_BIT and header.bits == 8:
        return _by_opencv(frame)
    if syntax in _BY_GDCM:
        return _by_gdcm(frame, syntax, header)
    if syntax in uid.JPEG2000TransferSyntaxes:
        return _by_pydicom(dataset, syntax)
    raise ValueError(f"baseline JPEG of {header.bits} bit")


def _check_bits(pixels: NDArray[Any], precision: int, dataset: Dataset) -> None:
    """Refuse values that Bits Stored cannot hold: the bits above it would be dropped, white becoming black.

    Raises:
        ValueError: the codestream is more precise than Bits Stored, and uses it.
    """
    stored, signed = int(dataset.BitsStored), dataset.PixelRepresentation == 1
    if precision <= stored:
        return
    width = 8 * pixels.dtype.itemsize
    unused = max(width - precision, 0)
    kind = "i" if signed else "u"
    values = (pixels.view(f"u{width // 8}") << unused).view(f"{kind}{width // 8}") >> unused
    low, high = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    if values.min() < low or values.max() > high:
        found = f"{values.min()} to {values.max()}"
        raise ValueError(f"compressed values of {found} beyond the {stored} bit of Bits Stored")


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
    plugin = _PLUGINS.get(syntax, "")
    pixels, _ = get_decoder(syntax).as_array(dataset, index=0, raw=True, decoding_plugin=plugin, **options)
    return pixels


def _by_rle(dataset: Dataset) -> NDArray[Any]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        pixels = _by_pydicom(dataset, uid.RLELossless)
    for warning in told:
        lengths = _RLE_EXCESS.search(str(warning.message))
        if lengths and int(lengths[1]) - int(lengths[2]) > _RLE_PADDING_BYTES:
            raise ValueError(f"damaged RLE data: a segment of {lengths[1]} bytes in place of {lengths[2]}")
    return pixels


def _by_opencv(frame: bytes) -> NDArray[Any]:
    if JPEG_END not in frame[-JPEG_TAIL_BYTES:]:
        raise ValueError("truncated JPEG data")  # which OpenCV would fill up with grey
    with overhear() as heard:
        pixels = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or tells_of_damage(heard.text):
        raise ValueError("damaged JPEG data")
    return np.asarray(pixels)


def _by_gdcm(frame: bytes, syntax: uid.UID, header: FrameHeader) -> NDArray[Any]:
    if not 2 <= header.bits <= 16:
        raise ValueError(f"compressed data of {header.bits} bit")
    arguments = (str(v) for v in (syntax, header.rows, header.cols, header.bits))
    command = [sys.executable, "-P", str(_GDCM_PROGRAM), *arguments]
    try:
        done = subprocess.run(command, input=frame, capture_output=True, timeout=_GDCM_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"GDCM did not finish within {_GDCM_SECONDS} s") from None
    if done.returncode != 0:
        raise ValueError("GDCM cannot decode the compressed data")
    if tells_of_damage(done.stderr):  # its libjpeg fills up what is missing, and the exit code is 0
        raise ValueError("damaged JPEG data")
    width = np.uint8 if header.bits <= 8 else np.uint16
    return np.frombuffer(done.stdout, width).reshape(header.rows, header.cols)


def _reason(error: BaseException) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 160 else f"{words[:157]}..."
