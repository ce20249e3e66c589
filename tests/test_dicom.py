from __future__ import annotations

import math
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from calcigraph.errors import BadConfig, MissingSpacing, UnreadableImage
from calcigraph.io import read_mammogram
from calcigraph.io.decode import decode_pixels
from calcigraph.lexicon import LEGACY_VIEW_CODES, VIEW_CODES, Laterality, View
from calcigraph.records import Mammogram
from dicom_files import BY_PYDICOM, NATIVE, dicom, save, some_pixels
from real_data import real_data

SYNTAXES = (*NATIVE, *BY_PYDICOM, uid.JPEGLosslessSV1, uid.JPEGLossless, uid.JPEGLSLossless)


def read(folder: Path, pixels: np.ndarray | None = None, *, bits: int = 12, **tags: object) -> Mammogram:
    return read_mammogram(save(dicom(pixels, bits=bits, **tags), folder / "image.dcm"))


def full_range(pixels: np.ndarray) -> np.ndarray:
    """What reading makes of an image without a window: its range, stretched to [0, 1]."""
    values = pixels.astype(np.float64)
    return (values - values.min()) / (values.max() - values.min())


def lut_item(data: np.ndarray, first: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(data), first, bits]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = data.astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item


def code_item(value: str, scheme: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "view"
    return item


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.name)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_decodes_every_transfer_syntax_exactly(tmp_path: Path, syntax: uid.UID, bits: int) -> None:
    pixels = some_pixels(bits)
    mammogram = read_mammogram(save(dicom(pixels, bits=bits), tmp_path / "a.dcm", syntax))
    assert mammogram.pixels.dtype == np.float32
    np.testing.assert_allclose(mammogram.pixels, full_range(pixels), atol=1e-6)
    assert syntax.name in mammogram.transforms[0]


@pytest.mark.parametrize(
    "syntax", [*NATIVE, uid.RLELossless, uid.JPEG2000Lossless, uid.JPEGLosslessSV1], ids=lambda s: s.name
)
def test_decodes_signed_pixels(tmp_path: Path, syntax: uid.UID) -> None:
    pixels = some_pixels(12, signed=True)
    assert pixels.min() == -2048
    mammogram = read_mammogram(save(dicom(pixels), tmp_path / "a.dcm", syntax))
    np.testing.assert_allclose(mammogram.pixels, full_range(pixels), atol=1e-6)


def test_decodes_lossy_jpeg_of_8_bit_nearly(tmp_path: Path) -> None:
    pixels = (np.add.outer(np.arange(48), np.arange(40)) * 2 + 30).astype(np.uint8)
    path = save(dicom(pixels, bits=8), tmp_path / "a.dcm", uid.JPEGBaseline8Bit)
    assert np.abs(read_mammogram(path).pixels - full_range(pixels)).max() < 0.03


@pytest.mark.parametrize("name", ["JPEG-lossy.dcm", "JPGExtended.dcm"])
def test_decodes_lossy_jpeg_of_12_bit(name: str) -> None:
    found = get_testdata_file(name, download=False)
    if found is None:
        pytest.skip("pydicom came without its test files")
    dataset = dcmread(found)
    pixels = decode_pixels(dataset, name, (1024, 256))
    # The values that pydicom's own tests expect of other decoders.
    assert (pixels[420, 140], pixels[230, 120]) == (244, 95)


def test_unused_high_bits_are_ignored(tmp_path: Path) -> None:
    pixels = some_pixels(12)
    dirty = pixels | np.uint16(0xA000)  # old overlays lie there
    np.testing.assert_array_equal(read(tmp_path, dirty).pixels, read(tmp_path, pixels).pixels)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("above", [1, 700, 28000])
def test_values_beyond_bits_stored_are_refused(tmp_path: Path, above: int, signed: bool) -> None:
    pixels = some_pixels(12, signed=signed)
    pixels[20, 20] = pixels.max() + above  # would be black
    with pytest.raises(
        UnreadableImage, match=r"pixel values up to \d+ beyond the 12 bit of Bits Stored"
    ) as caught:
        read(tmp_path, pixels)
    assert "\n" not in str(caught.value)


