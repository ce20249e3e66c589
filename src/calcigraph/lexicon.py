"""The words of the field: BI-RADS distribution descriptors, views and lateralities, with their DICOM codes.

Sources: ACR BI-RADS Atlas, 5th edition (distribution of calcifications); DICOM PS3.16 CID 6012 and
CID 4014 (codes); DICOM PS3.3 C.8.11.7 (laterality and view of a mammogram).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

RESEARCH_USE = "Research use only. Not a medical device."


def count(number: int, noun: str) -> str:
    """Write a number with its noun, such as `1 image` or `2,000 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


class Distribution(StrEnum):
    """How calcifications are arranged in the breast; the order is that of every probability vector."""

    DIFFUSE = "diffuse"
    REGIONAL = "regional"
    GROUPED = "grouped"
    LINEAR = "linear"
    SEGMENTAL = "segmental"

    @property
    def place(self) -> int:
        """Place in every probability vector, 0 to 4."""
        return DISTRIBUTIONS.index(self)


DISTRIBUTIONS: tuple[Distribution, ...] = tuple(Distribution)


class Laterality(StrEnum):
    """Which breast."""

    LEFT = "L"
    RIGHT = "R"


class View(StrEnum):
    """The projection; the two standard views, and the rest under their DICOM abbreviations."""

    CC = "CC"
    MLO = "MLO"
    ML = "ML"
    LM = "LM"
    LMO = "LMO"
    XCCL = "XCCL"
    XCCM = "XCCM"
    FB = "FB"
    SIO = "SIO"
    ISO = "ISO"


@dataclass(frozen=True)
class Code:
    """A coded concept: value, scheme and meaning (DICOM PS3.16)."""

    value: str
    scheme: str
    meaning: str


DISTRIBUTION_CODES: dict[Distribution, Code] = {
    Distribution.DIFFUSE: Code("129764001", "SCT", "Diffuse calcification distribution"),
    Distribution.REGIONAL: Code("129767008", "SCT", "Regional calcification distribution"),
    Distribution.GROUPED: Code("129766004", "SCT", "Grouped calcification distribution"),
    Distribution.LINEAR: Code("129765000", "SCT", "Linear calcification distribution"),
    Distribution.SEGMENTAL: Code("129768003", "SCT", "Segmental calcification distribution"),
}
"""CID 6012, Calcification Distribution Modifier."""

VIEW_CODES: dict[View, Code] = {
    View.CC: Code("399162004", "SCT", "cranio-caudal"),
    View.MLO: Code("399368009", "SCT", "medio-lateral oblique"),
    View.ML: Code("399260004", "SCT", "medio-lateral"),
    View.LM: Code("399352003", "SCT", "latero-medial"),
    View.LMO: Code("399099002", "SCT", "latero-medial oblique"),
    View.XCCL: Code("399192008", "SCT", "cranio-caudal exaggerated laterally"),
    View.XCCM: Code("399101009", "SCT", "cranio-caudal exaggerated medially"),
    View.FB: Code("399196006", "SCT", "caudo-cranial (from below)"),
    View.SIO: Code("399188001", "SCT", "superolateral to inferomedial oblique"),
    View.ISO: Code("441555000", "SCT", "inferomedial to superolateral oblique"),
}

LEGACY_VIEW_CODES: dict[str, View] = {
    "R-10242": View.CC,
    "R-10226": View.MLO,
    "R-10224": View.ML,
    "R-10228": View.LM,
    "R-10230": View.LMO,
    "R-1024A": View.XCCL,
    "R-1024B": View.XCCM,
    "Y-X1770": View.XCCL,
    "Y-X1771": View.XCCM,
    "R-10244": View.FB,
    "R-102D0": View.SIO,
    "R-40AAA": View.ISO,
}
"""SNOMED-RT values that older devices write in View Code Sequence (0054,0220)."""
