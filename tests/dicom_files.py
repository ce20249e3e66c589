"""Small DICOM mammograms for the tests, in every transfer syntax that can be written here."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
from pydicom import dcmread, dcmwrite, uid
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

ROWS, COLS = 48, 40
GDCM_SYNTAXES = {
    uid.JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    uid.JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14,
    uid.JPEGLSLossless: gdcm.TransferSyntax.JPEGLSLossless,
    uid.JPEGBaseline8Bit: gdcm.TransferSyntax.JPEGBaselineProcess1,
}
NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
BY_PYDICOM = (uid.RLELossless, uid.JPEG2000Lossless)


def some_pixels(bits: int = 12, *, signed: bool = False, seed: int = 0) -> np.ndarray:
    """A smooth ramp with noise that uses every bit; (48, 40) of 8 or 16 bit."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.05, 0.9, ROWS * COLS).reshape(ROWS, COLS) + 0.05 * rng.random((ROWS, COLS))
    values = np.round(ramp * ((1 << bits) - 1)).astype(np.int64)
    values[0, 0], values[-1, -1] = 0, (1 << bits) - 1
    if signed:
        values -= 1 << (bits - 1)
    width = 8 if bits <= 8 else 16
    return values.astype(f"{'i' if signed else 'u'}{width // 8}")


def dicom(pixels: np.ndarray | None = None, *, bits: int = 12, **tags: Any) -> FileDataset:
    """A presentation mammogram of 0.1 mm spacing; `tags` are set last, None removes one."""
    pixels = some_pixels(bits) if pixels is None else pixels
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset = FileDataset("", Dataset(), preamble=b"\0" * 128, file_meta=meta)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3.4"
    dataset.Modality, dataset.PatientID = "MG", "P7"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.ImagerPixelSpacing = [0.1, 0.1]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * pixels.itemsize, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def save(dataset: FileDataset, path: Path, syntax: uid.UID = uid.ExplicitVRLittleEndian) -> Path:
    """Write a data set made by `dicom` in a transfer syntax."""
    if syntax in GDCM_SYNTAXES:
        return _save_by_gdcm(dataset, path, syntax)
    if syntax in BY_PYDICOM:
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax == uid.ExplicitVRBigEndian:
        pixels = np.frombuffer(dataset.PixelData, f"<u{dataset.BitsAllocated // 8}")
        dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(
        path,
        dataset,
        enforce_file_format=True,
        little_endian=syntax != uid.ExplicitVRBigEndian,
        implicit_vr=syntax == uid.ImplicitVRLittleEndian,
    )
    return path


def _save_by_gdcm(dataset: FileDataset, path: Path, syntax: uid.UID) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        plain = save(dataset, Path(folder) / "plain.dcm")
        reader = gdcm.ImageReader()
        reader.SetFileName(str(plain))
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(GDCM_SYNTAXES[syntax]))
        if not reader.Read():
            raise RuntimeError("GDCM cannot read the plain file")
        change.SetInput(reader.GetImage())
        if not change.Change():
            raise RuntimeError(f"GDCM cannot write {syntax.name}")
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        if not writer.Write():
            raise RuntimeError("GDCM cannot write")
    if dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID != syntax:
        raise RuntimeError("GDCM wrote another transfer syntax")
    return path
