"""From the bytes of a DICOM file to a data set, within bounds on time and memory (PS3.10, PS3.5 A.5)."""

from __future__ import annotations

import itertools
import struct
import zlib
from io import BytesIO

from pydicom.dataset import FileDataset
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.uid import DeflatedExplicitVRLittleEndian

from calcigraph.errors import UnreadableImage
from calcigraph.io.tags import DICOM_FAULTS
from calcigraph.limits import MAX_FILE_BYTES

_META_AT = 132
_MAX_ELEMENTS = 20_000
"""Top-level tags; the largest real headers have some hundreds, a file of zeros one in every eight bytes."""
_MAX_READS = 100_000
"""Three reads an element, nested ones included."""
_FAULT_WORDS = {zlib.error: "damaged deflated data", struct.error: "a value of the wrong length"}
"""For the errors whose name is only `error`."""


class _BoundedReader(BytesIO):
    """A file that a parser can read from only so often: damage may look like millions of empty elements."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > _MAX_READS:
            raise EOFError("too many elements")
        return super().read(size)


def looks_like_dicom(content: bytes) -> bool:
    """Whether bytes start as DICOM does: DICM after a preamble, or directly with group 0002 or 0008."""
    if content[_META_AT - 4 : _META_AT] == b"DICM":
        return True
    grouped = content[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08")
    return grouped and b"\0" in content[2:4] and len(content) > 8


def parse(content: bytes, label: str) -> FileDataset:
    """Parse a DICOM file; values are converted later, when they are asked for.

    Raises:
        UnreadableImage: a file whose structure cannot be followed, or that inflates beyond `MAX_FILE_BYTES`.
    """
    elements = itertools.count()
    try:
        if (start := _deflated_from(content)) is not None:
            _check_inflated_size(content[start:], label)
        dataset = read_partial(_BoundedReader(content), lambda *_: next(elements) > _MAX_ELEMENTS, force=True)
        dataset.file_meta.get("TransferSyntaxUID")
        dataset.get("PixelData")
    except DICOM_FAULTS as error:
        raise UnreadableImage(
            f"{label}: a DICOM file whose tags cannot be parsed ({_fault_words(error)})",
            allowed="whole DICOM files (PS3.10)",
            do="export or copy the image again",
        ) from None
    if not isinstance(dataset, FileDataset):
        raise UnreadableImage(
            f"{label}: a DICOM directory", allowed="DICOM images", do="give the images it lists"
        )
    known = any(name in dataset for name in ("SOPClassUID", "PixelData"))
    if "MediaStorageSOPClassUID" in dataset.file_meta and not known:
        raise UnreadableImage(
            f"{label}: a DICOM file that breaks off before its image",
            allowed="whole DICOM files (PS3.10)",
            do="export or copy the image again",
        )
    return dataset


def _fault_words(error: Exception) -> str:
    return _FAULT_WORDS.get(type(error), type(error).__name__)


def _deflated_from(content: bytes) -> int | None:
    """Return where the deflated data begin; None where the File Meta Information states another syntax.

    Read in the way that pydicom will read it, so that no file is deflated to pydicom alone.
    """
    reader = _BoundedReader(content)
    read_preamble(reader, force=True)
    meta = read_dataset(
        reader, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, *_: tag >> 16 != 2
    )
    is_deflated = meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
    return reader.tell() if is_deflated else None


def _check_inflated_size(rest: bytes, label: str) -> None:
    """Inflate a deflated data set piece by piece, keeping nothing: pydicom would inflate a bomb whole.

    Raises:
        UnreadableImage: too large.
        zlib.error: no deflated data.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    total, produced = 0, 1
    while produced or rest:
        produced = len(inflater.decompress(rest, 1 << 24))
        total, rest = total + produced, inflater.unconsumed_tail
        if total > MAX_FILE_BYTES:
            raise UnreadableImage(
                f"{label}: a deflated DICOM file of more than {MAX_FILE_BYTES >> 20} MiB",
                allowed="single images",
                do="export the image again",
            )
