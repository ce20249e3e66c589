"""The one door in: a mammogram from a path, by what the file contains and not by what it is called."""

from __future__ import annotations

import re
import reprlib
import unicodedata
from pathlib import Path

from calcigraph.errors import UnreadableImage
from calcigraph.io.archive import read_member, split_member
from calcigraph.io.dicom import read_dicom
from calcigraph.io.parse import looks_like_dicom
from calcigraph.io.raster import read_raster
from calcigraph.io.spacing import check_given
from calcigraph.limits import MAX_FILE_BYTES
from calcigraph.records import Mammogram

IMAGE_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".pgm")
_MAX_ID = 80
MAX_ID_BYTES = 200
"""File systems take names of 255 bytes."""


def read_mammogram(
    path: str | Path, *, spacing_mm: float | None = None, image_id: str | None = None
) -> Mammogram:
    """Read a mammogram from a DICOM, PNG, TIFF, JPEG or PGM file, or a member ``archive.zip!member`` of a zip.

    Args:
        path: of the file.
        spacing_mm: distance between pixel centres in mm, used where the file does not state it.
        image_id: of the record; default: from the file's name.

    Returns:
        The mammogram as displayed: bright is dense, in [0, 1], rows and columns as in the file.

    Raises:
        UnreadableImage: not a mammogram this package can read.
        MissingSpacing: the file states no spacing, and none was given.
        BadConfig: the given spacing cannot be one.
    """
    check_given(spacing_mm)
    if not isinstance(path, (str, Path)):
        raise _refused(f"{type(path).__name__} {reprlib.repr(path)}", "not a path")
    label = str(path)
    content = load(Path(path))
    return read_content(content, label, spacing_mm=spacing_mm, image_id=image_id or safe_id(label))


def read_content(content: bytes, label: str, *, spacing_mm: float | None, image_id: str) -> Mammogram:
    """Read a mammogram from the bytes of a file; `label` names it.

    Raises:
        UnreadableImage, MissingSpacing: as `read_mammogram`.
    """
    if looks_like_dicom(content):
        return read_dicom(content, label, spacing_mm=spacing_mm, image_id=image_id)
    mammogram = read_raster(content, label, spacing_mm=spacing_mm, image_id=image_id)
    if mammogram is None:
        raise UnreadableImage(
            f"{label}: {_kind(content)}",
            allowed="DICOM, PNG, TIFF, JPEG or PGM images",
            do="give another file",
        )
    return mammogram


def load(path: Path) -> bytes:
    """Read a whole file, or a member of a zip where the path is ``archive.zip!member``.

    Raises:
        UnreadableImage: no such file, a folder, no permission, too large.
    """
    try:
        if not path.exists() and (inside := split_member(str(path))) is not None:
            return read_member(*inside)
        if not path.is_file():
            raise _refused(
                path, "a folder" if path.is_dir() else what_is_wrong(path) or "not the file of an image"
            )
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _refused(path, f"a file of more than {MAX_FILE_BYTES >> 20} MiB")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise _refused(path, getattr(error, "strerror", None) or str(error)) from None


def what_is_wrong(path: Path) -> str:
    """Say why a path leads nowhere; "" where it leads to a file or folder."""
    try:
        if path.exists():
            return ""
        return "a link that leads nowhere" if path.is_symlink() else "no such file or folder"
    except PermissionError:
        return "no permission to look there"
    except (OSError, ValueError):  # a name too long, or with a null byte
        return "no such file or folder"


def _refused(path: str | Path, got: str) -> UnreadableImage:
    return UnreadableImage(f"{path}: {got}", allowed="the file of one image", do="check the path")


def safe_id(name: str) -> str:
    """Return an image id from a file's name that every file system takes as a folder's name."""
    last = unicodedata.normalize("NFC", re.split(r"[/\\]", name.rstrip("/\\"))[-1])
    stem = last[: last.rfind(".")] if last.lower().endswith(IMAGE_SUFFIXES) else last
    short = re.sub(r"[^\w.-]+", "_", stem).strip("._- ")[:_MAX_ID].encode()[:MAX_ID_BYTES]
    return short.decode("utf-8", "ignore").rstrip("._- ") or "image"


def _kind(content: bytes) -> str:
    if not content:
        return "an empty file"
    if content.startswith(b"PK\x03\x04"):
        return "a zip archive, not an image"
    is_text = b"\0" not in content[:512] and content[:512].isascii()
    return "a text file" if is_text else "a file of unknown format"
