from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from calcigraph.errors import MissingSpacing, UnreadableImage
from calcigraph.io import read_mammogram
from dicom_files import some_pixels
from real_data import real_data

SPACING = 0.07


def write(path: Path, pixels: np.ndarray, *options: int) -> Path:
    path.write_bytes(cv2.imencode(path.suffix, pixels, list(options))[1].tobytes())
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_grey_of_every_depth(tmp_path: Path, suffix: str, bits: int) -> None:
    pixels = some_pixels(bits)
    mammogram = read_mammogram(write(tmp_path / f"a{suffix}", pixels), spacing_mm=SPACING)
    np.testing.assert_allclose(mammogram.pixels, pixels / ((1 << bits) - 1), atol=1e-6)
    assert mammogram.pixels.dtype == np.float32
    assert mammogram.spacing_mm == (SPACING, SPACING)
    assert mammogram.image_id == "a"


def test_jpeg_is_read_as_its_decoder_gives_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jpg", some_pixels(8))
    expected = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) / 255
    np.testing.assert_allclose(read_mammogram(path, spacing_mm=SPACING).pixels, expected, atol=1e-6)


@pytest.mark.parametrize("compression", [1, 5, 8, 32773])
def test_tiff_compressions(tmp_path: Path, compression: int) -> None:
    pixels = some_pixels(16)
    path = write(tmp_path / "a.tif", pixels, cv2.IMWRITE_TIFF_COMPRESSION, compression)
    np.testing.assert_allclose(read_mammogram(path, spacing_mm=SPACING).pixels, pixels / 65535, atol=1e-6)


def test_what_counts_is_the_content_not_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", some_pixels(8)).rename(tmp_path / "a.dcm")
    assert read_mammogram(path, spacing_mm=SPACING).shape == (48, 40)


@pytest.mark.parametrize("channels", [3, 4])
def test_equal_channels_are_grey(tmp_path: Path, channels: int) -> None:
    grey = some_pixels(8)
    layers = [grey] * 3 + [np.full_like(grey, 200)] * (channels - 3)
    mammogram = read_mammogram(write(tmp_path / "a.png", np.dstack(layers)), spacing_mm=SPACING)
    np.testing.assert_allclose(mammogram.pixels, grey / 255, atol=1e-6)
    assert any(f"first of {channels} channels" in t for t in mammogram.transforms)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_colour_is_refused(tmp_path: Path, channel: int) -> None:
    layers = np.dstack([some_pixels(8)] * 3)
    layers[20, 20, channel] ^= 64
    with pytest.raises(UnreadableImage, match="in colour"):
        read_mammogram(write(tmp_path / "a.png", layers), spacing_mm=SPACING)


def test_printing_resolution_is_not_trusted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", some_pixels(8), cv2.IMWRITE_TIFF_XDPI, 254, cv2.IMWRITE_TIFF_YDPI, 254)
    with pytest.raises(MissingSpacing, match="--spacing"):
        read_mammogram(path)


def test_white_is_zero_in_tiff(tmp_path: Path) -> None:
    """Whatever the byte values mean, 0 shows white there; both depths come out the same way."""
    for bits in (8, 16):
        pixels = some_pixels(bits)
        path = write(tmp_path / "a.tif", pixels, cv2.IMWRITE_TIFF_COMPRESSION, 1)
        content = bytearray(path.read_bytes())
        at = content.index(b"\x06\x01\x03\x00\x01\x00\x00\x00\x01\x00")
        content[at + 8] = 0
        path.write_bytes(content)
        mammogram = read_mammogram(path, spacing_mm=SPACING)
        np.testing.assert_allclose(mammogram.pixels, 1 - pixels / ((1 << bits) - 1), atol=1e-6)
        assert any("white" in t for t in mammogram.transforms)


@pytest.mark.parametrize("white", [100, 200, 1000, 4095, 40000])
def test_white_of_a_pgm_is_what_it_says(tmp_path: Path, white: int) -> None:
    pixels = np.linspace(0, white // 5, 48 * 40).astype(">u2" if white > 255 else np.uint8).reshape(48, 40)
    path = tmp_path / "a.pgm"
    path.write_bytes(f"P5\n40 48\n{white}\n".encode() + pixels.tobytes())
    mammogram = read_mammogram(path, spacing_mm=SPACING)
    np.testing.assert_allclose(mammogram.pixels, pixels / white, atol=1e-6)
    assert any(f"divided by {white}" in t for t in mammogram.transforms)
    pixels[20, 20] = white + 1
    path.write_bytes(f"P5\n40 48\n{white}\n".encode() + pixels.tobytes())
    with pytest.raises(UnreadableImage, match=f"a damaged PGM .a sample of {white + 1}, white being {white}"):
        read_mammogram(path, spacing_mm=SPACING)


@pytest.mark.real
def test_real_film_and_jpeg() -> None:
    film = read_mammogram(real_data("mini_mias", "mdb004.png"), spacing_mm=0.2)
    assert film.shape == (1024, 1024)
    digital = read_mammogram(real_data("cdd_cesm_normals", "left_IM0041.jpg"), spacing_mm=0.1)
    assert any("3 channels" in t for t in digital.transforms)
    crop = sorted(real_data("pisa_roi", "1").glob("*.pgm"))[0]
    assert read_mammogram(crop, spacing_mm=0.1).shape == (60, 60)
