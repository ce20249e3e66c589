"""DICOM tags as plain Python values, whatever a device or a broken disk wrote into them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from calcigraph.errors import UnreadableImage

DICOM_FAULTS = (
    InvalidDicomError,
    BytesLengthException,
    AttributeError,
    TypeError,
    ValueError,
    LookupError,
    RuntimeError,
    ArithmeticError,
    AssertionError,
    BufferError,
    EOFError,
    OSError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What pydicom and its decoders raise on malformed input. The tuple is broad because pydicom converts values
lazily with whatever error the conversion happens to end in (struct, int, Decimal, None.encode), and because it
collects the errors of gdcm, openjpeg and rle into RuntimeError. It is caught only around calls into pydicom."""


class Tags:
    """Read access to one DICOM data set; a tag that is absent or empty is None, "" or ().

    Functional groups of an enhanced, single-frame image (PS3.3 C.7.6.16) are looked up after the top level.
    """

    def __init__(self, dataset: Dataset, label: str) -> None:
        self.label = label
        self._datasets = [dataset]
        for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
            self._datasets += [macro for group in self._items(groups)[:1] for macro in self._macros(group)]

    def __contains__(self, keyword: str) -> bool:
        return self.raw(keyword) is not None

    def text(self, keyword: str) -> str:
        """The first value in upper case without surrounding blanks, or ""."""
        return next(iter(self.texts(keyword)), "")

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Every value in upper case without surrounding blanks."""
        return tuple(_text(v).strip(" \0\t\r\n").upper() for v in self._values(keyword))

    def original(self, keyword: str) -> str:
        """The first value as it is written, without surrounding blanks, or ""."""
        return next((_text(v).strip(" \0\t\r\n") for v in self._values(keyword)), "")

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Every value as a number (NaN and infinity included).

        Raises:
            UnreadableImage: the tag holds something else.
        """
        try:
            return tuple(float(v) for v in self._values(keyword))
        except (TypeError, ValueError, OverflowError):
            raise self._fault(keyword) from None

    def number(self, keyword: str) -> float | None:
        """The first value as a number, or None."""
        return next(iter(self.numbers(keyword)), None)

    def whole(self, keyword: str) -> int | None:
        """The first value as a whole number, or None.

        Raises:
            UnreadableImage: the tag holds something else.
        """
        value = self.number(keyword)
        if value is None:
            return None
        if not value.is_integer():
            raise self._fault(keyword)
        return int(value)

    def overlay_bits(self) -> int:
        """Bits of a pixel in which overlays lie, added up (retired in 2004, PS3.3 C.9.2)."""
        try:
            found = [self._datasets[0].get((group, 0x0102)) for group in range(0x6000, 0x6020, 2)]
            return sum(
                {1 << int(element.value) for element in found if element is not None and element.value}
            )
        except DICOM_FAULTS:
            return 0

    def items(self, keyword: str) -> list[Tags]:
        """The items of a sequence; none where the tag is absent.

        Raises:
            UnreadableImage: the tag is not a sequence.
        """
        return [Tags(item, self.label) for item in self._items(keyword)]

    def _items(self, keyword: str) -> list[Dataset]:
        value = self.raw(keyword)
        if value is None:
            return []
        if not isinstance(value, Sequence):
            raise self._fault(keyword)
        return list(value)

    @staticmethod
    def _macros(group: Dataset) -> Iterable[Dataset]:
        try:
            return [e.value[0] for e in group if isinstance(e.value, Sequence) and len(e.value) > 0]
        except DICOM_FAULTS:
            return []

    def _values(self, keyword: str) -> list[Any]:
        value = self.raw(keyword)
        if value is None:
            return []
        return list(value) if isinstance(value, MultiValue | list | tuple) else [value]

    def raw(self, keyword: str) -> Any:
        """The value as pydicom has it, or None."""
        for dataset in self._datasets:
            try:
                value = dataset.get(keyword)
            except DICOM_FAULTS:
                raise self._fault(keyword) from None
            if value is not None and not (isinstance(value, str | bytes | MultiValue) and len(value) == 0):
                return value
        return None

    def _fault(self, keyword: str) -> UnreadableImage:
        return UnreadableImage(
            f"{self.label}: a DICOM tag {keyword} that cannot be read",
            allowed="a value of the tag's type (DICOM PS3.6)",
            do="export the image again",
        )


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", errors="ignore")
    return "" if isinstance(value, Sequence | Dataset) else str(value)
