"""CBIS-DDSM as three sources hand it out: the archive's tree, one by UIDs, and pictures in folders of series."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import uid

from calcigraph.adapters import adapt_cbis_ddsm
from calcigraph.adapters.cbis_tables import read_films
from calcigraph.adapters.masks import outline_of
from calcigraph.cli import main
from calcigraph.errors import BadConfig, BadManifest
from calcigraph.io import problems, read_dataset
from calcigraph.io.truth import read_outline
from calcigraph.lexicon import DISTRIBUTIONS, Distribution, Laterality, View
from calcigraph.simulate.outlines import read_outlines
from dicom_files import dicom, save
from real_data import real_data

HEADER = (
    "patient_id,breast density,left or right breast,image view,abnormality id,abnormality type,calc type,"
    "calc distribution,assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path"
)
SHAPE = (60, 50)
LESION = (slice(20, 41), slice(10, 31))
"""Rows 20 to 40, columns 10 to 30."""
pytestmark = pytest.mark.usefixtures("inline_pool")

LAYOUTS = ("archive", "uids", "pictures", "named")


def series(name: str) -> str:
    """The Series Instance UID of an image."""
    return uid.generate_uid(entropy_srcs=[name])


def row(film: str, lesion: int, descriptor: str) -> str:
    """A line of the table as it is published, with its newline within a cell."""
    _, letter, number, side, view = film.split("_")
    name = f"{film}_{lesion}"
    return (
        f"{letter}_{number},3,{side},{view},{lesion},calcification,AMORPHOUS,{descriptor},3,MALIGNANT,3,"
        f'{film}/1.2.3/{series(film)}/000000.dcm,"{name}/1.2.3/{series(name)}/000001.dcm\n",'
        f"{name}/1.2.3/{series(name)}/000000.dcm"
    )


def put(folder: Path, layout: str, name: str, number: int, pixels: np.ndarray) -> None:
    """Write an image of a series where a source would have it."""
    places = {
        "archive": f"CBIS-DDSM/{name}/08-07-2016-DDSM-NA-93921/1.000000-images-05891/1-{number + 1}.dcm",
        "uids": f"{name}/1.2.3/{series(name)}/00000{number}.dcm",
        "pictures": f"jpeg/{series(name)}/1-{number}17.jpg",
        "named": f"png/{name}{'_crop' * number}.png",
    }
    path = folder / places[layout]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".dcm":
        tags = {"PatientID": name, "SeriesInstanceUID": series(name), "ImagerPixelSpacing": None}
        save(dicom(pixels.astype(np.uint8), bits=8, **tags), path)
    else:
        path.write_bytes(cv2.imencode(path.suffix, pixels.astype(np.uint8))[1].tobytes())


def film(folder: Path, layout: str, name: str, *, lesions: int = 1, shape: tuple[int, int] = SHAPE) -> None:
    rng = np.random.default_rng(0)
    put(folder, layout, name, 0, rng.integers(30, 220, SHAPE))
    mask = np.zeros(shape)
    mask[LESION] = 255
    for lesion in range(1, lesions + 1):
        put(folder, layout, f"{name}_{lesion}", 0, mask)
        put(folder, layout, f"{name}_{lesion}", 1, rng.integers(30, 220, (24, 24)))


def tables(folder: Path, **rows: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, lines in rows.items():
        text = "\n".join((HEADER, *lines)) + "\n"
        (folder / f"calc_case_description_{part}_set.csv").write_text(text, encoding="utf-8")


def two_films(folder: Path, layout: str) -> None:
    left, right = "Calc-Training_P_00005_LEFT_CC", "Calc-Test_P_00038_RIGHT_MLO"
    tables(folder, train=[row(left, 1, "CLUSTERED")], test=[row(right, 1, "DIFFUSELY_SCATTERED")])
    film(folder, layout, left)
    film(folder, layout, right)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_becomes_the_same_data_set(tmp_path: Path, layout: str) -> None:
    two_films(tmp_path, layout)
    done = adapt_cbis_ddsm(tmp_path, spacing_mm=0.05)
    assert (done.missing, done.unclear, done.failures) == ((), (), {})
    assert problems(tmp_path, open_images=True) == []
    right, left = read_dataset(tmp_path).cases
    assert (left.image_id, left.patient_id, left.split) == ("P_00005_LEFT_CC", "P_00005", "train")
    assert (left.laterality, left.view, left.distribution) == (
        Laterality.LEFT,
        View.CC,
        Distribution.GROUPED,
    )
    assert (right.image_id, right.split, right.distribution) == ("P_00038_RIGHT_MLO", "test", "diffuse")
    corners = read_outline(tmp_path / "outlines" / "P_00005_LEFT_CC.csv").to_numpy()
    assert corners.min(axis=0).tolist() == [20, 10]
    assert corners.max(axis=0).tolist() == [40, 30]


def test_outlines_are_those_that_simulate_takes(tmp_path: Path) -> None:
    two_films(tmp_path, "archive")
    adapt_cbis_ddsm(tmp_path, spacing_mm=0.05)
    right, left = read_outlines(tmp_path / "outlines.json")
    assert (left.patient, left.laterality, left.view, left.distribution) == ("P_00005", "L", "CC", "grouped")
    assert right.distribution == "diffuse"
    lowest = np.min(left.film_mm, axis=0)
    assert lowest.tolist() == pytest.approx([20.5 * 0.05, 10.5 * 0.05], abs=6e-4)


@pytest.mark.parametrize(
    ("descriptors", "named"),
    [
        (["CLUSTERED", "CLUSTERED"], "grouped"),
        (["REGIONAL-REGIONAL"], "regional"),
        (["N/A", "LINEAR"], "linear"),
        (["CLUSTERED", "SEGMENTAL"], None),
        (["CLUSTERED-LINEAR"], None),
        (["N/A"], None),
    ],
)
def test_a_film_has_a_distribution_where_its_lesions_have_one(
    tmp_path: Path, descriptors: list[str], named: str | None
) -> None:
    name = "Calc-Training_P_00007_LEFT_CC"
    tables(tmp_path, train=[row(name, n, d) for n, d in enumerate(descriptors, start=1)])
    film(tmp_path, "archive", name, lesions=len(descriptors))
    done = adapt_cbis_ddsm(tmp_path, spacing_mm=0.05)
    (case,) = done.dataset.cases
    assert case.distribution == named
    assert done.unclear == ((case.image_id,) if named is None and descriptors != ["N/A"] else ())
    assert (tmp_path / "outlines").exists() == (len(descriptors) == 1)


def test_films_that_are_missing_are_told_and_the_others_go_on(tmp_path: Path) -> None:
    here, gone = "Calc-Training_P_00005_LEFT_CC", "Calc-Training_P_00006_LEFT_CC"
    tables(tmp_path, train=[row(here, 1, "CLUSTERED"), row(gone, 1, "LINEAR")])
    film(tmp_path, "uids", here, shape=(44, 46))
    done = adapt_cbis_ddsm(tmp_path, spacing_mm=0.05)
    assert done.missing == (gone,)
    assert [case.image_id for case in done.dataset.cases] == ["P_00005_LEFT_CC"]
    assert "0 masks of its 60 × 50 pixels among 2" in done.failures["P_00005_LEFT_CC"]
    with pytest.raises(BadConfig, match="delete manifest"):
        adapt_cbis_ddsm(tmp_path, spacing_mm=0.05)


@pytest.mark.parametrize("side_px", [0, 1, 2, 13, 15])
def test_a_speck_is_no_outline(side_px: int) -> None:
    """At 0.05 mm, the corners of 15 pixels enclose 0.49 mm², those of 16 0.56."""
    mask = np.zeros(SHAPE, np.float32)
    mask[5 : 5 + side_px, 7 : 7 + side_px] = 1
    assert outline_of(mask, 0.05).empty
    mask[5:21, 7:23] = 1
    assert outline_of(mask, 0.05).to_numpy().tolist() == [[5, 7], [20, 7], [20, 22], [5, 22]]


def test_an_outline_that_is_there_is_kept(tmp_path: Path) -> None:
    two_films(tmp_path, "archive")
    kept = tmp_path / "outlines" / "P_00005_LEFT_CC.csv"
    kept.parent.mkdir()
    kept.write_text("row_px,col_px\n1,1\n1,9\n9,9\n", encoding="utf-8")
    adapt_cbis_ddsm(tmp_path, spacing_mm=0.05)
    assert len(read_outline(kept)) == 3


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (None, "without calc_case"),
        ([], "none of the 0 films"),
        ([row("Calc-Training_P_00005_LEFT_CC", 1, "LINEAR")], "none of the 1 films"),
        ([row("Calc-Training_P_00005_LEFT_CC", 1, "SOMEWHERE")], "row 2: calc distribution 'SOMEWHERE'"),
        ([row("Mass-Training_P_00005_LEFT_CC", 1, "LINEAR")], "row 2: image file path"),
        (["a,b"], "row 2: image file path ''"),
    ],
)
def test_what_is_no_such_download_is_refused_in_one_line(
    tmp_path: Path, lines: list[str] | None, said: str
) -> None:
    if lines is not None:
        tables(tmp_path, train=lines)
    with pytest.raises(BadManifest, match=said):
        adapt_cbis_ddsm(tmp_path, spacing_mm=0.05)
    assert not (tmp_path / "manifest.csv").exists()


def test_the_command_lists_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two_films(tmp_path, "named")
    with (tmp_path / "calc_case_description_train_set.csv").open("a", encoding="utf-8") as file:
        file.writelines(row(f"Calc-Training_P_1000{n}_LEFT_CC", 1, "LINEAR") + "\n" for n in range(10))
        file.write(row("Calc-Training_P_20000_LEFT_CC", 1, "LINEAR") + "\n")
    monkeypatch.setattr("sys.argv", ["calcigraph", "adapt", "cbis-ddsm", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 3
    shown = capsys.readouterr().out
    assert "Calc-Training_P_10000_LEFT_CC: no file" in shown
    assert "... and 1 more" in shown
    assert "a data set of 2 images" in shown
    entries = json.loads((tmp_path / "outlines.json").read_text(encoding="utf-8"))
    assert len(entries) == 2


def test_the_published_tables_are_read() -> None:
    films = read_films(real_data("cbis_ddsm"))
    assert len(films) == 1511
    assert sum(len(film.lesions) for film in films) == 1872
    single = [next(iter(f.descriptors)) for f in films if len(f.descriptors) == 1]
    assert [single.count(d) for d in DISTRIBUTIONS] == [20, 69, 849, 106, 191]
    assert sum(len(film.descriptors) > 1 for film in films) == 36
    assert not {f.name.split("_")[2] for f in films if f.name.startswith("Calc-Test")} & {
        f.name.split("_")[2] for f in films if f.name.startswith("Calc-Training")
    }
