"""Files that no reader likes: every kind of damage that a folder of mammograms may hold."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from dicom_files import dicom, save, some_pixels

Content = bytes | bytearray
FUZZ_SEEDS = range(10)
FUZZ_SYNTAXES = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEG2000Lossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
)


def malformed_files(folder: Path) -> dict[str, Path]:
    """Write them into a folder; name → path (some paths are folders, links or do not exist)."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        **_not_images(),
        **_broken_dicom(folder),
        **_odd_tags(folder),
        **_broken_raster(),
        **_fuzz(folder),
    }
    files = {}
    for name, content in contents.items():
        suffix = name.rpartition("__")[2] if "__" in name else "dcm"
        files[name] = folder / f"{name.partition('__')[0]}.{suffix}"
        files[name].write_bytes(content)
    return files | _odd_paths(folder)


def _odd_paths(folder: Path) -> dict[str, Path]:
    (folder / "a_folder.dcm").mkdir(exist_ok=True)
    circular = folder / "circular_link.dcm"
    if not circular.is_symlink():
        circular.symlink_to(circular)
    fifo = folder / "fifo.dcm"
    if not fifo.exists():
        os.mkfifo(fifo)
    return {
        "a folder": folder / "a_folder.dcm",
        "circular link": circular,
        "a fifo": fifo,
        "missing": folder / "missing.dcm",
        "name too long": folder / f"{'x' * 300}.dcm",
        "null byte in the name": Path(f"{folder}/nul\0l.dcm"),
        "member of a missing zip": folder / "no.zip!a.dcm",
        "below a file": folder / "empty.dcm" / "a.dcm",
    }


def _not_images() -> dict[str, Content]:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.txt", "hello")
    return {
        "empty": b"",
        "one_byte": b"\0",
        "text": "Überweisung: please see image\n".encode() * 9,
        "zeros": bytes(5000),
        "noise": np.random.default_rng(0).bytes(5000),
        "html": b"<!DOCTYPE html><html><body>404</body></html>",
        "zip_called_dcm": zipped.getvalue(),
        "pdf": b"%PDF-1.7\n" + bytes(200),
        "dicm_only": bytes(128) + b"DICM",
        "dicm_then_noise": bytes(128) + b"DICM" + np.random.default_rng(1).bytes(3000),
        "dicm_then_zeros": bytes(128) + b"DICM" + bytes(20_000_000),
        "dicm_then_text": bytes(128) + b"DICM" + b"lorem ipsum " * 50,
        "group_8_then_noise": b"\x08\x00\x05\x00" + np.random.default_rng(2).bytes(600),
    }


