from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from calcigraph.errors import BadManifest, MissingSpacing
from calcigraph.io import (
    Case,
    problems,
    read_dataset,
    read_table,
    read_truth,
    write_manifest,
    write_table,
    write_text,
    write_truth,
)
from calcigraph.lexicon import Distribution, Laterality, View
from dicom_files import dicom, save, some_pixels

HEADER = "image_id,patient_id,path,laterality,view,distribution,spacing_mm,split"
CASES = (
    Case("a", "p1", Path("images/a.png"), Laterality.LEFT, View.MLO, Distribution.GROUPED, 0.07, "train"),
    Case("b", "p1", Path("images/b.png"), Laterality.LEFT, View.CC, None, 0.1, "train"),
    Case("c.1", "p2", Path("images/c.dcm"), None, None, Distribution.LINEAR, None, "test"),
)
TRUTH = pd.DataFrame(
    {
        "row_px": [1.5, 20.123456],
        "col_px": [2.0, 30.0],
        "diameter_mm": [0.3, 0.25],
        "kind": ["lesion", "vascular"],
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (root / "images" / name).write_bytes(cv2.imencode(".png", some_pixels(8))[1].tobytes())
    save(dicom(ImageLaterality="R", ViewPosition="CC"), root / "images" / "c.dcm")
    write_manifest(root, name="Test", licence="CC0", source="made here", cases=CASES)
    write_truth(root, "a", TRUTH)
    return root


def rows(folder: Path, *lines: str, header: str = HEADER) -> list[str]:
    (folder / "manifest.csv").write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return problems(folder)


def test_what_is_written_is_read_again(folder: Path) -> None:
    dataset = read_dataset(folder)
    assert dataset.cases == CASES
    assert (dataset.name, dataset.licence, dataset.source) == ("Test", "CC0", "made here")
    assert problems(folder, open_images=True) == []
    first = (folder / "manifest.csv").read_bytes()
    write_manifest(folder, name="Test", licence="CC0", source="made here", cases=dataset.cases)
    assert (folder / "manifest.csv").read_bytes() == first
    assert sorted(p.name for p in folder.iterdir()) == ["dataset.json", "images", "manifest.csv", "truth"]


def test_the_manifest_completes_the_image(folder: Path) -> None:
    dataset = read_dataset(str(folder))
    a, _, c = (dataset.read(case) for case in dataset.cases)
    assert (a.image_id, a.patient_id, a.laterality, a.view) == ("a", "p1", "L", "MLO")
    assert a.spacing_mm == (0.07, 0.07)
    assert (c.image_id, c.patient_id, c.laterality, c.view) == ("c.1", "p2", "R", "CC")


def test_truth(folder: Path) -> None:
    dataset = read_dataset(folder)
    table = dataset.truth(dataset.cases[0])
    assert table is not None
    np.testing.assert_allclose(table["row_px"], [1.5, 20.1235])
    assert list(table["kind"]) == ["lesion", "vascular"]
    assert dataset.truth(dataset.cases[1]) is None


@pytest.mark.parametrize(
    ("kind", "snr", "words"),
    [
        ("", "5", "row 3 has an empty kind"),
        ("punctate", "5", "row 3 has a kind that is none of lesion, scattered, coarse, vascular"),
        ("lesion", "high", "row 3 has an snr that is not a number"),
    ],
)
def test_a_kind_or_signal_that_cannot_be_is_refused(folder: Path, kind: str, snr: str, words: str) -> None:
    text = f"row_px,col_px,diameter_mm,kind,snr\n1,2,0.3,lesion,\n1,2,0.3,{kind},{snr}\n"
    (folder / "truth" / "a.csv").write_text(text)
    with pytest.raises(BadManifest, match=words):
        read_dataset(folder)
    assert any(words in problem for problem in problems(folder))


def test_a_signal_that_is_not_known_is_a_number_all_the_same(folder: Path) -> None:
    (folder / "truth" / "a.csv").write_text("row_px,col_px,diameter_mm,kind,snr\n1,2,0.3,lesion,\n")
    dataset = read_dataset(folder)
    table = dataset.truth(dataset.cases[0])
    assert table is not None and table["snr"].dtype == np.float64 and table["snr"].isna().all()


def test_empty_truth_is_an_ordinary_value(folder: Path) -> None:
    write_truth(folder, "b", TRUTH.iloc[:0])
    table = read_dataset(folder).truth(CASES[1])
    assert table is not None
    assert len(table) == 0
    assert table["row_px"].dtype == np.float64
    assert problems(folder) == []


def test_spacing_of_a_raster_image_comes_from_the_manifest_only(folder: Path) -> None:
    assert rows(folder, "a,p,images/a.png,,,,,") == []
    dataset = read_dataset(folder)
    with pytest.raises(MissingSpacing):
        dataset.read(dataset.cases[0])
    assert any("spacing" in p for p in problems(folder, open_images=True))


def test_columns_in_any_order_with_extras_blank_rows_and_a_byte_order_mark(folder: Path) -> None:
    header = "\ufeffpath,view,extra,image_id,patient_id,laterality,distribution"
    text = f'{header}\r\n\r\nimages/a.png, CC ,"x,\ny",a,p,R,diffuse\r\n'
    (folder / "manifest.csv").write_text(text, encoding="utf-8", newline="")
    (case,) = read_dataset(folder).cases
    assert case == Case("a", "p", Path("images/a.png"), Laterality.RIGHT, View.CC, Distribution.DIFFUSE)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (",p,images/a.png,,,,,", "image_id ''"),
        ("../a,p,images/a.png,,,,,", "image_id '../a'"),
        ("a b,p,images/a.png,,,,,", "image_id 'a b'"),
        (f"{'影' * 100},p,images/a.png,,,,,", "a file's length"),
        (".a,p,images/a.png,,,,,", "image_id '.a'"),
        ("a,,images/a.png,,,,,", "no patient_id"),
        ("a,p,,,,,,", "no path"),
        ("a,p,images/z.png,,,,,", "is not a file"),
        ("a,p,images,,,,,", "is not a file"),
        ("a,p,../set/images/a.png,,,,,", "leaves the folder"),
        ("a,p,/etc/hostname,,,,,", "leaves the folder"),
        ("a,p,C:\\a.png,,,,,", "leaves the folder"),
        ("a,p,images/link.png,,,,,", "leaves the folder by a link"),
        ("a,p,images\\a.png,,,,,", "is not a file (folders are parted by /)"),
        ("a,p,images/a.png,left,,,,", "laterality 'left' (allowed: L, R, or empty)"),
        ("a,p,images/a.png,,AP,,,", "view 'AP'"),
        ("a,p,images/a.png,,,clustered,,", "distribution 'clustered' (allowed: diffuse,"),
        ("a,p,images/a.png,,,,fine,", "spacing_mm 'fine'"),
        ("a,p,images/a.png,,,,0,", "spacing_mm '0'"),
        ("a,p,images/a.png,,,,-0.1,", "spacing_mm '-0.1'"),
        ("a,p,images/a.png,,,,nan,", "spacing_mm 'nan'"),
        ("a,p,images/a.png,,,,85,", "spacing_mm '85'"),
        ("a,p,images/a.png,,,,,dev", "split 'dev'"),
        ("a,p,images/a.png", "3 cells, not 8"),
        ("a,p,images/a.png,,,,,,,", "10 cells, not 8"),
    ],
)
def test_every_wrong_cell_is_named_with_its_row(folder: Path, line: str, words: str) -> None:
    (folder / "images" / "link.png").symlink_to("/etc/hostname")
    found = [p for p in rows(folder, "ok,q,images/b.png,L,CC,linear,0.1,", line) if "truth/" not in p]
    assert len(found) == 1
    assert found[0].startswith("manifest.csv, row 3: ")
    assert words in found[0]
    with pytest.raises(BadManifest) as caught:
        read_dataset(folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_problems_are_listed_at_once(folder: Path) -> None:
    (folder / "dataset.json").write_text(json.dumps({"name": "x", "source": 3}))
    found = rows(
        folder,
        "a,p,images/a.png,X,Y,Z,0,train",
        "A,p,images/b.png,,,,,test",
        "d,q,images/b.png,,,,,",
        "a,q,images/none.png,,,,,",
    )
    for words in (
        "dataset.json has no licence",
        "dataset.json has no source",
        "row 2: laterality",
        "row 2: view",
        "row 2: distribution",
        "row 2: spacing_mm",
        "row 5: path",
        "image_id 'A' twice",
        "image_id 'a' twice",
        "path 'images/b.png' twice",
        "patient 'p' in two splits",
    ):
        assert sum(words in p for p in found) == 1, words
    with pytest.raises(BadManifest, match="and 10 more"):
        read_dataset(folder)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("manifest.csv", None, "manifest.csv is missing"),
        ("manifest.csv", b"", "no column image_id"),
        ("manifest.csv", b"image_id,path\na,b\n", "no column patient_id, laterality, view, distribution"),
        ("manifest.csv", HEADER.encode() + b"\n", "no images"),
        ("manifest.csv", HEADER.encode() + b",view\n", "same column twice"),
        ("manifest.csv", b"\xff\xfe\x00", "not a CSV table"),
        ("manifest.csv", HEADER.encode() + b"\na,p,images/a.png\0,,,,,\n", "path"),
        ("dataset.json", None, "dataset.json is missing"),
        ("dataset.json", b"{", "not JSON"),
        ("dataset.json", b"[" * 100000, "not JSON"),
        ("dataset.json", b"[1]", "has no name"),
        ("dataset.json", b'{"name": " ", "licence": "x", "source": "y"}', "has no name"),
    ],
)
def test_broken_folders(folder: Path, name: str, content: bytes | None, words: str) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    assert any(words in p for p in problems(folder))
    with pytest.raises(BadManifest):
        read_dataset(folder)


