from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import uid

from calcigraph.errors import MissingSpacing, UnreadableImage
from calcigraph.io import read_mammogram
from dicom_files import dicom, save, some_pixels
from malformed import malformed_files


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return malformed_files(tmp_path_factory.mktemp("malformed"))


def outcome(path: Path, spacing_mm: float | None = None) -> str:
    """Read a file: "" for an ordinary mammogram, else the error's one line."""
    try:
        mammogram = read_mammogram(path, spacing_mm=spacing_mm)
    except UnreadableImage as error:
        text = str(error)
        assert len(text.splitlines()) == 1
        assert "; allowed: " in text
        return text
    assert mammogram.pixels.dtype == np.float32
    assert mammogram.pixels.ndim == 2
    assert np.isfinite(mammogram.pixels).all()
    assert mammogram.pixels.min() >= 0
    assert mammogram.pixels.max() <= 1
    assert all(0.005 <= v <= 2 for v in mammogram.spacing_mm)
    return ""


def test_every_malformed_file_is_refused_in_one_line(
    files: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(files) > 150
    for spacing_mm in (None, 0.05):
        for path in files.values():
            outcome(path, spacing_mm)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "kind",
    ["cut_at", "compressed_cut", "wrong_frame", "deflated", "tag_window", "tag_voi", "tag_bits", "tag_rows"],
)
def test_damage_of_these_kinds_never_passes(files: dict[str, Path], kind: str) -> None:
    chosen = {
        name: path for name, path in files.items() if name.startswith(kind) and "window_huge" not in name
    }
    assert chosen
    passed = [name for name, path in chosen.items() if outcome(path, 0.05) == ""]
    # A JPEG of the right size is what it says, whichever JPEG syntax the header names.
    assert set(passed) <= {
        "wrong_frame_jpeg_as_lossless",
        "wrong_frame_jpeg_as_12_bit",
        "tag_bits_allocated_8",
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty", "empty file"),
        ("text", "unknown format"),
        ("html", "text file"),
        ("zip_called_dcm", "zip archive"),
        ("a folder", "a folder"),
        ("missing", "no such file"),
        ("tag_header_60000", "60000 × 60000"),
        ("tag_tiny", "4 × 4"),
        ("tag_frames_30", "30 frames"),
        ("tag_colour", "RGB"),
        ("tag_ct", "modality CT"),
        ("tag_report", "modality SR"),
        ("tag_window_width_0", "width 0"),
        ("tag_window_beside_the_image", "shows none"),
        ("no_pixel_data", "without pixel data"),
        ("wrong_frame_huge", "60000 × 60000"),
        ("cut_at_90", "cannot be decoded"),
        ("compressed_cut_RLE_5", "breaks off before its image"),
        ("deflated_bomb", "more than 256 MiB"),
        ("colour__png", "in colour"),
        ("one_pixel__png", "1 × 1"),
        ("huge_header__png", "60000 × 60000"),
        ("huge_header__jpg", "60000 × 60000"),
        ("pages__tif", "several pages"),
        ("lzma__tif", "compression 34925"),
        ("animated__png", "an animated PNG"),
        ("cut_50__jpg", "truncated JPEG"),
        ("cut_50__tif", "truncated"),
        ("cut_50__png", "truncated PNG"),
        ("cut_50__pgm", "truncated PGM"),
        ("bad_checksum__png", "checksum"),
        ("floating__tif", "unsigned integers"),
    ],
)
def test_the_line_says_what_is_wrong(files: dict[str, Path], name: str, words: str) -> None:
    assert words in outcome(files[name], 0.05)


def test_missing_spacing_says_how_to_give_it(files: dict[str, Path]) -> None:
    for name in ("tag_no_spacing", "type_spacing_nan", "type_spacing_0", "tag_magnification_0"):
        with pytest.raises(MissingSpacing, match="--spacing"):
            read_mammogram(files[name])
        assert outcome(files[name], 0.05) == ""


SYNTAXES = [uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEG2000Lossless, uid.JPEGLosslessSV1]


@functools.cache
def good(kind: str) -> bytes:
    """A small and healthy file; not a fixture, because hypothesis prints those."""
    if kind.startswith("."):
        return bytes(cv2.imencode(kind, (some_pixels(12) >> 4).astype(np.uint8))[1].tobytes())
    with tempfile.TemporaryDirectory() as folder:
        return save(dicom(), Path(folder) / "a.dcm", uid.UID(kind)).read_bytes()


KINDS = [*SYNTAXES, ".png", ".tif", ".jpg", ".pgm"]


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_flipped_bytes_never_raise_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(good(data.draw(st.sampled_from(KINDS))))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path / "a"
    path.write_bytes(content[:cut] if data.draw(st.booleans()) else content)
    outcome(path, 0.05)
