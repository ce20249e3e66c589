"""Which files of a download of CBIS-DDSM are a film, and which may be a lesion's mask, in whatever folders they lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydicom import dcmread

from calcigraph.io.quiet import quiet
from calcigraph.io.read import IMAGE_SUFFIXES
from calcigraph.io.tags import DICOM_FAULTS

_TAGS = ("PatientID", "SeriesInstanceUID")


class Files:
    """The images below a folder, by name: PatientID and Series Instance UID, or the file's and its folder's name."""

    def __init__(self, folder: Path) -> None:
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
                for name in {path.stem, path.parent.name, *_tags(path)}:
                    self._by_name[name].append(path)

    def the_one(self, names: Iterable[str]) -> Path | None:
        """Return the file of the first name that is known; None where there are several files, or none."""
        found = next((self._by_name[name] for name in names if name in self._by_name), [])
        return found[0] if len(found) == 1 else None

    def all_of(self, names: Iterable[str]) -> list[Path]:
        """Return every file that is known by one of these names."""
        return sorted({path for name in names for path in self._by_name.get(name, [])})


def _tags(path: Path) -> Iterator[str]:
    """Yield by which tags a DICOM file is known; nothing for any other file."""
    if path.suffix.lower() != ".dcm":
        return
    try:
        with quiet():
            tags = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            yield from [str(tags[tag].value) for tag in _TAGS if tag in tags]
    except DICOM_FAULTS:
        return