def test_old_overlays_are_no_part_of_the_value(tmp_path: Path) -> None:
    pixels = some_pixels(12)
    drawn = pixels.copy()
    drawn[5:9, 5:9] |= np.uint16(0x8000)
    with pytest.raises(UnreadableImage, match="beyond the 12 bit"):
        read(tmp_path, drawn)
    dataset = dicom(drawn)
    dataset.add_new(0x60020102, "US", 15)
    mammogram = read_mammogram(save(dataset, tmp_path / "told.dcm"))
    np.testing.assert_array_equal(mammogram.pixels, read(tmp_path, pixels).pixels)


def test_signed_values_without_their_sign_above_bits_stored(tmp_path: Path) -> None:
    pixels = some_pixels(12, signed=True)
    bare = (pixels.view(np.uint16) & 0x0FFF).view(np.int16)
    np.testing.assert_array_equal(read(tmp_path, bare).pixels, read(tmp_path, pixels).pixels)


def test_padding_beyond_bits_stored(tmp_path: Path) -> None:
    pixels = some_pixels(12)
    pixels[:, :10] = 65535
    mammogram = read_mammogram(save(dicom(pixels, PixelPaddingValue=65535), tmp_path / "a.dcm"))
    assert not mammogram.pixels[:, :10].any()
    np.testing.assert_allclose(mammogram.pixels[:, 10:], full_range(pixels[:, 10:]), atol=1e-6)


@pytest.mark.filterwarnings("ignore:overflow encountered in exp")
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("centre", "width"), [(2048, 4096), (1500, 700), (900.5, 33.3), (2000, 2)])
@pytest.mark.parametrize("slope", [(1, 0), (2, -1000)])
def test_windows_agree_with_pydicom(
    tmp_path: Path, function: str, centre: float, width: float, slope: tuple[int, int]
) -> None:
    tags = {"WindowCenter": [centre, 3], "WindowWidth": [width, 4], "VOILUTFunction": function}
    dataset = dicom(**tags, RescaleSlope=slope[0], RescaleIntercept=slope[1])
    expected = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    low, high = (slope[0] * v + slope[1] for v in (0, 4095))
    mammogram = read_mammogram(save(dataset, tmp_path / "a.dcm"))
    # pydicom scales to the range of the modality's values, we to [0, 1].
    np.testing.assert_allclose(mammogram.pixels, (expected - low) / (high - low), atol=2e-6)
    assert any(f"window {function}" in t for t in mammogram.transforms)


def test_a_negative_slope_is_an_inversion(tmp_path: Path) -> None:
    window = {"WindowCenter": 1500, "WindowWidth": 900}
    falling = read(tmp_path, RescaleSlope=-1, RescaleIntercept=4095, **window).pixels
    np.testing.assert_allclose(falling, read(tmp_path, 4095 - some_pixels(), **window).pixels, atol=1e-6)


def test_window_of_width_1_is_a_threshold(tmp_path: Path) -> None:
    pixels = read(tmp_path, WindowCenter=2000.5, WindowWidth=1).pixels
    np.testing.assert_array_equal(pixels, some_pixels() > 2000)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_voi_lut_agrees_with_pydicom_and_outranks_the_window(tmp_path: Path, bits: int) -> None:
    curve = np.round(((1 << bits) - 1) * np.linspace(0, 1, 3000) ** 2)
    dataset = dicom(VOILUTSequence=[lut_item(curve, 500, bits)], WindowCenter=100, WindowWidth=50)
    expected = apply_voi_lut(dataset.pixel_array, dataset, prefer_lut=True) / ((1 << bits) - 1)
    mammogram = read_mammogram(save(dataset, tmp_path / "a.dcm"))
    np.testing.assert_allclose(mammogram.pixels, expected, atol=1e-6)
    assert any(f"VOI LUT (3000 entries from 500, {bits} bit)" in t for t in mammogram.transforms)


