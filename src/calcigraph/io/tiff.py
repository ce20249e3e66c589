"""The first directory of a TIFF file (TIFF 6.0, sections 2 and 15) and its data, checked before OpenCV decodes it."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

Tags = dict[int, tuple[int, ...]]

_TYPES = {1: "B", 3: "H", 4: "I"}
_COLS, _ROWS, _BITS, _ORIENTATION, _SAMPLES, _FORMAT, _PHOTOMETRIC = 256, 257, 258, 274, 277, 339, 262
_COMPRESSION, _FILL_ORDER, _STRIP_ROWS, _PLANES, _TILE_COLS, _TILE_ROWS, _EXTRA = (
    259,
    266,
    278,
    284,
    322,
    323,
    338,
)
_DATA = ((324, 325), (273, 279))  # offsets and byte counts of tiles, of strips
_RAW, _DEFLATE, _YCBCR, _UNASSOCIATED_ALPHA = 1, (8, 32946), 6, 2
_DECODED = {_RAW, *_DEFLATE, 5, 7, 32773}
"""Compressions that OpenCV has everywhere: none, Deflate, LZW, JPEG, PackBits."""
_MAX_ENTRIES, _MAX_VALUES, _PART_BYTES = 512, 1 << 20, 1 << 20


@dataclass(frozen=True)
class TiffHeader:
    """Size, bits per sample, whether 0 is white, and whether decoding multiplies the colours by an alpha channel."""

    rows: int
    cols: int
    bits: int
    white_is_zero: bool
    times_alpha: bool


@dataclass(frozen=True)
class _Piece:
    """A strip or tile: where it starts, how many bytes it takes, and how many it has once decoded."""

    start: int
    length: int
    decoded: int


def tiff_header(content: bytes) -> TiffHeader:
    """Read and check the only page of a TIFF file.

    Raises:
        ValueError: more pages, BigTIFF, an unusual compression, floating point, another orientation, a layout that
            OpenCV decodes wrongly, missing or truncated data.
    """
    try:
        return _header(content)
    except struct.error:
        raise ValueError("a truncated TIFF") from None


def check_tiff_data(content: bytes) -> None:
    """Decompress the data of a TIFF whose header is sound and not too large, since OpenCV ignores most damage.

    Of 8 bit it keeps what it has of a damaged piece, of 16 it refuses, but never looks at the checksum of Deflate.
    PackBits and LZW have no checksum: damage that is valid code of the right length cannot be seen.

    Raises:
        ValueError: damaged data.
    """
    tags, _ = _tags(content)
    compression = _one(tags, _COMPRESSION, _RAW)
    if compression in _DEFLATE and _one(tags, _FILL_ORDER, 1) == 1:
        data = memoryview(content)
        if not all(_inflates(data[p.start : p.start + p.length], p.decoded) for p in _pieces(tags)):
            raise ValueError("a damaged TIFF (compressed data)")
    elif compression != _RAW and _one(tags, _BITS, 0) == 8:
        _check_by_pillow(content)


def _header(content: bytes) -> TiffHeader:
    if content[2:4] not in (b"*\0", b"\0*"):
        raise ValueError("a BigTIFF")
    tags, next_page = _tags(content)
    if next_page:
        raise ValueError("a TIFF of several pages")
    if (compression := _one(tags, _COMPRESSION, _RAW)) not in _DECODED:
        raise ValueError(f"a TIFF of compression {compression}")
    rows, cols, bits = (_one(tags, tag, 0) for tag in (_ROWS, _COLS, _BITS))
    if _one(tags, _ORIENTATION, 1) != 1:
        raise ValueError(f"a TIFF of orientation {_one(tags, _ORIENTATION, 1)}")
    if set(tags.get(_FORMAT, (1,))) != {1} or len(set(tags.get(_BITS, ()))) != 1:
        raise ValueError("a TIFF whose samples are not unsigned integers of one depth")
    if bits == 16:
        _check_samples(tags)
    _check_pieces(content, tags)
    times_alpha = bits == 8 and _UNASSOCIATED_ALPHA in tags.get(_EXTRA, ())
    return TiffHeader(rows, cols, bits, _one(tags, _PHOTOMETRIC, 1) == 0, times_alpha)


def _check_samples(tags: Tags) -> None:
    """Refuse what OpenCV decodes wrongly at 16 bit, without a word."""
    samples = _one(tags, _SAMPLES, 1)
    if samples == 2:
        raise ValueError("a TIFF of 16 bit with an alpha channel (SamplesPerPixel 2)")
    if samples > 1 and _one(tags, _PLANES, 1) == 2:
        raise ValueError("a TIFF of 16 bit in separate planes (PlanarConfiguration 2)")


def _check_pieces(content: bytes, tags: Tags) -> None:
    pieces = _pieces(tags)
    if any(piece.length <= 0 or piece.start + piece.length > len(content) for piece in pieces):
        raise ValueError("a TIFF whose data are missing or truncated")
    if _one(tags, _COMPRESSION, _RAW) == _RAW and any(piece.length < piece.decoded for piece in pieces):
        raise ValueError("a damaged TIFF (strips or tiles of too few bytes)")


def _pieces(tags: Tags) -> list[_Piece]:
    """List the strips or tiles that the image's size needs; ValueError where there are fewer."""
    starts, lengths = next(((tags[a], tags[b]) for a, b in _DATA if a in tags and b in tags), ((), ()))
    if not starts or len(starts) != len(lengths):
        raise ValueError("a TIFF whose data are missing or truncated")
    rows, cols, samples = _one(tags, _ROWS, 0), _one(tags, _COLS, 0), _one(tags, _SAMPLES, 1)
    tiled = _TILE_COLS in tags
    tall = _one(tags, _TILE_ROWS, 0) if tiled else min(_one(tags, _STRIP_ROWS, rows), rows)
    wide = _one(tags, _TILE_COLS, 0) if tiled else cols
    if min(tall, wide, samples) < 1:
        raise ValueError("a damaged TIFF (directory)")
    planes = samples if _one(tags, _PLANES, 1) == 2 else 1
    down, across = -(-rows // tall), -(-cols // wide)
    needed = down * across * planes
    if len(starts) < needed:
        raise ValueError(f"a damaged TIFF ({len(starts)} of {needed} {'tiles' if tiled else 'strips'})")
    # Of YCbCr, whose colours may be of half the size, the brightness at least.
    each = 1 if _one(tags, _PHOTOMETRIC, 1) == _YCBCR else samples // planes
    line = -(-wide * each * _one(tags, _BITS, 0) // 8)
    # Tiles are padded; the last strip need not be.
    decoded = (line * (tall if tiled else min(tall, rows - k % down * tall)) for k in range(needed))
    return [_Piece(*three) for three in zip(starts[:needed], lengths[:needed], decoded, strict=True)]


def _inflates(data: memoryview, least: int) -> bool:
    """Whether a zlib stream is whole, its checksum right and its content long enough; a part at a time in memory."""
    inflater, length = zlib.decompressobj(), 0
    left: bytes | memoryview = data
    try:
        while not inflater.eof:
            part = inflater.decompress(left, _PART_BYTES)
            left, length = inflater.unconsumed_tail, length + len(part)
            if not part and not left:
                break
    except zlib.error:
        return False
    return inflater.eof and length >= least


def _check_by_pillow(content: bytes) -> None:
    try:
        Image.open(io.BytesIO(content), formats=["TIFF"]).load()
    except UnidentifiedImageError:
        raise ValueError("a compressed TIFF of a kind that cannot be checked for damage") from None
    except Exception:  # Pillow's own, and whatever odd tags lead to: it names no class for them
        raise ValueError("a damaged TIFF (compressed data)") from None


def _tags(content: bytes) -> tuple[Tags, int]:
    order = "<" if content[:2] == b"II" else ">"
    return _directory(content, order, struct.unpack_from(order + "I", content, 4)[0])


def _directory(content: bytes, order: str, at: int) -> tuple[Tags, int]:
    count = struct.unpack_from(order + "H", content, at)[0]
    if count > _MAX_ENTRIES:
        raise ValueError("a damaged TIFF (directory)")
    tags: Tags = {}
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


def _one(tags: Tags, tag: int, default: int) -> int:
    return next(iter(tags.get(tag, ())), default)
