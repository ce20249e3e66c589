"""What a PNG, TIFF, JPEG or PGM file says of itself, checked for completeness before OpenCV sees it.

OpenCV decodes what there is of a truncated file, and takes the first page of many, without a word.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from calcigraph.io.codestream import JPEG_END, JPEG_TAIL_BYTES, frame_header
from calcigraph.io.tiff import tiff_header

_PNG_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PGM = re.compile(rb"P5(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")


@dataclass(frozen=True)
class RasterHeader:
    """Format in words, size, bits per sample, and what only some formats say.

    Attributes:
        format: its name.
        rows: of the image.
        cols: of the image.
        bits: per sample.
        white_is_zero: TIFF.
        times_alpha: the colours are multiplied by the alpha channel when they are decoded (TIFF).
        white: the sample that is white (PGM); None where nothing says so.
    """

    format: str
    rows: int
    cols: int
    bits: int
    white_is_zero: bool = False
    times_alpha: bool = False
    white: int | None = None


def raster_header(content: bytes) -> RasterHeader | None:
    """Read the header of a supported raster file; None where the content is none of them.

    Raises:
        ValueError: a damaged or unsupported file of one of these formats; the text says what is wrong.
    """
    if content.startswith(_PNG_SIGNATURE):
        return _png(content)
    if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        tiff = tiff_header(content)
        return RasterHeader("TIFF", tiff.rows, tiff.cols, tiff.bits, tiff.white_is_zero, tiff.times_alpha)
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg(content)
    return _pgm(content) if re.match(rb"P5[\s#]", content) else None


def _png(content: bytes) -> RasterHeader:
    at, header, ended = len(_PNG_SIGNATURE), None, False
    while not ended:
        if at + 12 > len(content):
            raise ValueError("a truncated PNG")
        length = int.from_bytes(content[at : at + 4], "big")
        name, end = content[at + 4 : at + 8], at + 12 + length
        if end > len(content):
            raise ValueError("a truncated PNG")
        if zlib.crc32(memoryview(content)[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big"):
            raise ValueError("a damaged PNG (checksum)")
        if header is None:
            if name != b"IHDR" or length != 13:
                raise ValueError("a PNG without a header")
            header = _png_header(content[at + 8 : end - 4])
        if name == b"acTL":
            raise ValueError("an animated PNG")
        at, ended = end, name == b"IEND"
    if header is None:
        raise ValueError("a PNG without a header")
    return header


def _png_header(chunk: bytes) -> RasterHeader:
    cols, rows, bits, colour = struct.unpack_from(">IIBB", chunk)
    if colour not in _PNG_SAMPLES:
        raise ValueError("a damaged PNG (colour type)")
    return RasterHeader("PNG", rows, cols, 8 if colour == 3 else bits)


def _jpeg(content: bytes) -> RasterHeader:
    header = frame_header(content)
    if header is None:
        raise ValueError("a JPEG without a header")
    if JPEG_END not in content[-JPEG_TAIL_BYTES:]:
        raise ValueError("a truncated JPEG")
    return RasterHeader("JPEG", header.rows, header.cols, header.bits)


def _pgm(content: bytes) -> RasterHeader:
    match = _PGM.match(content)
    if match is None:
        raise ValueError("a PGM without a header")
    cols, rows, top = (int(v) for v in match.groups())
    if not 0 < top < 65536:
        raise ValueError(f"a PGM of white {top}")
    bits = 8 if top < 256 else 16
    if len(content) - match.end() < rows * cols * bits // 8:
        raise ValueError("a truncated PGM")
    # 65535 is what writers state of any 16-bit file, whatever the depth of what they put in.
    return RasterHeader("PGM", rows, cols, bits, white=None if top == 65535 else top)
