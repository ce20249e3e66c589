"""The first directory of a TIFF file (TIFF 6.0, section 2), read before OpenCV decodes it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_TYPES = {1: "B", 3: "H", 4: "I"}
_COLS, _ROWS, _BITS, _ORIENTATION, _SAMPLES, _FORMAT, _PHOTOMETRIC = 256, 257, 258, 274, 277, 339, 262
_DATA = ((273, 279), (324, 325))  # offsets and byte counts of strips, of tiles
_MAX_ENTRIES, _MAX_VALUES = 512, 1 << 20


@dataclass(frozen=True)
class TiffHeader:
    """Size, bits per sample, and whether 0 is white."""

    rows: int
    cols: int
    bits: int
    white_is_zero: bool


def tiff_header(content: bytes) -> TiffHeader:
    """Read and check the only page of a TIFF file.

    Raises:
        ValueError: more pages, BigTIFF, floating point, another orientation, missing or truncated data.
    """
    try:
        return _header(content)
    except struct.error:
        raise ValueError("a truncated TIFF") from None


def _header(content: bytes) -> TiffHeader:
    if content[2:4] not in (b"*\0", b"\0*"):
        raise ValueError("a BigTIFF")
    order = "<" if content[:2] == b"II" else ">"
    tags, next_page = _directory(content, order, struct.unpack_from(order + "I", content, 4)[0])
    if next_page:
        raise ValueError("a TIFF of several pages")
    rows, cols, bits = (_one(tags, tag, 0) for tag in (_ROWS, _COLS, _BITS))
    if _one(tags, _ORIENTATION, 1) != 1:
        raise ValueError(f"a TIFF of orientation {_one(tags, _ORIENTATION, 1)}")
    if set(tags.get(_FORMAT, (1,))) != {1} or len(set(tags.get(_BITS, ()))) != 1:
        raise ValueError("a TIFF whose samples are not unsigned integers of one depth")
    if not any(_within(content, tags, *names) for names in _DATA):
        raise ValueError("a TIFF whose data are missing or truncated")
    return TiffHeader(rows, cols, bits, _one(tags, _PHOTOMETRIC, 1) == 0)


def _directory(content: bytes, order: str, at: int) -> tuple[dict[int, tuple[int, ...]], int]:
    count = struct.unpack_from(order + "H", content, at)[0]
    if count > _MAX_ENTRIES:
        raise ValueError("a damaged TIFF (directory)")
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", content, entry)
        if kind not in _TYPES:
            continue
        if length > _MAX_VALUES:
            raise ValueError("a damaged TIFF (directory)")
        form = f"{order}{length}{_TYPES[kind]}"
        inline = struct.calcsize(form) <= 4
        where = entry + 8 if inline else struct.unpack_from(order + "I", content, entry + 8)[0]
        tags[tag] = struct.unpack_from(form, content, where)
    return tags, struct.unpack_from(order + "I", content, at + 2 + 12 * count)[0]


def _one(tags: dict[int, tuple[int, ...]], tag: int, default: int) -> int:
    return next(iter(tags.get(tag, ())), default)


def _within(content: bytes, tags: dict[int, tuple[int, ...]], offsets: int, counts: int) -> bool:
    starts, lengths = tags.get(offsets, ()), tags.get(counts, ())
    if not starts or len(starts) != len(lengths):
        return False
    return all(
        length > 0 and start + length <= len(content) for start, length in zip(starts, lengths, strict=True)
    )
