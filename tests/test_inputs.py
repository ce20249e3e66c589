from __future__ import annotations

import os
import zipfile
from pathlib import Path

import cv2
import pytest
from pydicom import uid

from calcigraph.errors import BadConfig, MissingSpacing, UnreadableImage
from calcigraph.io import archive, find_inputs, read_mammogram
from calcigraph.io.read import safe_id
from dicom_files import dicom, save, some_pixels


def png(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", some_pixels(8))[1].tobytes())
    return path


def test_an_archive_counts_by_what_is_in_it(tmp_path):
    path = zipped(tmp_path / "a.zip", {"1.png": b"1", "2.png": b"2"})
    before = {source.digest() for source in find_inputs(path)}
    copied = zipped(tmp_path / "b.zip", {"1.png": b"1", "2.png": b"2"})
    copied.write_bytes(path.read_bytes())
    assert len(before) == 1 and {source.digest() for source in find_inputs(copied)} == before
    zipped(path, {"1.png": b"1", "2.png": b"33"})
    assert {source.digest() for source in find_inputs(path)} != before


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    for name in (
        "b/2.png",
        "b/1.png",
        "a.png",
        "c/deep/er/a.png",
        ".hidden.png",
        ".git/x.png",
        "__MACOSX/y.png",
    ):
        png(root / name)
    save(dicom(), root / "IM0001")
    for name in ("DICOMDIR", "manifest.csv", "notes.TXT", "README", "LICENSE", "x.json", "Thumbs.db"):
        (root / name).write_bytes(b"sidecar")
    return root


def test_folders_are_walked_in_order_without_sidecars(folder: Path) -> None:
    sources = find_inputs([folder])
    names = [Path(s.label).relative_to(folder).as_posix() for s in sources]
    assert names == ["IM0001", "a.png", "b/1.png", "b/2.png", "c/deep/er/a.png"]
    assert [s.image_id for s in sources] == ["IM0001", "a", "1", "2", "a-2"]
    mammograms = [s.open(0.1) for s in sources]
    assert [m.image_id for m in mammograms] == [s.image_id for s in sources]
    assert [m.path for m in mammograms] == [s.label for s in sources]


def test_one_path_need_not_be_in_a_list(folder: Path) -> None:
    assert find_inputs(str(folder)) == find_inputs(folder) == find_inputs([folder])


@pytest.mark.parametrize("path", [None, b"x.png", 12, []])
def test_what_is_no_path_is_refused_in_one_line(path: object) -> None:
    with pytest.raises(UnreadableImage, match="not a path"):
        read_mammogram(path)  # type: ignore[arg-type]


@pytest.mark.parametrize("spacing_mm", ["0.085", (0.085, 0.085), float("nan")])
def test_what_is_no_spacing_is_refused_in_one_line(folder: Path, spacing_mm: object) -> None:
    with pytest.raises(BadConfig, match="a spacing of"):
        read_mammogram(folder / "a.png", spacing_mm=spacing_mm)  # type: ignore[arg-type]


def test_a_file_that_is_named_is_always_tried(folder: Path) -> None:
    renamed = png(folder / "a.png").rename(folder / "table.csv")
    assert find_inputs([renamed])[0].open(0.1).shape == (48, 40)
    assert find_inputs([folder / ".hidden.png"])[0].open(0.1).image_id == "hidden"
    with pytest.raises(UnreadableImage, match="text file"):
        find_inputs([folder / "README"])[0].open(0.1)


def test_what_does_not_exist_fails_alone(folder: Path) -> None:
    sources = find_inputs([folder / "nothing.dcm", folder / "a.png", Path("nul\0l.dcm"), Path("x" * 5000)])
    assert len(sources) == 4
    for at in (0, 2, 3):
        with pytest.raises(UnreadableImage, match="no such file"):
            sources[at].open(0.1)
    assert sources[1].open(0.1).shape == (48, 40)


def test_nothing_in_nothing_out(tmp_path: Path) -> None:
    assert find_inputs([]) == []
    assert find_inputs([tmp_path]) == []
    assert find_inputs([zipped(tmp_path / "empty.zip", {})]) == []


def test_an_image_reached_twice_is_listed_once(folder: Path) -> None:
    (folder / "b" / "link.png").symlink_to(folder / "b" / "1.png")
    (folder / "loop").symlink_to(folder)
    assert len(find_inputs([folder / "b" / "1.png", folder, folder / "b", str(folder)])) == 5


def test_links_to_folders_are_followed(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far.png").write_bytes((folder / "a.png").read_bytes())
    (elsewhere / "back").symlink_to(folder)
    before = [source.image_id for source in find_inputs([folder])]
    (folder / "b" / "patient").symlink_to(elsewhere)
    assert sorted(source.image_id for source in find_inputs([folder])) == sorted([*before, "far"])


def test_what_leads_nowhere_says_so(folder: Path) -> None:
    (folder / "self").symlink_to(folder / "self")
    os.mkfifo(folder / "pipe")
    for name, wrong in (("self", "a link that leads nowhere"), ("pipe", "not the file of an image")):
        with pytest.raises(UnreadableImage, match=wrong):
            find_inputs([folder / name])[0].open(0.1)


def test_a_folder_that_does_not_open_is_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may open every folder, so that the system's answer is made up."""
    look = os.scandir

    def locked(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    before = len(find_inputs([folder / "b"]))
    whole = len(find_inputs([folder]))
    monkeypatch.setattr(os, "scandir", locked)
    sources = find_inputs([folder])
    assert len(sources) == whole - before + 1 and before > 0
    with pytest.raises(UnreadableImage, match=r"b: Permission denied"):
        sources[-1].open(0.1)


@pytest.mark.parametrize("letter", ["x", "é", "図", "𝒳"])
def test_ids_are_names_that_file_systems_take(letter: str, tmp_path: Path) -> None:
    image_id = safe_id(f"{letter * 300}.png")
    assert len(image_id) >= 50 and set(image_id) == {letter}
    (tmp_path / f"{image_id}-100").mkdir()


def test_zip_members(folder: Path, tmp_path: Path) -> None:
    content = {
        "p1/x.dcm": (folder / "IM0001").read_bytes(),
        "p2/X.png": (folder / "a.png").read_bytes(),
        "__MACOSX/p1/._x.dcm": b"resource",
        "p1/readme.txt": b"hello",
        "p2/": b"",
    }
    path = zipped(tmp_path / "Archive.ZIP", content)
    first, second = find_inputs([path])
    assert (first.label, first.image_id) == (f"{path}!p1/x.dcm", "x")
    assert second.image_id == "X-2"  # some file systems do not tell x from X
    assert first.open().patient_id == "P7"
    with pytest.raises(MissingSpacing):
        second.open()
    assert second.open(0.1).path == f"{path}!p2/X.png"
    by_name = read_mammogram(f"{path}!p1/x.dcm")
    assert (by_name.image_id, by_name.path) == ("x", first.label)
    with pytest.raises(UnreadableImage, match="cannot be read"):
        read_mammogram(f"{path}!p1/none.dcm")
    with pytest.raises(BadConfig):
        second.open(-1.0)


def test_a_zip_inside_of_a_zip_is_listed_as_failing(folder: Path, tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"b.png": (folder / "a.png").read_bytes()}).read_bytes()
    path = zipped(tmp_path / "outer.zip", {"a.png": (folder / "a.png").read_bytes(), "more/inner.zip": inner})
    good, bad = find_inputs([path])
    assert good.open(0.1).image_id == "a" and bad.image_id == "inner.zip"
    with pytest.raises(UnreadableImage, match=r"outer\.zip!more/inner\.zip: a zip archive inside of another"):
        bad.open(0.1)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_in_a_zip_are_told_of(folder: Path, tmp_path: Path) -> None:
    content, path = (folder / "a.png").read_bytes(), tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, data in (("x.png", content), ("x.png", b"other"), ("y.png", content), ("y.png", content)):
            file.writestr(name, data)
    x, y = find_inputs([path])
    with pytest.raises(UnreadableImage, match=r"twice\.zip!x\.png: 2 different files of this name"):
        x.open(0.1)
    assert y.open(0.1).shape == (48, 40)  # the same file twice


def test_zip_slip_is_only_a_name(folder: Path, tmp_path: Path) -> None:
    content = (folder / "a.png").read_bytes()
    path = zipped(
        tmp_path / "a.zip",
        {"../../../evil.png": content, "/etc/passwd.png": content, "C:\\x\\y.png": content},
    )
    before = sorted(tmp_path.rglob("*"))
    sources = find_inputs([path])
    assert sorted(s.image_id for s in sources) == ["evil", "passwd", "y"]
    assert all(s.open(0.1).shape == (48, 40) for s in sources)
    assert sorted(tmp_path.rglob("*")) == before


def test_damaged_and_locked_zips_fail_alone(folder: Path, tmp_path: Path) -> None:
    good = zipped(tmp_path / "good.zip", {"a.png": (folder / "a.png").read_bytes()})
    content = good.read_bytes()
    (tmp_path / "not.zip").write_bytes(b"not a zip")
    (tmp_path / "cut.zip").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.zip").write_bytes(b"")
    flipped = bytearray(content)
    flipped[60:90] = bytes(30)
    (tmp_path / "flipped.zip").write_bytes(flipped)
    locked = bytearray(content)
    locked[6] |= 1
    locked[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    sources = find_inputs(
        [tmp_path / f"{n}.zip" for n in ("not", "cut", "empty", "flipped", "locked", "good")]
    )
    assert len(sources) == 6
    for source in sources[:5]:
        with pytest.raises(UnreadableImage) as caught:
            source.open(0.1)
        assert "\n" not in str(caught.value)
        assert ".zip" in str(caught.value)
    assert sources[5].open(0.1).shape == (48, 40)


def test_zip_bombs_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 1 << 20)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    bomb = zipped(tmp_path / "bomb.zip", {"a.dcm": bytes(1 << 24)})
    with pytest.raises(UnreadableImage, match="more than 1 MiB"):
        find_inputs([bomb])[0].open(0.1)
    many = zipped(tmp_path / "many.zip", {f"{k}.dcm": b"" for k in range(4)})
    with pytest.raises(UnreadableImage, match="4 files"):
        find_inputs([many])[0].open(0.1)


def test_ids_name_folders_everywhere(tmp_path: Path) -> None:
    names = [
        "R MLO (1).dcm",
        "..dcm",
        "1.2.840.113619.2.227",
        "MÜLLER.dcm",
        "x" * 200 + ".dcm",
        "a:b*c.dcm",
        "a.b.png",
    ]
    for name in names:
        save(dicom(), tmp_path / "in" / name, uid.ExplicitVRLittleEndian)
    found = {Path(s.label).name: s.image_id for s in find_inputs([tmp_path / "in" / n for n in names])}
    assert [found[n] for n in names] == [
        "R_MLO_1",
        "image",
        "1.2.840.113619.2.227",
        "MÜLLER",
        "x" * 80,
        "a_b_c",
        "a.b",
    ]


def test_made_up_ids_do_not_meet_real_ones(tmp_path: Path) -> None:
    for name in ("p/a.png", "q/a.png", "q/a-2.png", "r/A.png"):
        png(tmp_path / name)
    ids = [s.image_id.casefold() for s in find_inputs([tmp_path])]
    assert len(set(ids)) == 4