def test_missing_folder(tmp_path: Path) -> None:
    assert problems(tmp_path / "none") == ["no such folder"]
    assert problems(Path(__file__)) == ["a file, not a folder"]
    with pytest.raises(BadManifest, match="no such folder"):
        read_dataset(tmp_path / "none")


@pytest.mark.parametrize(
    "text",
    ["", "row_px,col_px\n1,2\n", "row_px,col_px,diameter_mm\n1,x,0.3\n", "row_px,col_px,diameter_mm\n1,2,0\n",
     "row_px,col_px,diameter_mm\n-5,2,1\n", "row_px,col_px,diameter_mm\n1,2,\n", '"', "\xff"],
)  # fmt: skip
def test_broken_truth(folder: Path, text: str) -> None:
    dataset = read_dataset(folder)
    (folder / "truth" / "a.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadManifest, match=r"truth/a.csv"):
        dataset.truth(dataset.cases[0])
    with pytest.raises(BadManifest, match=r"truth/a.csv"):  # before anything is done with the data
        read_dataset(folder)
    (problem,) = problems(folder)
    assert problem.startswith("truth/a.csv: ")


def test_truth_outside_of_its_image_is_listed(folder: Path) -> None:
    write_truth(folder, "a", TRUTH.assign(row_px=[1.5, 5000.0]))
    assert problems(folder) == []
    (problem,) = problems(folder, open_images=True)
    assert problem.startswith("truth/a.csv, row 3: position 5000, 30 outside of the image of ")


def test_images_of_sound_rows_are_opened_beside_broken_rows(folder: Path) -> None:
    (folder / "images" / "b.png").write_bytes(b"no image")
    rows(folder, "a,p,images/a.png,,,,0.1,", "b,p,images/b.png,,,,0.1,", "d,p,images/none.png,,,,0.1,")
    listed = problems(folder, open_images=True)
    assert len(listed) == 2 and "row 4: path" in listed[0] and "b" in listed[1]


def test_outlines_are_looked_at(folder: Path) -> None:
    outlines = folder / "outlines"
    write_text(outlines / "a.csv", "row_px,col_px\n1,2\n5,2\n5,9\n")
    assert problems(folder) == []
    write_text(outlines / "b.csv", "nonsense\n")
    write_text(outlines / "zzz.csv", "row_px,col_px\n1,2\n")
    first, second = problems(folder)
    assert first.startswith("outlines/b.csv: no column row_px, col_px; allowed: columns row_px, col_px")
    assert second == "outlines/zzz.csv: no such image_id in manifest.csv"


def test_outlines_that_lie_outside_or_enclose_nothing_are_listed(folder: Path) -> None:
    outlines = folder / "outlines"
    write_text(outlines / "a.csv", "row_px,col_px\n1,2\n5,200\n500,9\n")
    write_text(outlines / "b.csv", "row_px,col_px\n1,2\n5,2\n")
    write_text(outlines / "c.1.csv", "row_px,col_px\n")
    assert problems(folder) == []
    outside, two, none = problems(folder, open_images=True)
    assert outside.startswith("outlines/a.csv, row 3: position 5, 200 outside of the image of 48 rows and 40")
    assert two == "outlines/b.csv: 2 corners (allowed: 3 or more)"
    assert none == "outlines/c.1.csv: 0 corners (allowed: 3 or more)"
    write_text(outlines / "b.csv", "row_px,col_px\n")  # of an image without a distribution
    assert problems(folder, open_images=True) == [outside, none]


@pytest.mark.parametrize("rows", ["10,20,0.3,7\n11,30,0.3,7\n", "9,20,0.3,7\n", "9,9,9,9,9\n"])
def test_more_cells_than_columns_are_not_shifted(folder: Path, rows: str) -> None:
    """pandas alone would take 10 as the name of the row, and 20 as its row_px."""
    write_text(folder / "truth" / "a.csv", f"row_px,col_px,diameter_mm\n{rows}")
    write_text(folder / "outlines" / "b.csv", f"row_px,col_px,note\n{rows}")
    truth, outline = problems(folder)
    assert truth.startswith("truth/a.csv: a table that cannot be read")
    assert outline.startswith("outlines/b.csv: a table that cannot be read")


def test_commas_at_the_end_of_rows_are_no_cells(folder: Path) -> None:
    write_text(folder / "truth" / "a.csv", "row_px,col_px,diameter_mm\n10,20,0.3,\n11,30,0.3,\n")
    assert read_truth(folder / "truth" / "a.csv").to_numpy().tolist() == [[10, 20, 0.3], [11, 30, 0.3]]


def test_truth_without_its_image(folder: Path) -> None:
    write_truth(folder, "zz", TRUTH)
    assert problems(folder) == ["truth/zz.csv: no such image_id in manifest.csv"]


def test_writers_refuse_what_readers_would(tmp_path: Path) -> None:
    with pytest.raises(BadManifest):
        write_manifest(tmp_path, name="x", licence="x", source="x", cases=[CASES[0], CASES[0]])
    with pytest.raises(BadManifest):
        write_truth(tmp_path, "a", TRUTH.assign(diameter_mm=-1.0))
    assert list(tmp_path.iterdir()) == []


def test_tables_are_stable_and_never_half_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame(
        {"x": [1 / 3, 1e-7, np.nan, 12345.678], "n": [1, 2, 3, 4], "t": ["a", "b,c", None, "d"]}
    )
    path = tmp_path / "deep" / "t.csv"
    write_table(path, table)
    assert path.read_text() == 'x,n,t\n0.333333,1,a\n1e-07,2,"b,c"\n,3,\n12345.7,4,d\n'
    assert read_table(path).shape == (4, 3)
    ids = pd.DataFrame({"image_id": ["0001", "NA", "1e3"], "patient_id": ["007", "None", "7"]})
    write_table(path.with_name("ids.csv"), ids)
    assert read_table(path.with_name("ids.csv")).equals(ids)
    path.with_name("ids.csv").unlink()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new")
    assert path.read_text().startswith("x,n,t")
    assert [p.name for p in path.parent.iterdir()] == ["t.csv"]
    with pytest.raises(BadManifest):
        read_truth(path)