def _broken_dicom(folder: Path) -> dict[str, Content]:
    whole = save(dicom(), folder / "whole.dcm").read_bytes()
    deflated = save(dicom(), folder / "whole.dcm", uid.DeflatedExplicitVRLittleEndian).read_bytes()
    (folder / "whole.dcm").unlink()
    huge = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(huge.compress(bytes(1 << 24)) for _ in range(18)) + huge.flush()
    start = 128 + 4 + 12 + int.from_bytes(deflated[140:144], "little")
    at = whole.index(b"\xe0\x7f\x10\x00")
    files: dict[str, Content] = {
        f"cut_at_{share}": whole[: len(whole) * share // 100] for share in (5, 12, 20, 50, 90, 99)
    }
    files |= {
        "deflated_cut": deflated[: len(deflated) // 2],
        "deflated_bomb": deflated[:start] + bomb,
        "deflated_noise": deflated[:start] + np.random.default_rng(3).bytes(900),
        "no_pixel_data": whole[:at],
        "zeros_after_meta": whole[:start] + bytes(20_000_000),
        "zeros_after_header": whole[:at] + bytes(20_000_000),
        "deflated_zeros": deflated[:start] + zlib.compress(bytes(20_000_000))[2:-4],
        "pixel_length_too_long": whole[: at + 8] + b"\xf0\xff\xff\x7f" + whole[at + 12 :],
        "pixel_length_undefined": whole[: at + 8] + b"\xff\xff\xff\xff" + whole[at + 12 :],
        "transfer_syntax_unknown": whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"),
        "transfer_syntax_big_endian": whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"),
        "transfer_syntax_jpeg": whole.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"),
        "vr_unknown": whole.replace(b"\x28\x00\x10\x00US", b"\x28\x00\x10\x00ZZ"),
        "vr_wrong": whole.replace(b"\x28\x00\x10\x00US", b"\x28\x00\x10\x00FD"),
        "vr_sequence": whole.replace(b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x10\x00SQ\x02\x00"),
    }
    for syntax in (uid.JPEG2000Lossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.RLELossless):
        path = save(dicom(), folder / "compressed.dcm", syntax)
        content = path.read_bytes()
        files[f"compressed_cut_{syntax.name.split()[0]}_{syntax[-2:].strip('.')}"] = content[
            : len(content) - 900
        ]
        path.unlink()
    files |= {
        f"wrong_frame_{name}": _encapsulated(frame, syntax) for name, (frame, syntax) in _frames().items()
    }
    return files


def _frames() -> dict[str, tuple[bytes, uid.UID]]:
    grey = (some_pixels(12) >> 4).astype(np.uint8)
    jpeg = cv2.imencode(".jpg", grey)[1].tobytes()
    huge = jpeg.replace(struct.pack(">HH", *grey.shape), struct.pack(">HH", 60000, 60000), 1)
    overlong = struct.pack("<16I", 2, 64, 64, *[0] * 13) + (b"\x7f" + bytes(128)) * 40
    jp2 = cv2.imencode(".jp2", some_pixels(16))[1].tobytes()
    return {
        "empty": (b"\0\0", uid.JPEGLosslessSV1),
        "text": (b"hello " * 40, uid.JPEG2000Lossless),
        # These end the process, or pass by `except`, in decoders that pydicom would take.
        "precision_160": (jpeg.replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\xa0"), uid.JPEGBaseline8Bit),
        "rle_overlong": (overlong, uid.RLELossless),
        "smaller": (cv2.imencode(".jpg", grey[:20, :20])[1].tobytes(), uid.JPEGBaseline8Bit),
        "huge": (huge, uid.JPEGBaseline8Bit),
        "colour": (cv2.imencode(".jpg", np.dstack([grey] * 3))[1].tobytes(), uid.JPEGBaseline8Bit),
        "jpeg_as_rle": (jpeg, uid.RLELossless),
        "jpeg_as_lossless": (jpeg, uid.JPEGLosslessSV1),
        "jpeg_as_12_bit": (jpeg, uid.JPEGExtended12Bit),
        "jp2_as_ls": (jp2, uid.JPEGLSLossless),
        "jp2_cut": (jp2[: len(jp2) // 2], uid.JPEG2000),
        "mpeg": (jpeg, uid.MPEG2MPML),
    }


def _encapsulated(frame: bytes, syntax: uid.UID) -> bytes:
    dataset = dicom()
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return _bytes(dataset)


def _bytes(dataset: Dataset) -> bytes:
    out = io.BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def _lut(**tags: object) -> Sequence:
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [4096, 0, 12], np.arange(4096, dtype="<u2").tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return Sequence([item])


def _retyped(keyword: str, vr: str, value: object) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        if keyword in dataset:
            del dataset[keyword]
        dataset.add_new(keyword, vr, value)

    return change


ODD_TAGS: dict[str, dict[str, object]] = {
    "rows_0": {"Rows": 0},
    "columns_0": {"Columns": 0},
    "no_rows": {"Rows": None},
    "tiny": {"Rows": 4, "Columns": 4},
    "header_60000": {"Rows": 60000, "Columns": 60000},
    "header_too_long": {"Rows": 4000},
    "frames_30": {"NumberOfFrames": 30},
    "frames_0": {"NumberOfFrames": 0},
    "frames_negative": {"NumberOfFrames": -3},
    "colour": {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
    "palette": {"PhotometricInterpretation": "PALETTE COLOR"},
    "no_photometric": {"PhotometricInterpretation": None},
    "ct": {"Modality": "CT", "SOPClassUID": uid.CTImageStorage},
    "report": {"Modality": "SR", "SOPClassUID": uid.MammographyCADSRStorage, "PixelData": None, "Rows": None},
    "no_modality": {"Modality": None, "SOPClassUID": None},
    "bits_stored_above_allocated": {"BitsStored": 20, "HighBit": 19},
    "bits_stored_0": {"BitsStored": 0},
    "bits_allocated_12": {"BitsAllocated": 12},
    "bits_allocated_32": {"BitsAllocated": 32},
    "bits_allocated_8": {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
    "bits_allocated_1": {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
    "high_bit_3": {"HighBit": 3},
    "no_bits": {"BitsStored": None, "BitsAllocated": None},
    "pixel_representation_7": {"PixelRepresentation": 7},
    "pixels_empty": {"PixelData": b""},
    "no_spacing": {"ImagerPixelSpacing": None},
    "magnification_0": {"EstimatedRadiographicMagnificationFactor": 0},
    "window_width_0": {"WindowCenter": 100, "WindowWidth": 0},
    "window_width_negative": {"WindowCenter": 100, "WindowWidth": -5},
    "window_without_width": {"WindowCenter": 100},
    "window_beside_the_image": {"WindowCenter": -30000, "WindowWidth": 10},
    "window_function_unknown": {"WindowCenter": 100, "WindowWidth": 50, "VOILUTFunction": "MAGIC"},
    "window_huge": {"WindowCenter": "1e308", "WindowWidth": "1e308"},
    "slope_0": {"RescaleSlope": 0, "RescaleIntercept": 5},
    "slope_huge": {"RescaleSlope": "1e308", "RescaleIntercept": "1e308"},
    "voi_lut_short": {"VOILUTSequence": _lut(LUTData=bytes(100))},
    "voi_lut_black": {"VOILUTSequence": _lut(LUTData=bytes(8192))},
    "voi_lut_40_bit": {"VOILUTSequence": _lut(LUTDescriptor=[4096, 0, 40])},
    "voi_lut_no_descriptor": {"VOILUTSequence": _lut(LUTDescriptor=[1, 2])},
    "voi_lut_empty_item": {"VOILUTSequence": Sequence([Dataset()])},
    "modality_lut_empty_item": {"ModalityLUTSequence": Sequence([Dataset()])},
    "padding_everything": {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 4095},
    "raw_all_dark": {"PresentationIntentType": "FOR PROCESSING", "PixelIntensityRelationship": "LIN",
                     "PixelIntensityRelationshipSign": 1, "PixelData": bytes(2 * 48 * 40)},
    "orientation_odd": {"PatientOrientation": ["", "P"]},
    "view_code_empty": {"ViewCodeSequence": Sequence([Dataset()])},
    "constant": {"PixelData": bytes(2 * 48 * 40)},
}  # fmt: skip

RETYPED = {
    "rows_text": ("Rows", "LO", "many"),
    "rows_float": ("Rows", "DS", "48.5"),
    "rows_sequence": ("Rows", "SQ", Sequence([Dataset()])),
    "rows_twice": ("Rows", "US", [48, 48]),
    "columns_negative": ("Columns", "SS", -40),
    "modality_sequence": ("Modality", "SQ", Sequence([Dataset()])),
    "window_text": ("WindowCenter", "LO", "bright"),
    "window_nan": ("WindowCenter", "FD", float("nan")),
    "width_nan": ("WindowWidth", "FD", float("nan")),
    "intercept_nan": ("RescaleIntercept", "FD", float("nan")),
    "slope_nan": ("RescaleSlope", "FD", float("nan")),
    "spacing_nan": ("ImagerPixelSpacing", "FD", [float("nan")] * 2),
    "spacing_inf": ("ImagerPixelSpacing", "FD", [float("inf")] * 2),
    "spacing_0": ("ImagerPixelSpacing", "FD", [0.0, 0.0]),
    "spacing_negative": ("ImagerPixelSpacing", "FD", [-0.1, -0.1]),
    "spacing_text": ("ImagerPixelSpacing", "LO", ["fine", "fine"]),
    "spacing_one": ("ImagerPixelSpacing", "FD", 0.1),
    "frames_text": ("NumberOfFrames", "LO", "three"),
    "voi_lut_text": ("VOILUTSequence", "LO", "curve"),
    "functional_groups_text": ("SharedFunctionalGroupsSequence", "LO", "groups"),
    "padding_text": ("PixelPaddingValue", "LO", "black"),
    "orientation_number": ("PatientOrientation", "FD", [1.0, 0.0]),
    "patient_id_number": ("PatientID", "FD", 7.0),
    "patient_id_lines": ("PatientID", "LO", "a\nb\x1b[31m"),
    "pixels_text": ("PixelData", "LO", "black"),
    "pixels_sequence": ("PixelData", "SQ", Sequence([Dataset()])),
}


def _odd_tags(folder: Path) -> dict[str, Content]:
    files: dict[str, Content] = {}
    for name, tags in ODD_TAGS.items():
        files[f"tag_{name}"] = _bytes(dicom(**tags))
    for name, (keyword, vr, value) in RETYPED.items():
        dataset = dicom(WindowCenter=2000, WindowWidth=4000)
        _retyped(keyword, vr, value)(dataset)
        files[f"type_{name}"] = _bytes(dataset)
    header, tail = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff", b""
    whole = _bytes(dicom())
    at = whole.index(b"\x28\x00\x02\x00US")
    files["nested_sequences"] = whole[:at] + header * 5000 + tail + whole[at:]
    return files


def _broken_raster() -> dict[str, Content]:
    grey = (some_pixels(12) >> 4).astype(np.uint8)
    colour = np.dstack([grey, grey // 2, 255 - grey])
    png, tiff, jpeg, pgm = (cv2.imencode(s, grey)[1].tobytes() for s in (".png", ".tif", ".jpg", ".pgm"))
    pages = cv2.imencodemulti(".tif", [grey, grey])[1].tobytes()
    files = {f"cut_{share}__{s}": c[: len(c) * share // 100] for share in (2, 50, 98)
             for s, c in (("png", png), ("tif", tiff), ("jpg", jpeg), ("pgm", pgm))}  # fmt: skip
    floating = cv2.imencode(".tif", grey.astype(np.float32))[1].tobytes()
    animation, lzma = cv2.Animation(), io.BytesIO()
    animation.frames, animation.durations = [colour, grey[..., None].repeat(3, axis=2)], [100, 100]
    Image.fromarray(grey).save(lzma, "TIFF", compression="lzma")
    return files | {
        "colour__png": cv2.imencode(".png", colour)[1].tobytes(),
        "colour__jpg": cv2.imencode(".jpg", colour)[1].tobytes(),
        "one_pixel__png": cv2.imencode(".png", grey[:1, :1])[1].tobytes(),
        "huge_header__png": _png_of(60000, 60000),
        "huge_header__pgm": b"P5\n60000 60000\n255\n" + bytes(100),
        "huge_header__jpg": jpeg.replace(
            struct.pack(">HH", *grey.shape), struct.pack(">HH", 60000, 60000), 1
        ),
        "one_bit__png": cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes(),
        "bad_checksum__png": png[:-30] + b"\0\0" + png[-28:],
        "animated__png": cv2.imencodeanimation(".png", animation)[1].tobytes(),
        "lzma__tif": lzma.getvalue(),
        "pages__tif": pages,
        "floating__tif": floating,
        "magic_only__tif": b"II*\0" + bytes(40),
        "directory_outside__tif": b"II*\0\xff\xff\xff\x7f" + bytes(40),
        "big__tif": b"II+\0\x08\0\0\0" + bytes(40),
        "white_0__pgm": b"P5\n40 48\n0\n" + bytes(2000),
        "text__pgm": b"P5 is the paper size\n",
        "jpeg_called_png__png": jpeg,
    }


def _png_of(rows: int, cols: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", cols, rows, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def _fuzz(folder: Path) -> dict[str, Content]:
    """Flip bytes of good files, at seeded places: half of the files in the header, half anywhere."""
    files: dict[str, Content] = {}
    for number, syntax in enumerate(FUZZ_SYNTAXES):
        path = save(dicom(WindowCenter=2000, WindowWidth=4000), folder / "good.dcm", syntax)
        good = path.read_bytes()
        path.unlink()
        for seed in FUZZ_SEEDS:
            rng = np.random.default_rng([number, seed])
            content = bytearray(good)
            until = min(900, len(content)) if seed % 2 else len(content)
            for at in rng.integers(132, until, size=1 + 2 * seed):
                content[at] = rng.integers(256)
            files[f"fuzz_{number}_{seed}"] = content
    return files