def test_modality_lut_agrees_with_pydicom(tmp_path: Path) -> None:
    dataset = dicom(ModalityLUTSequence=[lut_item(np.arange(4096)[::-1] * 8, 0, 16)])
    dataset.ModalityLUTSequence[0].ModalityLUTType = "US"
    expected = full_range(apply_modality_lut(dataset.pixel_array, dataset))
    np.testing.assert_allclose(read_mammogram(save(dataset, tmp_path / "a.dcm")).pixels, expected, atol=1e-6)


def test_monochrome1_and_inverse_invert_once(tmp_path: Path) -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    upright = read(tmp_path, **window).pixels
    for tags in (
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PresentationLUTShape": "INVERSE"},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
    ):
        mammogram = read(tmp_path, **window, **tags)
        np.testing.assert_allclose(mammogram.pixels, 1 - upright, atol=1e-6)
        assert sum("inverted" in t for t in mammogram.transforms) == 1


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_becomes_black(tmp_path: Path, photometric: str) -> None:
    pixels = some_pixels()
    pixels[:, :10] = 7
    pixels[:, 10:15] = 30
    mammogram = read(
        tmp_path,
        pixels,
        PixelPaddingValue=7,
        PixelPaddingRangeLimit=30,
        PhotometricInterpretation=photometric,
    )
    assert not mammogram.pixels[:, :15].any()
    assert mammogram.pixels[:, 15:].mean() > 0.3
    assert any("padding 7 to 30" in t for t in mammogram.transforms)


def test_signed_padding_written_as_unsigned(tmp_path: Path) -> None:
    pixels = some_pixels(signed=True).clip(-1900, None)
    pixels[:, :10] = -2000
    dataset = dicom(pixels)
    dataset.add_new(0x00280120, "US", 65536 - 2000)
    mammogram = read_mammogram(save(dataset, tmp_path / "a.dcm"))
    assert not mammogram.pixels[:, :10].any()
    np.testing.assert_allclose(mammogram.pixels[:, 10:], full_range(pixels[:, 10:]), atol=1e-6)


def test_unsigned_padding_written_as_signed(tmp_path: Path) -> None:
    pixels = some_pixels().clip(None, 4000)
    pixels[:, :10] = 65535
    dataset = dicom(pixels, BitsStored=16, HighBit=15)
    dataset.add_new(0x00280120, "SS", -1)
    mammogram = read_mammogram(save(dataset, tmp_path / "a.dcm"))
    assert not mammogram.pixels[:, :10].any()
    np.testing.assert_allclose(mammogram.pixels[:, 10:], full_range(pixels[:, 10:]), atol=1e-6)


def raw_breast() -> tuple[np.ndarray, np.ndarray]:
    """Thickness of a breast beside air, and the intensity behind it."""
    rng = np.random.default_rng(1)
    rows, cols = np.mgrid[:120, :100]
    inside = np.hypot(rows - 60, cols) < 50
    thickness = np.where(inside, 2 + 0.4 * rng.random((120, 100)), 0.0)
    thickness[58:62, 20:22] += 0.5
    return thickness, np.round(14000 * np.exp(-thickness)).astype(np.uint16)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("sign", [1, -1])
def test_raw_images_come_out_with_dense_bright(tmp_path: Path, sign: int, photometric: str) -> None:
    thickness, intensity = raw_breast()
    stored = intensity if sign == 1 else np.uint16(16383) - intensity
    mammogram = read(
        tmp_path,
        stored,
        bits=14,
        PresentationIntentType="FOR PROCESSING",
        PixelIntensityRelationship="LIN",
        PixelIntensityRelationshipSign=sign,
        PhotometricInterpretation=photometric,
        WindowCenter=1,
        WindowWidth=1,
    )
    air, tissue = mammogram.pixels[thickness == 0], mammogram.pixels[thickness > 0]
    assert air.max() == 0.0
    assert np.corrcoef(tissue, thickness[thickness > 0])[0, 1] > (0.98 if sign == 1 else 0.9)
    assert 0.2 < np.median(tissue) < 0.6
    assert any("-log" in t for t in mammogram.transforms)


