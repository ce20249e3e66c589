"""From what a user names (files, folders, zips) to a list of sources, each of which opens or fails on its own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from calcigraph.errors import UnreadableImage
from calcigraph.io.archive import list_members, read_member
from calcigraph.io.read import read_content, read_mammogram, safe_id, what_is_wrong
from calcigraph.io.spacing import check_given
from calcigraph.provenance import file_digest, file_stamp
from calcigraph.records import Mammogram

_SIDECAR_SUFFIX = re.compile(
    r"\.(txt|csv|tsv|json|md|rst|xml|html?|pdf|toml|ya?ml|ini|cfg|log|docx?|xlsx?|zip|gz|tar|py|np[yz]"
    r"|safetensors|db|bak|tmp|part)",
    re.IGNORECASE,
)
_SIDECAR_NAMES = frozenset({"DICOMDIR", "LICENSE", "LICENCE", "README", "THUMBS.DB", "DESKTOP.INI"})


@dataclass(frozen=True)
class Source:
    """One image that may be opened.

    Attributes:
        label: path, or ``archive.zip!member``.
        image_id: unique among the sources found together, whatever the case of its letters.
        path: of the file or the archive.
        member: within the archive, or "".
        problem: why it cannot be opened, or "".
    """

    label: str
    image_id: str
    path: Path
    member: str = ""
    problem: str = ""

    @property
    def real_path(self) -> str:
        """`label` from the root, without links."""
        return _real(self.label)

    def digest(self) -> str | None:
        """Return a fingerprint of what the file or the archive holds now; None where it cannot be read."""
        return (
            file_digest(self.path) if not self.member else _archive_digest(self.path, file_stamp(self.path))
        )

    def open(self, spacing_mm: float | None = None) -> Mammogram:
        """Read the mammogram.

        Raises:
            UnreadableImage, MissingSpacing, BadConfig: as `read_mammogram`; every other source still opens.
        """
        if self.problem:
            raise UnreadableImage(
                self.problem, allowed="files, folders and zip archives", do="check the path"
            )
        if not self.member:
            return read_mammogram(self.path, spacing_mm=spacing_mm, image_id=self.image_id)
        check_given(spacing_mm)
        content = read_member(self.path, self.member)
        return read_content(content, self.label, spacing_mm=spacing_mm, image_id=self.image_id)


@lru_cache(maxsize=1)
def _archive_digest(archive: Path, stamp: tuple[int, int] | None) -> str | None:
    """Fingerprint of an archive, read once for all of its members; `stamp` tells it from what was there before."""
    return file_digest(archive)


def find_inputs(paths: str | Path | Sequence[str | Path]) -> list[Source]:
    """List the images in files, folders (with their subfolders, in order) and zip archives.

    Hidden files, `__MACOSX`, DICOMDIR and sidecars (text, tables, ...) are skipped, unless a file is named
    itself. A path that does not exist, a folder or an archive that does not open becomes a source that fails. Links
    to folders are followed, each folder once. An image reached twice is listed once. An empty folder has no sources.
    `Source.open` reads a source's mammogram.
    """
    found: dict[tuple[str, str], Source] = {}
    for path in [paths] if isinstance(paths, (str, Path)) else paths:
        for source in _sources(Path(path)):
            where = source.label if source.problem else _real(source.path)
            found.setdefault((where, source.member), source)
    return with_unique_ids(list(found.values()))


def _real(path: str | Path) -> str:
    """Follow links; as it stands where one cannot be read."""
    try:
        return os.path.realpath(path)
    except OSError:
        return str(path)


def _sources(path: Path) -> Iterator[Source]:
    if wrong := what_is_wrong(path):
        yield _failing(path, f"{path}: {wrong}")
    elif path.is_dir():
        yield from _in_folder(path)
    else:
        yield from _in_file(path)


def _in_folder(folder: Path) -> Iterator[Source]:
    locked: list[OSError] = []
    reached: set[str] = set()  # links to folders may be circular
    for root, folders, names in os.walk(folder, followlinks=True, onerror=locked.append):
        reached.add(_real(root))
        folders[:] = sorted(
            name for name in folders if not _is_hidden(name) and _real(Path(root, name)) not in reached
        )
        for name in sorted(names):
            path = Path(root, name)
            if path.suffix.lower() == ".zip" and not _is_hidden(name):
                yield from _in_file(path)
            elif not _is_skipped(name):
                yield Source(label=str(path), image_id=safe_id(name), path=path)
    for error in locked:
        yield _failing(Path(error.filename), f"{error.filename}: {error.strerror}")


def _in_file(path: Path) -> Iterator[Source]:
    if path.suffix.lower() != ".zip":
        yield Source(label=str(path), image_id=safe_id(path.name), path=path)
        return
    try:
        members = list_members(path)
    except UnreadableImage as error:
        yield _failing(path, str(error).split(";")[0])
        return
    for member in members:
        parts = PurePosixPath(member.replace("\\", "/")).parts
        if not parts or any(_is_hidden(p) for p in parts if p not in ("..", ".")):
            continue
        if parts[-1].lower().endswith(".zip"):
            yield _failing(Path(f"{path}!{member}"), f"{path}!{member}: a zip archive inside of another")
        elif not _is_skipped(parts[-1]):
            yield Source(label=f"{path}!{member}", image_id=safe_id(parts[-1]), path=path, member=member)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_skipped(name: str) -> bool:
    is_sidecar = _SIDECAR_SUFFIX.fullmatch(Path(name).suffix) is not None
    return is_sidecar or _is_hidden(name) or name.upper() in _SIDECAR_NAMES


def _failing(path: Path, problem: str) -> Source:
    return Source(label=str(path), image_id=safe_id(path.name), path=path, problem=problem)


def with_unique_ids(
    sources: Sequence[Source], *, is_free: Callable[[Source, str], bool] = lambda source, image_id: True
) -> list[Source]:
    """Return the sources with ids that differ, whatever the case of their letters, and are free for them."""
    taken: set[str] = set()
    unique = []
    for source in sources:
        image_id, number = source.image_id, 1
        while image_id.casefold() in taken or not is_free(source, image_id):
            number += 1
            image_id = f"{source.image_id}-{number}"
        taken.add(image_id.casefold())
        unique.append(replace(source, image_id=image_id))
    return unique
