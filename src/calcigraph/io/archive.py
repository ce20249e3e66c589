"""Members of zip archives, read in memory: nothing is ever extracted, so no name can leave its folder."""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path

from calcigraph.errors import UnreadableImage
from calcigraph.limits import MAX_FILE_BYTES

MAX_MEMBERS = 100_000

_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    MemoryError,
)
"""What zipfile raises on damaged archives: its own error, those of the decompressors, RuntimeError for
encrypted members, NotImplementedError (a RuntimeError) for other compressions, ValueError for bad names."""


def split_member(path: str) -> tuple[Path, str] | None:
    """Split ``archive.zip!member``; None where a path is not of this form."""
    match = re.fullmatch(r"(.+?\.zip)!(.+)", path, re.IGNORECASE | re.DOTALL)
    return None if match is None else (Path(match[1]), match[2])


def list_members(archive: Path) -> list[str]:
    """Return the names of the files in a zip archive, sorted, each once.

    Raises:
        UnreadableImage: not a zip archive, damaged, or with more than `MAX_MEMBERS` members.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            names = {info.filename for info in opened.infolist() if not info.is_dir()}
    except _ZIP_FAULTS as error:
        raise _refused(f"{archive}: a zip archive that cannot be opened ({_words(error)})") from None
    if len(names) > MAX_MEMBERS:
        raise _refused(f"{archive}: a zip archive of {len(names)} files")
    return sorted(names)


def read_member(archive: Path, member: str) -> bytes:
    """Read one member, never more than `MAX_FILE_BYTES` of it, whatever its header claims.

    Raises:
        UnreadableImage: no such member, encrypted, damaged, too large, or different files under this name.
    """
    label = f"{archive}!{member}"
    try:
        with zipfile.ZipFile(archive) as opened:
            # zipfile would read the last of them and pass over the others in silence.
            different = {(i.CRC, i.file_size) for i in opened.infolist() if i.filename == member}
            with opened.open(member) as stream:
                content = stream.read(MAX_FILE_BYTES + 1)
    except _ZIP_FAULTS as error:
        raise _refused(f"{label}: a zip member that cannot be read ({_words(error)})") from None
    if len(different) > 1:
        raise _refused(f"{label}: {len(different)} different files of this name in one zip archive")
    if len(content) > MAX_FILE_BYTES:
        raise _refused(f"{label}: a zip member of more than {MAX_FILE_BYTES >> 20} MiB")
    return content


def _refused(got: str) -> UnreadableImage:
    return UnreadableImage(
        got,
        allowed=f"whole zip archives without password, up to {MAX_MEMBERS:,} files of up to {MAX_FILE_BYTES >> 20} MiB",
        do="unpack it, each file under its own name, and give the folder",
    )


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