def test_raw_logarithms_and_dead_pixels(tmp_path: Path) -> None:
    thickness, intensity = raw_breast()
    raw = {"bits": 14, "PresentationIntentType": "FOR PROCESSING", "PixelIntensityRelationshipSign": -1}
    mammogram = read(
        tmp_path, np.round(4000 * thickness).astype(np.uint16), **raw, PixelIntensityRelationship="LOG"
    )
    assert np.corrcoef(mammogram.pixels[thickness > 0], thickness[thickness > 0])[0, 1] > 0.98
    intensity[5:9, 90:95] = 0
    raw["PixelIntensityRelationshipSign"] = 1
    assert not read(tmp_path, intensity, **raw, PixelIntensityRelationship="LIN").pixels[5:9, 90:95].any()


def test_raw_crop_without_air_keeps_all_of_its_tissue(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    stored = np.round(3000 + 200 * rng.standard_normal((64, 64))).astype(np.uint16)
    mammogram = read(
        tmp_path,
        stored,
        bits=14,
        PresentationIntentType="FOR PROCESSING",
        PixelIntensityRelationship="LIN",
        PixelIntensityRelationshipSign=1,
    )
    assert 0.3 < np.median(mammogram.pixels) < 0.6
    assert (mammogram.pixels == 0).mean() < 0.02
    assert (mammogram.pixels == 1).mean() < 0.02


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, (0.1, 0.1)),
        ({"EstimatedRadiographicMagnificationFactor": 1.25}, (0.08, 0.08)),
        ({"ImagerPixelSpacing": [0.1, 0.05], "EstimatedRadiographicMagnificationFactor": 2}, (0.05, 0.025)),
        ({"PixelSpacing": [0.1, 0.1], "EstimatedRadiographicMagnificationFactor": 1.25}, (0.08, 0.08)),
        ({"PixelSpacing": [0.07, 0.07], "EstimatedRadiographicMagnificationFactor": 1.25}, (0.07, 0.07)),
        ({"PixelSpacing": [0.1, 0.1], "PixelSpacingCalibrationType": "GEOMETRY",
          "EstimatedRadiographicMagnificationFactor": 1.25}, (0.1, 0.1)),
        ({"ImagerPixelSpacing": None, "PixelSpacing": [0.06, 0.07]}, (0.06, 0.07)),
        ({"ImagerPixelSpacing": None, "NominalScannedPixelSpacing": [0.05, 0.05]}, (0.05, 0.05)),
        ({"PixelSpacing": ["0", "0"]}, (0.1, 0.1)),
        ({"ImagerPixelSpacing": ["5", "5"], "PixelSpacing": [0.06, 0.07]}, (0.06, 0.07)),
    ],
)  # fmt: skip
def test_spacing_in_the_plane_of_the_breast(
    tmp_path: Path, tags: dict[str, object], expected: tuple[float, float]
) -> None:
    assert read(tmp_path, **tags).spacing_mm == pytest.approx(expected)


def test_spacing_is_stated_or_given_never_guessed(tmp_path: Path) -> None:
    with_spacing = save(dicom(), tmp_path / "with.dcm")
    without = save(dicom(ImagerPixelSpacing=None), tmp_path / "without.dcm")
    with pytest.raises(MissingSpacing, match="--spacing"):
        read_mammogram(without)
    assert read_mammogram(without, spacing_mm=0.05).spacing_mm == (0.05, 0.05)
    kept = read_mammogram(with_spacing, spacing_mm=0.05)
    assert kept.spacing_mm == (0.1, 0.1)
    assert any("not needed" in t for t in kept.transforms)


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
@pytest.mark.parametrize("wrong", [["0", "0"], ["-0.1", "0.1"], ["nan", "nan"], ["0.1"], ["5", "5"]])
def test_absurd_spacing_is_as_good_as_none(tmp_path: Path, wrong: list[str]) -> None:
    path = save(dicom(ImagerPixelSpacing=wrong), tmp_path / "a.dcm")
    with pytest.raises(MissingSpacing):
        read_mammogram(path)
    assert read_mammogram(path, spacing_mm=0.07).spacing_mm == (0.07, 0.07)


