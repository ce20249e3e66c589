"""A cohort on disk: the same seed gives the same bytes, a killed run goes on, and it keeps the contract."""

import hashlib
import shutil
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np
import pandas as pd
import pytest

from calcigraph.errors import BadManifest
from calcigraph.io import problems, read_dataset, read_truth
from calcigraph.lexicon import Distribution, View
from calcigraph.simulate import CohortOptions, PlannedCase, simulate_case, write_cohort
from inline_pool import InlinePool

BOTH = (View.CC, View.MLO)
PLAN = (
    PlannedCase(1, Distribution.LINEAR, BOTH),
    PlannedCase(2, None, (View.MLO,)),
    PlannedCase(3, Distribution.DIFFUSE, (View.CC,)),
)
OPTIONS = CohortOptions(seed=6, spacing_mm=0.25)
PNG = CohortOptions(seed=6, spacing_mm=0.25, file_format="png")

pytestmark = pytest.mark.usefixtures("inline_pool")


def write(folder, plan=PLAN, options=OPTIONS, **more):
    write_cohort(folder, plan, options, name="Three", **more)
    return folder


def fingerprints(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calcigraph.processes.ProcessPoolExecutor", InlinePool)
        return write(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def test_what_is_written(whole):
    ids = {"S0001_L_CC", "S0001_L_MLO", "S0002_R_MLO", "S0003_L_CC"}
    expected = {f"{part}/{name}.{suffix}" for name in ids for part, suffix in
                (("images", "dcm"), ("truth", "csv"), ("outlines", "csv"))}  # fmt: skip
    assert set(fingerprints(whole)) == expected | {"dataset.json", "manifest.csv", "simulation.json"}


def test_same_seed_same_bytes_in_one_process_or_two(tmp_path, monkeypatch):
    monkeypatch.setattr("calcigraph.processes.ProcessPoolExecutor", ProcessPoolExecutor)
    one, two = (write(tmp_path / str(workers), workers=workers) for workers in (1, 2))
    assert fingerprints(one) == fingerprints(two)


def test_another_seed_differs_in_every_image(whole, tmp_path):
    other = fingerprints(write(tmp_path, options=CohortOptions(seed=7, spacing_mm=0.25)))
    same = {name for name, digest in fingerprints(whole).items() if other[name] == digest}
    assert not any(name.startswith(("images/", "truth/")) for name in same)


def test_a_rerun_makes_nothing_again(copy, monkeypatch):
    before = fingerprints(copy)
    monkeypatch.setattr("calcigraph.simulate.cohort.simulate_case", None)
    told = []
    assert fingerprints(write(copy, report=lambda *n: told.append(n))) == before
    assert told == [(3, 3)]


def test_a_killed_run_goes_on_where_it_was(whole, tmp_path):
    class Killed(BaseException):
        pass

    def kill(done, total):
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        write(tmp_path, report=kill)
    assert not (tmp_path / "manifest.csv").exists()
    told = []
    write(tmp_path, report=lambda *n: told.append(n))
    assert told == [(2, 3), (3, 3)]
    assert fingerprints(tmp_path) == fingerprints(whole)


@pytest.mark.parametrize(
    "lost",
    [
        ("manifest.csv", "dataset.json"),
        ("truth/S0001_L_CC.csv",),
        ("truth/S0001_L_MLO.csv", "images/S0001_L_MLO.dcm", "outlines/S0001_L_MLO.csv"),
        ("images/S0003_L_CC.dcm",),
    ],
)
def test_what_was_deleted_comes_back_as_it_was(whole, copy, lost):
    for name in lost:
        (copy / name).unlink()
    assert fingerprints(write(copy)) == fingerprints(whole)


@pytest.mark.parametrize(
    ("plan", "options"),
    [(PLAN[:2], OPTIONS), (PLAN, CohortOptions(seed=7, spacing_mm=0.25)), (PLAN, PNG)],
    ids=["plan", "seed", "format"],
)
def test_another_cohort_in_the_same_folder_is_refused_in_one_line(copy, plan, options):
    before = fingerprints(copy)
    with pytest.raises(BadManifest, match="another simulated cohort; allowed: an empty folder") as caught:
        write(copy, plan, options)
    assert "\n" not in str(caught.value)
    assert fingerprints(copy) == before


def test_marks_in_the_manifest_stay(copy):
    manifest = copy / "manifest.csv"
    marked = manifest.read_text().replace("\n", "train\n").replace("splittrain", "split")
    manifest.write_text(marked)
    (copy / "images" / "S0003_L_CC.dcm").write_bytes(b"")  # made again
    write(copy)
    assert manifest.read_text() == marked and (copy / "images" / "S0003_L_CC.dcm").stat().st_size > 0


def test_a_cohort_of_another_simulator_is_not_gone_on_with(copy, monkeypatch):
    monkeypatch.setattr("calcigraph.simulate.cohort.code_digest", lambda part: f"other {part}")
    (copy / "truth" / "S0001_L_CC.csv").unlink()
    before = fingerprints(copy)
    with pytest.raises(BadManifest, match="another simulated cohort"):
        write(copy)
    assert fingerprints(copy) == before


def test_a_folder_that_is_a_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadManifest, match="cannot be written"):
        write(tmp_path / "file")


def test_the_cohort_keeps_the_contract(whole, tiny_cohort):
    assert problems(whole, open_images=True) == []
    assert problems(tiny_cohort) == []
    cases = read_dataset(tiny_cohort).cases
    assert len(cases) == 13 and len({case.patient_id for case in cases}) == 11
    counts = pd.Series([case.distribution for case in cases]).value_counts(dropna=False)
    assert counts.tolist() == [3, 3, 2, 2, 2, 1]


def test_png_cohort_comes_back(tmp_path):
    data = read_dataset(write(tmp_path, options=PNG))
    assert problems(tmp_path, open_images=True) == []
    simulated = [shown for case in PLAN for shown in simulate_case(case, PNG)]
    for case, shown in zip(data.cases, simulated, strict=True):
        image = data.read(case)
        assert image.spacing_mm == (0.25, 0.25)
        assert (image.laterality, image.view) == (shown.laterality, shown.view)
        np.testing.assert_allclose(image.pixels, shown.pixels, atol=0.51 / 65535)
        stored = cv2.imread(str(tmp_path / case.path), cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16 and stored.ndim == 2


def test_truth_and_outlines_come_back(whole):
    for case in PLAN:
        for shown in simulate_case(case, OPTIONS):
            name = f"{case.image_id(shown.view)}.csv"
            truth = read_truth(whole / "truth" / name)
            assert truth.columns.tolist() == shown.truth.columns.tolist()
            numbers = ["row_px", "col_px", "diameter_mm", "snr"]
            np.testing.assert_allclose(truth[numbers], shown.truth[numbers], rtol=1e-5)
            assert truth["kind"].tolist() == shown.truth["kind"].tolist()
            outline = pd.read_csv(whole / "outlines" / name)
            np.testing.assert_allclose(outline.to_numpy(float), shown.outline_px, rtol=1e-5)
            assert (len(outline) > 0) == (case.distribution is not None)
