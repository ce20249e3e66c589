"""A simulated view as a DICOM Digital Mammography X-Ray Image - For Presentation (PS3.3 A.26)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from calcigraph.lexicon import RESEARCH_USE, VIEW_CODES, Code, Laterality, View
from calcigraph.simulate.render import SimulatedView

SOP_CLASS = DigitalMammographyXRayImageStorageForPresentation
BITS = 12


def write_dicom(
    path: Path, simulated: SimulatedView, *, patient_id: str, image_id: str, cohort: str = ""
) -> None:
    """Write one view, RLE-compressed; the same view gives the same bytes, another `cohort` other identifiers."""
    dataset = _describe(simulated, patient_id, image_id, cohort)
    levels = np.rint(simulated.pixels * (2**BITS - 1)).astype(np.uint16)
    dataset.Rows, dataset.Columns = levels.shape
    dataset.PixelData = levels.tobytes()
    dataset.compress(RLELossless, levels, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)


def _describe(simulated: SimulatedView, patient_id: str, image_id: str, cohort: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SOP_CLASS
    meta.MediaStorageSOPInstanceUID = _uid("instance", cohort, image_id)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = SOP_CLASS
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.SpecificCharacterSet = "ISO_IR 100"
    _add_study(dataset, patient_id, cohort)
    _add_acquisition(dataset, simulated)
    _add_presentation(dataset)
    return dataset


def _uid(*words: str) -> UID:
    return generate_uid(entropy_srcs=["calcigraph simulation", *words])


def _add_study(dataset: Dataset, patient_id: str, cohort: str) -> None:
    dataset.PatientID, dataset.PatientName = patient_id, f"Simulated^{patient_id}"
    dataset.PatientSex, dataset.PatientBirthDate = "F", ""
    dataset.StudyInstanceUID = _uid("study", cohort, patient_id)
    dataset.SeriesInstanceUID = _uid("series", cohort, patient_id)
    dataset.StudyDate = dataset.ContentDate = dataset.AcquisitionDate = "20260101"
    dataset.StudyTime = dataset.ContentTime = dataset.AcquisitionTime = "120000"
    dataset.StudyID, dataset.SeriesNumber = "1", 1
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.Modality, dataset.Manufacturer = "MG", "calcigraph"
    dataset.ManufacturerModelName = "simulator"
    dataset.StudyDescription = "Simulated mammogram"
    dataset.ImageComments = RESEARCH_USE


def _add_acquisition(dataset: Dataset, simulated: SimulatedView) -> None:
    left = simulated.laterality is Laterality.LEFT
    dataset.InstanceNumber = 1 if simulated.view is View.CC else 2
    pitch = [f"{simulated.spacing_mm:.6g}"] * 2
    dataset.ImagerPixelSpacing, dataset.PixelSpacing = pitch, pitch
    dataset.EstimatedRadiographicMagnificationFactor = "1"
    dataset.ImageLaterality, dataset.ViewPosition = str(simulated.laterality), str(simulated.view)
    dataset.PatientOrientation = ["A" if left else "P", "F"]
    if simulated.view is View.CC:  # lateral is up, so down is towards the other breast
        dataset.PatientOrientation[1] = "R" if left else "L"
    dataset.ViewCodeSequence = Sequence([_coded(VIEW_CODES[simulated.view])])
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([])
    dataset.AnatomicRegionSequence = Sequence([_coded(Code("76752008", "SCT", "Breast"))])
    dataset.AcquisitionContextSequence = Sequence([])
    dataset.BodyPartExamined, dataset.OrganExposed = "BREAST", "BREAST"
    dataset.PositionerType, dataset.DetectorType = "MAMMOGRAPHIC", "DIRECT"
    dataset.BreastImplantPresent, dataset.BurnedInAnnotation = "NO", "NO"


def _add_presentation(dataset: Dataset) -> None:
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.PresentationIntentType, dataset.PresentationLUTShape = "FOR PRESENTATION", "IDENTITY"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, BITS, BITS - 1
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.WindowCenter, dataset.WindowWidth = str(2 ** (BITS - 1)), str(2**BITS)
    dataset.LossyImageCompression = "00"


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item