def test_an_image_larger_than_any_breast_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    large = dicom(np.tile(some_pixels(), (6, 8)), ImagerPixelSpacing=["2.0", "2.0"])
    path = save(large, tmp_path / "a.dcm")
    with pytest.raises(UnreadableImage, match=r"576 × 640 mm; allowed: sides of up to 500 mm"):
        read_mammogram(path)


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf, 50.0])
def test_absurd_given_spacing_is_refused(tmp_path: Path, wrong: float) -> None:
    with pytest.raises(BadConfig):
        read_mammogram(save(dicom(), tmp_path / "a.dcm"), spacing_mm=wrong)


@pytest.mark.parametrize(
    ("tags", "side"),
    [
        ({}, None),
        ({"ImageLaterality": "L"}, "L"),
        ({"ImageLaterality": "R", "Laterality": "L"}, "R"),
        ({"Laterality": "R"}, "R"),
        ({"ImageLaterality": "B"}, None),
        ({"PatientOrientation": ["LEFT", "CC"]}, "L"),
        ({"PatientOrientation": "RMLO"}, "R"),
        ({"PatientOrientation": ["P", "L"]}, None),
        ({"PatientOrientation": ["P", "FL"], "ViewPosition": "MLO"}, "R"),
        ({"PatientOrientation": ["A", "FR"], "ViewPosition": "MLO"}, "L"),
        ({"SeriesDescription": "R MLO"}, "R"),
        ({"SeriesDescription": "LCC"}, "L"),
        ({"SeriesDescription": "mammo left breast"}, "L"),
        ({"SeriesDescription": "left and right"}, None),
    ],
)
def test_laterality(tmp_path: Path, tags: dict[str, object], side: str | None) -> None:
    assert read(tmp_path, **tags).laterality == (None if side is None else Laterality(side))


@pytest.mark.parametrize(("code", "scheme", "view"), [
    *((code.value, code.scheme, view) for view, code in VIEW_CODES.items()),
    *((value, "SNM3", view) for value, view in LEGACY_VIEW_CODES.items()),
])  # fmt: skip
def test_view_codes(tmp_path: Path, code: str, scheme: str, view: View) -> None:
    assert read(tmp_path, ViewCodeSequence=[code_item(code, scheme)], ViewPosition="ML").view is view


@pytest.mark.parametrize(
    ("tags", "view"),
    [
        ({}, None),
        ({"ViewPosition": "MLO"}, View.MLO),
        ({"ViewPosition": "XCCL"}, View.XCCL),
        ({"PatientOrientation": "CC"}, View.CC),
        ({"SeriesDescription": "R MLO"}, View.MLO),
        ({"SeriesDescription": "CC and MLO"}, None),
        ({"SeriesDescription": "accession"}, None),
    ],
)
def test_view_words(tmp_path: Path, tags: dict[str, object], view: View | None) -> None:
    assert read(tmp_path, **tags).view is view


@pytest.mark.parametrize(
    ("orientation", "side"),
    [
        (["P", "FL"], "right"),
        (["A", "FR"], "left"),
        (["R", "P"], "bottom"),
        (["L", "A"], "top"),
        (["AR", "F"], "left"),
        (["PL", "FP"], "right"),
        (["LEFT", "CC"], None),
        ("CC", None),
        (None, None),
    ],
)
def test_chest_wall_is_the_posterior_side(
    tmp_path: Path, orientation: list[str] | None, side: str | None
) -> None:
    tags = {} if orientation is None else {"PatientOrientation": orientation}
    assert read(tmp_path, **tags, FieldOfViewHorizontalFlip="YES", FieldOfViewRotation=180).chest_wall == side


def test_enhanced_single_frame_image(tmp_path: Path) -> None:
    group, anatomy, window = Dataset(), Dataset(), Dataset()
    anatomy.FrameLaterality = "R"
    window.WindowCenter, window.WindowWidth = 1000, 500
    group.FrameAnatomySequence, group.FrameVOILUTSequence = [anatomy], [window]
    mammogram = read(
        tmp_path,
        SOPClassUID=uid.BreastProjectionXRayImageStorageForPresentation,
        NumberOfFrames=1,
        SharedFunctionalGroupsSequence=[group],
    )
    assert mammogram.laterality is Laterality.RIGHT
    assert any("centre 1000 width 500" in t for t in mammogram.transforms)


