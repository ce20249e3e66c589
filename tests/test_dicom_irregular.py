"""DICOM files at the edge of the standard: byte orders, signs of tables, codes, mislabelled pixel data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite, uid
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sr._snomed_dict import mapping

from calcigraph.errors import UnreadableImage
from calcigraph.io import read_mammogram
from calcigraph.lexicon import LEGACY_VIEW_CODES, VIEW_CODES, View
from dicom_files import dicom, save, some_pixels

CURVE = np.round(65535 * np.linspace(0, 1, 4096) ** 2).astype(np.uint16)
DEFLATED_MENTIONED = "was 1.2.840.10008.1.2.1.99"


def lut_item(data: np.ndarray, first: int, bits: int = 16, *, order: str = "<") -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(data), first, bits])
    words = data.astype("<u2") if data.dtype != np.uint8 else data.view("<u2")
    item.add_new("LUTData", "OW", words.astype(f"{order}u2").tobytes())
    return item


def by_pydicom(path: Path) -> np.ndarray:
    dataset = dcmread(path)
    return apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset, prefer_lut=True) / 65535


@pytest.mark.parametrize("order", ["<", ">"])
def test_words_of_a_voi_lut_follow_the_byte_order_of_the_file(tmp_path: Path, order: str) -> None:
    syntax = uid.ExplicitVRLittleEndian if order == "<" else uid.ExplicitVRBigEndian
    path = save(dicom(VOILUTSequence=[lut_item(CURVE, 0, order=order)]), tmp_path / "a.dcm", syntax)
    pixels = read_mammogram(path).pixels
    np.testing.assert_allclose(pixels, CURVE[some_pixels()] / 65535, atol=1e-6)
    np.testing.assert_allclose(pixels, by_pydicom(path), atol=1e-6)


def test_words_of_a_modality_lut_follow_the_byte_order_of_the_file(tmp_path: Path) -> None:
    read = []
    for order, syntax in (("<", uid.ExplicitVRLittleEndian), (">", uid.ExplicitVRBigEndian)):
        item = lut_item(CURVE, 0, order=order)
        item.ModalityLUTType = "US"
        read.append(
            read_mammogram(save(dicom(ModalityLUTSequence=[item]), tmp_path / "a.dcm", syntax)).pixels
        )
    np.testing.assert_array_equal(read[0], read[1])
    np.testing.assert_allclose(read[0], CURVE[some_pixels()] / 65535, atol=1e-6)


@pytest.mark.parametrize("order", ["<", ">"])
def test_bytes_of_a_table_of_8_bit_lie_in_words(tmp_path: Path, order: str) -> None:
    curve = (CURVE[::16] >> 8).astype(np.uint8)
    syntax = uid.ExplicitVRLittleEndian if order == "<" else uid.ExplicitVRBigEndian
    dataset = dicom(
        some_pixels(8).astype(np.uint16), bits=8, VOILUTSequence=[lut_item(curve, 0, 8, order=order)]
    )
    pixels = read_mammogram(save(dataset, tmp_path / "a.dcm", syntax)).pixels
    np.testing.assert_allclose(pixels, curve[some_pixels(8)] / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("signed", "bits", "intercept", "first", "expected"),
    [
        (True, 16, 32768, 40000, 40000),  # signed pixels, unsigned values
        (False, 16, -1000, 40000, 40000),  # some values below 0, and some above 32767
        (True, 12, 0, -1000, -1000),
        (True, 12, 0, 65536 - 1000, -1000),  # written as unsigned where the values are signed
        (True, 12, 0, 65536 - 2500, -2500),  # the same, from below the least value
        (False, 12, -3000, 65536 - 3000, -3000),
        (False, 16, 0, 40000 - 65536, 40000),  # written as signed where the values are unsigned
        (False, 12, 0, -100, -100),  # from below the least value
    ],
)
def test_the_sign_of_a_voi_lut_follows_the_values_after_the_modality_transform(
    tmp_path: Path, signed: bool, bits: int, intercept: int, first: int, expected: int
) -> None:
    pixels, table = some_pixels(bits, signed=signed), CURVE[:: 1 if bits == 12 else 2]
    table = table if bits == 12 else np.repeat(table, 10)
    dataset = dicom(
        pixels, bits=bits, RescaleSlope=1, RescaleIntercept=intercept, VOILUTSequence=[lut_item(table, first)]
    )
    path = save(dataset, tmp_path / "a.dcm")
    mammogram = read_mammogram(path)
    index = np.clip(pixels.astype(np.int64) + intercept - expected, 0, len(table) - 1)
    np.testing.assert_allclose(mammogram.pixels, table[index] / 65535, atol=1e-6)
    assert any(f"entries from {expected}," in t for t in mammogram.transforms)
    if first == expected and first > 0:
        np.testing.assert_allclose(mammogram.pixels, by_pydicom(path), atol=1e-6)


def test_the_sign_of_a_modality_lut_follows_the_stored_values(tmp_path: Path) -> None:
    pixels = some_pixels(signed=True)
    item = lut_item(CURVE, 65536 - 2048)
    item.ModalityLUTType = "US"
    mammogram = read_mammogram(save(dicom(pixels, ModalityLUTSequence=[item]), tmp_path / "a.dcm"))
    np.testing.assert_allclose(mammogram.pixels, CURVE[pixels.astype(int) + 2048] / 65535, atol=1e-6)


def test_only_the_transfer_syntax_makes_a_file_deflated(tmp_path: Path) -> None:
    plain = read_mammogram(save(dicom(), tmp_path / "a.dcm")).pixels
    for syntax in (
        uid.ExplicitVRLittleEndian,
        uid.ImplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
    ):
        path = save(dicom(StudyDescription=DEFLATED_MENTIONED), tmp_path / "a.dcm", syntax)
        np.testing.assert_array_equal(read_mammogram(path).pixels, plain)


def long_meta(dataset: FileDataset) -> FileDataset:
    """Put more than 4096 bytes before the transfer syntax's end."""
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.3"
    dataset.file_meta.PrivateInformation = bytes(6000)
    return dataset


