"""A simulated mammogram as a DICOM file: what a reader needs is there, and the pixels come back."""

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, RLELossless

from calcigraph.io import read_dataset, read_mammogram
from calcigraph.lexicon import Laterality, View
from calcigraph.simulate import CohortOptions, PlannedCase, simulate_case, write_cohort
from calcigraph.simulate.dicom import write_dicom
from tiny_cohort import BOTH_VIEWS, OPTIONS, PLAN

TYPE_1 = """
    SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality PresentationIntentType
    PatientOrientation ImageLaterality AnatomicRegionSequence ImageType SamplesPerPixel Rows Columns
    PhotometricInterpretation BitsAllocated BitsStored HighBit PixelRepresentation PixelData
    PixelIntensityRelationship PixelIntensityRelationshipSign RescaleIntercept RescaleSlope RescaleType
    PresentationLUTShape LossyImageCompression BurnedInAnnotation ImagerPixelSpacing PositionerType
    OrganExposed ViewCodeSequence WindowCenter WindowWidth
"""
"""Present and not empty in the Digital Mammography X-Ray Image IOD (PS3.3 A.27; C.8.11.1 to C.8.11.7, C.11.2)."""

TYPE_2 = """
    PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID
    AccessionNumber SeriesNumber Manufacturer InstanceNumber DetectorType AcquisitionContextSequence
"""
"""Present, perhaps empty."""


@pytest.fixture(scope="module")
def views(tiny_cohort):
    """The file of each image of two cases beside what was simulated, of a left and a right breast."""
    return [
        (tiny_cohort / "images" / f"{case.image_id(shown.view)}.dcm", case, shown)
        for case in BOTH_VIEWS
        for shown in simulate_case(case, OPTIONS)
    ]


def test_both_breasts_and_views_are_looked_at(views):
    assert {(shown.laterality, shown.view) for _, _, shown in views} == {
        (side, view) for side in Laterality for view in (View.CC, View.MLO)
    }


def test_pixels_come_back_within_half_of_a_grey_level(views):
    for path, _, shown in views:
        image = read_mammogram(path)
        assert image.shape == shown.pixels.shape
        np.testing.assert_allclose(image.pixels, shown.pixels, atol=0.501 / 4095)


def test_what_the_file_says_of_the_view(views):
    for path, case, shown in views:
        image = read_mammogram(path)
        assert image.spacing_mm == pytest.approx((0.2, 0.2))
        assert (image.laterality, image.view) == (shown.laterality, shown.view)
        assert image.patient_id == case.patient_id
        assert image.chest_wall == ("left" if shown.laterality is Laterality.LEFT else "right")
        wall = image.pixels[:, 0 if image.chest_wall == "left" else -1]
        assert (wall > 0.05).mean() > 0.4, "the breast touches that side"


def test_mandatory_attributes(views):
    for path, _, _ in views:
        dataset = dcmread(path)
        assert [name for name in TYPE_1.split() if name not in dataset or dataset[name].is_empty] == []
        assert [name for name in TYPE_2.split() if name not in dataset] == []
        assert dataset.SOPClassUID == DigitalMammographyXRayImageStorageForPresentation
        assert dataset.file_meta.TransferSyntaxUID == RLELossless
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert (dataset.Modality, dataset.PresentationIntentType) == ("MG", "FOR PRESENTATION")
        assert (dataset.PositionerType, dataset.OrganExposed) == ("MAMMOGRAPHIC", "BREAST")
        assert (dataset.PhotometricInterpretation, dataset.PresentationLUTShape) == (
            "MONOCHROME2",
            "IDENTITY",
        )
        assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit) == (16, 12, 11)
        view = dataset.ViewCodeSequence[0]
        assert view.CodeValue and view.CodingSchemeDesignator == "SCT" and "ViewModifierCodeSequence" in view


def test_identifiers_are_those_of_one_study_for_each_patient(tiny_cohort):
    files = [dcmread(path, stop_before_pixels=True) for path in sorted((tiny_cohort / "images").iterdir())]
    assert len({f.SOPInstanceUID for f in files}) == len(files)
    assert len({f.StudyInstanceUID for f in files}) == len({f.PatientID for f in files}) == 11
    assert all(len(f.SOPInstanceUID) <= 64 for f in files)


def test_other_cohorts_have_other_identifiers(tiny_cohort, tmp_path, inline_pool):
    write_cohort(tmp_path, PLAN[:1], CohortOptions(seed=5, spacing_mm=0.25), name="Another")
    for path in (tmp_path / "images").iterdir():
        mine, other = (
            dcmread(f, stop_before_pixels=True) for f in (tiny_cohort / "images" / path.name, path)
        )
        for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
            assert mine[name].value != other[name].value


@pytest.mark.parametrize("side", Laterality)
def test_in_a_cranio_caudal_view_down_is_towards_the_sternum(views, side):
    """The simulator's lateral axis points up in the image, so the columns run towards the other breast."""
    path = next(path for path, _, shown in views if (shown.laterality, shown.view) == (side, View.CC))
    rows_to, columns_to = dcmread(path, stop_before_pixels=True).PatientOrientation
    assert rows_to == ("A" if side is Laterality.LEFT else "P")
    assert columns_to == ("R" if side is Laterality.LEFT else "L")


def test_a_file_alone_needs_no_manifest(views, tiny_cohort):
    data = read_dataset(tiny_cohort)
    path, case, shown = views[0]
    listed = next(c for c in data.cases if c.image_id == case.image_id(shown.view))
    np.testing.assert_array_equal(data.read(listed).pixels, read_mammogram(path).pixels)


def test_one_file_for_one_view(tmp_path):
    case = PlannedCase(1, None, (View.CC,))
    shown = simulate_case(case, CohortOptions(spacing_mm=0.25))[0]
    for name in ("a", "b"):
        write_dicom(tmp_path / name, shown, patient_id="P", image_id="I")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