def test_other_modalities_of_the_breast_and_files_without_meta_information(tmp_path: Path) -> None:
    other = {"SOPClassUID": uid.SecondaryCaptureImageStorage, "PresentationIntentType": None}
    assert read(tmp_path, Modality="CR", BodyPartExamined="BREAST", **other).shape == (48, 40)
    with pytest.raises(UnreadableImage, match="modality CR"):
        read(tmp_path, Modality="CR", BodyPartExamined="CHEST", **other)
    bare = tmp_path / "bare"
    content = save(dicom(), tmp_path / "a.dcm").read_bytes()
    bare.write_bytes(content[content.index(b"\x08\x00\x16\x00UI") :])
    np.testing.assert_array_equal(read_mammogram(bare).pixels, read_mammogram(tmp_path / "a.dcm").pixels)


def test_record_of_a_file(tmp_path: Path) -> None:
    path = save(dicom(), tmp_path / "Bild 1 (neu).dcm")
    mammogram = read_mammogram(path)
    assert (mammogram.image_id, mammogram.patient_id, mammogram.path) == ("Bild_1_neu", "P7", str(path))
    assert read_mammogram(str(path), image_id="x").image_id == "x"


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = bytearray(save(dicom(), tmp_path / "a.dcm", uid.JPEGLosslessSV1).read_bytes())
    content[-300:-200] = bytes(100)
    (tmp_path / "b.dcm").write_bytes(content)
    for name in ("a.dcm", "b.dcm"):
        try:
            read_mammogram(tmp_path / name)
        except UnreadableImage as error:
            assert "\n" not in str(error)
    found = get_testdata_file("JPGExtended.dcm", download=False)
    with pytest.raises(UnreadableImage, match="modality NM"):
        read_mammogram(str(found))
    assert capfd.readouterr() == ("", "")


def test_speed_and_memory_of_a_full_field(tmp_path: Path) -> None:
    pixels = np.tile(some_pixels(), (86, 84))[:4096, :3328]
    path = save(dicom(pixels, WindowCenter=2048, WindowWidth=4096), tmp_path / "a.dcm")
    read_mammogram(save(dicom(), tmp_path / "small.dcm"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    mammogram = read_mammogram(path)
    seconds = time.process_time() - start
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert mammogram.shape == (4096, 3328)
    assert seconds < 2.0  # 0.25 s on an idle machine
    assert grown_mb < 300


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "shape", "laterality", "view", "chest_wall"),
    [
        ("GH133.dcm", (3062, 2394), "R", "MLO", "right"),
        ("OutOfBoundsOverlay.dcm", (788, 1318), "L", "CC", "bottom"),
    ],
)
def test_real_files(name: str, shape: tuple[int, int], laterality: str, view: str, chest_wall: str) -> None:
    path = real_data("mg_dicom", name)
    mammogram = read_mammogram(path)
    assert (mammogram.shape, mammogram.chest_wall) == (shape, chest_wall)
    assert (mammogram.laterality, mammogram.view) == (laterality, view)
    expected = apply_voi_lut(dcmread(path).pixel_array, dcmread(path)) / 4095
    tissue = mammogram.pixels > 0
    np.testing.assert_allclose(mammogram.pixels[tissue], expected[tissue], atol=1e-5)


@pytest.mark.real
def test_vendor_table_and_sigmoid_window_agree(tmp_path: Path) -> None:
    path = real_data("mg_dicom", "GH133.dcm")
    dataset = dcmread(path)
    del dataset.VOILUTSequence
    dataset.save_as(tmp_path / "window.dcm")
    by_table, by_window = read_mammogram(path), read_mammogram(tmp_path / "window.dcm")
    assert any("SIGMOID" in t for t in by_window.transforms)
    np.testing.assert_allclose(by_table.pixels, by_window.pixels, atol=1e-3)