def test_a_deflated_file_is_bounded_wherever_its_syntax_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(long_meta(dicom()), tmp_path / "a.dcm", uid.DeflatedExplicitVRLittleEndian)
    assert read_mammogram(path).shape == (48, 40)
    content = path.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    no_group_length = tmp_path / "b.dcm"  # not where a fixed place would look for it
    no_group_length.write_bytes(content[:132] + content[144:])
    assert read_mammogram(no_group_length).shape == (48, 40)
    monkeypatch.setattr("calcigraph.io.parse.MAX_FILE_BYTES", 1000)
    for deflated in (path, no_group_length):
        with pytest.raises(UnreadableImage, match="deflated DICOM file of more than"):
            read_mammogram(deflated)
    broken = tmp_path / "c.dcm"
    broken.write_bytes(content[: 144 + length] + b"\xff" * 300)
    with pytest.raises(UnreadableImage, match=r"\(damaged deflated data\)"):
        read_mammogram(broken)


@pytest.mark.parametrize("view", VIEW_CODES)
def test_every_code_that_srt_has_for_a_view_is_known(tmp_path: Path, view: View) -> None:
    old = [srt for srt, sct in mapping["SRT"].items() if sct == VIEW_CODES[view].value]
    assert old
    assert all(LEGACY_VIEW_CODES[code] is view for code in old)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = old[0], "SRT", "view"
    assert read_mammogram(save(dicom(ViewCodeSequence=[code]), tmp_path / "a.dcm")).view is view


def padded(syntax: uid.UID) -> bytes:
    return syntax.encode() + b"\0" * (len(syntax) % 2)


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEG2000Lossless], ids=str)
def test_compressed_data_under_a_native_transfer_syntax_are_refused(tmp_path: Path, syntax: uid.UID) -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (48, 40)).astype(np.uint16)  # grows by compression
    path = save(dicom(noise, bits=16), tmp_path / "a.dcm", syntax)
    said, native = (
        b"UI" + len(u).to_bytes(2, "little") + u for u in (padded(syntax), padded(uid.ExplicitVRLittleEndian))
    )
    content = path.read_bytes()  # the meta group's length becomes wrong, which pydicom does not mind
    assert content.count(said) == 1
    path.write_bytes(content.replace(said, native))
    with pytest.raises(UnreadableImage, match="transfer syntax of uncompressed data"):
        read_mammogram(path)


@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless], ids=str)
@pytest.mark.parametrize("signed", [False, True])
def test_compressed_values_beyond_bits_stored_are_refused(
    tmp_path: Path, syntax: uid.UID, signed: bool
) -> None:
    def stored_as(pixels: np.ndarray, bits: int) -> Path:
        path = save(dicom(pixels), tmp_path / "a.dcm", syntax)
        dataset = dcmread(path)
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dcmwrite(path, dataset)
        return path

    pixels = some_pixels(12, signed=signed)
    with pytest.raises(UnreadableImage, match="beyond the 10 bit of Bits Stored"):
        read_mammogram(stored_as(pixels, 10))
    small = pixels // 4  # of 10 bit in a stream of 12: nothing is lost
    expected = (small - small.min()) / np.ptp(small.astype(int))
    np.testing.assert_allclose(read_mammogram(stored_as(small, 10)).pixels, expected, atol=1e-6)


def test_rle_data_with_a_stretch_missing_are_refused_and_padded_ones_read(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).normal(0, 20, (200, 150)).cumsum(axis=1)
    path = save(dicom((2000 + steps).clip(0, 4095).astype(np.uint16)), tmp_path / "a.dcm", uid.RLELossless)
    whole = read_mammogram(path).pixels
    dataset = dcmread(path)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))

    def read(changed: bytes) -> np.ndarray:
        dataset.PixelData = encapsulate([changed])
        dcmwrite(path, dataset)
        return read_mammogram(path).pixels

    np.testing.assert_array_equal(read(frame + b"\0\0"), whole)  # a segment that is a byte too long
    for start in range(200, len(frame) - 100, 997):
        with pytest.raises(UnreadableImage, match=r"damaged RLE data|decoded RLE segment data doesn't match"):
            read(frame[:start] + frame[start + 17 :])
