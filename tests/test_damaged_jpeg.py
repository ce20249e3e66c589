"""JPEG data with a stretch missing: libjpeg makes the rest up, says so on standard error only, and goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import dcmread, dcmwrite, uid
from pydicom.encaps import encapsulate, generate_frames

from calcigraph.errors import UnreadableImage
from calcigraph.io import read_mammogram
from calcigraph.io.quiet import overhear, quiet
from dicom_files import dicom, save

JPEG_SYNTAXES = (uid.JPEGLosslessSV1, uid.JPEGLossless, uid.JPEGBaseline8Bit)


def smooth(bits: int) -> np.ndarray:
    ramp = np.linspace(0.1, 0.9, 256 * 256).reshape(256, 256)
    noise = np.random.default_rng(0).normal(0, 0.015, ramp.shape)
    values = np.round((ramp + noise).clip(0, 1) * ((1 << bits) - 1))
    return values.astype(np.uint8 if bits == 8 else np.uint16)


def without_a_stretch(data: bytes, share: float = 0.5) -> bytes:
    at = int(share * len(data))
    return data[:at] + data[at + 400 :]


def damaged_dicom(folder: Path, syntax: uid.UID, bits: int) -> Path:
    path = save(dicom(smooth(bits), bits=bits), folder / f"{syntax[-2:].strip('.')}_{bits}.dcm", syntax)
    dataset = dcmread(path)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([without_a_stretch(frame)])
    dataset["PixelData"].is_undefined_length = True
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


def jpeg(*options: int) -> bytes:
    return bytes(cv2.imencode(".jpg", smooth(8), [cv2.IMWRITE_JPEG_QUALITY, 95, *options])[1].tobytes())


@pytest.mark.parametrize(
    ("syntax", "bits"),
    [(s, b) for s in JPEG_SYNTAXES for b in (8, 12, 16) if b == 8 or s != uid.JPEGBaseline8Bit],
)
def test_dicom_with_a_stretch_missing_is_refused(
    tmp_path: Path, syntax: uid.UID, bits: int, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = save(dicom(smooth(bits), bits=bits), tmp_path / "whole.dcm", syntax)
    assert read_mammogram(whole).shape == (256, 256)
    with pytest.raises(UnreadableImage, match="damaged JPEG data"):
        read_mammogram(damaged_dicom(tmp_path, syntax, bits))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "options", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 8)]
)
def test_jpeg_files_with_a_stretch_missing_are_refused(
    tmp_path: Path, options: tuple[int, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    whole, path = jpeg(*options), tmp_path / "a.jpg"
    path.write_bytes(whole)
    np.testing.assert_allclose(
        read_mammogram(path, spacing_mm=0.1).pixels,
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED) / 255,
        atol=1e-6,
    )
    # The later scans of a progressive file hold fine corrections: any bytes are valid there, nothing is missed.
    for damaged in (without_a_stretch(whole, 0.25), whole[: len(whole) // 2] + whole[-2:]):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableImage, match="a damaged JPEG"):
            read_mammogram(path, spacing_mm=0.1)
    assert capfd.readouterr() == ("", "")


def test_threads_do_not_mix_up_whole_and_damaged_files(tmp_path: Path) -> None:
    (tmp_path / "whole.jpg").write_bytes(jpeg())
    (tmp_path / "damaged.jpg").write_bytes(without_a_stretch(jpeg()))

    def is_read(name: str) -> bool:
        try:
            read_mammogram(tmp_path / f"{name}.jpg", spacing_mm=0.1)
        except UnreadableImage:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(is_read, ["whole", "damaged"] * 20)) == [True, False] * 20


def test_a_process_without_standard_error_refuses_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(without_a_stretch(jpeg()))
    program = (
        "import os, sys; from calcigraph.io import read_mammogram; os.close(2)\n"
        "try: read_mammogram(sys.argv[1], spacing_mm=0.1)\n"
        "except Exception as error: print(error)\n"
        "try: os.fstat(2)\n"
        "except OSError: print('closed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert "a damaged JPEG" in done.stdout
    assert "closed" in done.stdout


def open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_overhear_keeps_the_words_from_the_terminal_and_gives_it_back(
    capfd: pytest.CaptureFixture[str],
) -> None:
    files = open_files()
    with quiet(), overhear() as outer:
        os.write(2, b"one")
        with overhear() as inner:
            os.write(2, b"two")
    os.write(2, b"three")
    with pytest.raises(KeyError), overhear() as failed:
        os.write(2, b"four")
        raise KeyError
    assert (outer.text, inner.text, failed.text) == (b"one", b"two", b"four")
    assert capfd.readouterr().err == "three"
    assert open_files() == files
