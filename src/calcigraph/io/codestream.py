"""The size that a compressed image claims in its own header, read without decoding it.

A JPEG of 60,000 × 60,000 pixels under a DICOM header of 3,000 × 2,000 would otherwise be allocated first.
Beside it: how to tell from libjpeg's words that what it decoded was damaged.
Sources: ITU-T T.81 B.2.2 (frame header), T.87 C.2.2 (JPEG-LS), T.800 A.5.1 (JPEG 2000 SIZ).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

JPEG_END = b"\xff\xd9"
JPEG_TAIL_BYTES = 4096
"""Where the end marker lies; writers append a few bytes of padding or comments."""
_COMPLAINTS = re.compile(rb"Corrupt JPEG|Premature end|Inconsistent progression")
"""libjpeg's warnings of missing or damaged data: it makes pixels up and goes on (jerror.h)."""
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_STANDALONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})
_SIZ = b"\xff\x4f\xff\x51"
_SIZ_SEARCH_BYTES = 4096


@dataclass(frozen=True)
class FrameHeader:
    """Size of a compressed frame; `bits` per sample."""

    rows: int
    cols: int
    samples: int
    bits: int


def frame_header(data: bytes) -> FrameHeader | None:
    """Return what a JPEG, JPEG-LS or JPEG 2000 codestream says of itself, or None where it says nothing."""
    try:
        return _jpeg(data) if data[:3] == b"\xff\xd8\xff" else _jpeg_2000(data)
    except (struct.error, IndexError):
        return None


def tells_of_damage(words: bytes) -> bool:
    """Whether libjpeg wrote to standard error that a JPEG it decoded was not whole."""
    return _COMPLAINTS.search(words) is not None


def _jpeg(data: bytes) -> FrameHeader | None:
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _STANDALONE_MARKERS:
            at += 2
        elif marker in _FRAME_MARKERS:
            bits, rows, cols, samples = struct.unpack_from(">BHHB", data, at + 4)
            return FrameHeader(rows, cols, samples, bits)
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _jpeg_2000(data: bytes) -> FrameHeader | None:
    at = data.find(_SIZ, 0, _SIZ_SEARCH_BYTES)  # a JP2 wrapper may come first
    if at < 0:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", data, at + 8)
    samples, precision = struct.unpack_from(">HB", data, at + 40)
    return FrameHeader(bottom - top, right - left, samples, (precision & 0x7F) + 1)
