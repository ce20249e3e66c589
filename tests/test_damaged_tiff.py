"""TIFF files with strips or tiles missing, short or damaged, and layouts that OpenCV decodes wrongly."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from calcigraph.errors import UnreadableImage
from calcigraph.io import read_mammogram

ROWS, COLS, TALL = 100, 90, 10
TILE = 32
RAW, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
STRIP_TAGS, TILE_TAGS = (273, 279), (324, 325)
Tags = Mapping[int, tuple[int, ...]]


def ramp(bits: int) -> np.ndarray:
    values = np.linspace(0.05, 1, ROWS * COLS) + np.random.default_rng(0).normal(0, 0.02, ROWS * COLS)
    return np.round(values.clip(0, 1) * ((1 << bits) - 1)).reshape(ROWS, COLS).astype(f"u{bits // 8}")


def tiff(
    pieces: list[bytes], bits: int, tags: Tags | None = None, named: tuple[int, int] = STRIP_TAGS
) -> bytes:
    """Write a little-endian TIFF of these strips or tiles; every tag as 32 bit."""
    body, starts = b"II*\0\0\0\0\0", []
    for piece in pieces:
        starts.append(len(body))
        body += piece
    entries = {256: (COLS,), 257: (ROWS,), 258: (bits,), 259: (RAW,), 262: (1,), **(tags or {})}
    entries |= {named[0]: tuple(starts), named[1]: tuple(len(piece) for piece in pieces)}
    directory = struct.pack("<H", len(entries))
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            packed, body = struct.pack("<I", len(body)), body + packed
        directory += struct.pack("<HHI", tag, 4, len(values)) + packed
    return body[:4] + struct.pack("<I", len(body)) + body[8:] + directory + bytes(4)


def strips(pixels: np.ndarray) -> list[bytes]:
    return [pixels[at : at + TALL].tobytes() for at in range(0, ROWS, TALL)]


def tiles(pixels: np.ndarray) -> list[bytes]:
    padded = np.pad(pixels, ((0, -ROWS % TILE), (0, -COLS % TILE)))
    places = [(r, c) for r in range(0, ROWS, TILE) for c in range(0, COLS, TILE)]
    return [np.ascontiguousarray(padded[r : r + TILE, c : c + TILE]).tobytes() for r, c in places]


def read(folder: Path, content: bytes) -> np.ndarray:
    path = folder / "a.tif"
    path.write_bytes(content)
    return read_mammogram(path, spacing_mm=0.1).pixels


def refused(folder: Path, content: bytes) -> str:
    with pytest.raises(UnreadableImage) as caught:
        read(folder, content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def in_pieces(kind: str, bits: int, compression: int, change: Callable[[list[bytes]], None]) -> bytes:
    """Write the ramp in strips or tiles, raw or Deflate, after a change of the list of them."""
    pieces = strips(ramp(bits)) if kind == "strips" else tiles(ramp(bits))
    if compression == DEFLATE:
        pieces = [zlib.compress(piece) for piece in pieces]
    change(pieces)
    if kind == "strips":
        return tiff(pieces, bits, {259: (compression,), 278: (TALL,)})
    return tiff(pieces, bits, {259: (compression,), 322: (TILE,), 323: (TILE,)}, TILE_TAGS)


def nothing(pieces: list[bytes]) -> None:
    pass


def half_of_them(pieces: list[bytes]) -> None:
    del pieces[len(pieces) // 2 :]


def half_of_each(pieces: list[bytes]) -> None:
    pieces[:] = [piece[: len(piece) // 2] for piece in pieces]


def garbage(pieces: list[bytes]) -> None:
    pieces[5] = b"\xff" * len(pieces[5])


def a_wrong_byte_at_the_end(pieces: list[bytes]) -> None:
    """Of the checksum: the pixels before it may be right, or not."""
    pieces[5] = pieces[5][:-1] + bytes([pieces[5][-1] ^ 1])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", [RAW, DEFLATE])
@pytest.mark.parametrize("kind", ["strips", "tiles"])
def test_whole_files_are_read(tmp_path: Path, kind: str, compression: int, bits: int) -> None:
    pixels = read(tmp_path, in_pieces(kind, bits, compression, nothing))
    np.testing.assert_allclose(pixels, ramp(bits) / ((1 << bits) - 1), atol=1e-6)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["strips", "tiles"])
def test_pieces_that_are_missing_or_short(tmp_path: Path, kind: str, bits: int) -> None:
    for compression in (RAW, DEFLATE):
        words = refused(tmp_path, in_pieces(kind, bits, compression, half_of_them))
        assert f"a damaged TIFF ({'5 of 10 strips' if kind == 'strips' else '6 of 12 tiles'})" in words
    assert "too few bytes" in refused(tmp_path, in_pieces(kind, bits, RAW, half_of_each))
    assert "a damaged TIFF" in refused(tmp_path, in_pieces(kind, bits, DEFLATE, half_of_each))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["strips", "tiles"])
@pytest.mark.parametrize("change", [garbage, a_wrong_byte_at_the_end])
def test_damaged_deflate(tmp_path: Path, change: Callable[[list[bytes]], None], kind: str, bits: int) -> None:
    assert "a damaged TIFF" in refused(tmp_path, in_pieces(kind, bits, DEFLATE, change))


def test_deflate_of_too_few_pixels(tmp_path: Path) -> None:
    def shorter(pieces: list[bytes]) -> None:
        pieces[5] = zlib.compress(zlib.decompress(pieces[5])[:-COLS])

    for bits in (8, 16):
        assert "a damaged TIFF" in refused(tmp_path, in_pieces("strips", bits, DEFLATE, shorter))


@pytest.mark.parametrize("bits", [8, 16])
def test_damaged_lzw(tmp_path: Path, capfd: pytest.CaptureFixture[str], bits: int) -> None:
    options = [cv2.IMWRITE_TIFF_COMPRESSION, LZW, cv2.IMWRITE_TIFF_ROWSPERSTRIP, ROWS]
    content = bytearray(cv2.imencode(".tif", ramp(bits), options)[1].tobytes())
    np.testing.assert_allclose(read(tmp_path, bytes(content)), ramp(bits) / ((1 << bits) - 1), atol=1e-6)
    content[len(content) // 2 : len(content) // 2 + 40] = b"\xff" * 40
    assert "a damaged TIFF" in refused(tmp_path, bytes(content))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bits", [8, 16])
def test_damaged_packbits(tmp_path: Path, bits: int) -> None:
    run = 90  # of bytes as they are, after their number less one
    pieces = [
        b"".join(bytes([run - 1]) + s[k : k + run] for k in range(0, len(s), run)) for s in strips(ramp(bits))
    ]
    tags = {259: (PACKBITS,), 278: (TALL,)}
    np.testing.assert_allclose(
        read(tmp_path, tiff(pieces, bits, tags)), ramp(bits) / ((1 << bits) - 1), atol=1e-6
    )
    pieces[5] = pieces[5][: 5 * (run + 1)] + b"\x80" * 5 * (run + 1)  # of which each stands for nothing
    assert "a damaged TIFF" in refused(tmp_path, tiff(pieces, bits, tags))


def test_a_directory_without_a_size_is_damaged(tmp_path: Path) -> None:
    whole = strips(ramp(8))
    for tags in ({278: (0,)}, {277: (0,)}, {322: (0,), 323: (TILE,)}):
        assert "a damaged TIFF" in refused(tmp_path, tiff(whole, 8, {278: (TALL,), **tags}))
    assert "of 4294967295 strips" in refused(tmp_path, tiff(whole, 8, {257: (2**32 - 1,), 278: (1,)}))


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_grey_with_alpha_is_never_cut_to_8_bit(tmp_path: Path, extra: int) -> None:
    both = np.dstack([ramp(16), ramp(16)[::-1]])
    content = tiff(strips(both), 16, {277: (2,), 278: (TALL,), 338: (extra,)})
    assert "a TIFF of 16 bit with an alpha channel" in refused(tmp_path, content)


def test_planes_of_16_bit_are_named(tmp_path: Path) -> None:
    tags = {262: (2,), 277: (3,), 278: (TALL,), 284: (2,)}
    assert "PlanarConfiguration 2" in refused(tmp_path, tiff(3 * strips(ramp(16)), 16, tags))
    np.testing.assert_allclose(read(tmp_path, tiff(3 * strips(ramp(8)), 8, tags)), ramp(8) / 255, atol=1e-6)
    assert "10 of 30 strips" in refused(tmp_path, tiff(strips(ramp(8)), 8, tags))


def test_colours_are_not_multiplied_by_alpha(tmp_path: Path) -> None:
    grey, tags = ramp(8), {262: (2,), 277: (4,), 278: (TALL,), 338: (2,)}
    assert "ExtraSamples 2" in refused(tmp_path, tiff(strips(np.dstack([grey] * 3 + [grey[::-1]])), 8, tags))
    opaque = np.dstack([grey] * 3 + [np.full_like(grey, 255)])
    np.testing.assert_allclose(read(tmp_path, tiff(strips(opaque), 8, tags)), grey / 255, atol=1e-6)
