"""The records that travel through the package: a mammogram, its breast, its candidates, its prediction.

Geometry is (row, col) everywhere; pixel coordinates have their origin at the centre of the top-left pixel. Records that
hold arrays or tables are equal to themselves alone.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calcigraph.errors import UnreadableImage
from calcigraph.lexicon import DISTRIBUTIONS, Distribution, Laterality, View
from calcigraph.limits import check_extent, is_spacing, spacing_words

FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]

POSITION_COLUMNS = ("row_px", "col_px", "row_mm", "col_mm")
CANDIDATE_COLUMNS = (*POSITION_COLUMNS, "diameter_mm", "contrast", "probability", "object_id")
"""`object_id` is a whole number, the same for all candidates on one bright object (`detect.objects`)."""

CALCIFICATION_COLUMNS = (*CANDIDATE_COLUMNS, "saliency")

SIDES: dict[str, tuple[float, float]] = {
    "left": (0.0, 1.0),
    "right": (0.0, -1.0),
    "top": (1.0, 0.0),
    "bottom": (-1.0, 0.0),
}
"""Side of the chest wall → unit vector (row, col) from it towards the nipple."""


@dataclass(frozen=True, eq=False)
class Mammogram:
    """One view of one breast, as displayed: bright is dense.

    Raises:
        UnreadableImage: pixels, spacing, side, view or chest wall are not as said here.

    Attributes:
        pixels: (rows, cols) float32 in [0, 1]; background and padding are 0.
        spacing_mm: (row, col) distance between pixel centres in the plane of the breast, mm.
        image_id: unique within a batch; names the output folder.
        path: where it was read from; inside a zip: ``archive.zip!member``.
        chest_wall: image side at which the chest wall lies (one of `SIDES`), where the file
            says so (Patient Orientation (0020,0020)); otherwise found from the breast's shape.
        transforms: every transform that reading applied, in order, in words.
    """

    pixels: FloatImage
    spacing_mm: tuple[float, float]
    image_id: str = "image"
    patient_id: str = ""
    path: str = ""
    laterality: Laterality | None = None
    view: View | None = None
    chest_wall: str | None = None
    transforms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._require(
            *_pixels_said(self.pixels),
            "rows × columns of float32, each pixel from 0 to 1",
            "convert it first",
        )
        self._require(
            _is_pair(self.spacing_mm),
            f"a spacing of {reprlib.repr(self.spacing_mm)}",
            f"(row, col) in mm, each {spacing_words()}",
            "give the distance of pixel centres",
        )
        check_extent(self.image_id, self.shape, self.spacing_mm)
        words: dict[str, Iterable[str]] = {"laterality": Laterality, "view": View, "chest_wall": SIDES}
        for name, allowed in words.items():
            value = getattr(self, name)
            self._require(
                value is None or value in tuple(allowed),
                f"{name} {reprlib.repr(value)}",
                f"{', '.join(allowed)}, or None",
                "choose one of these",
            )

    def _require(self, holds: bool, got: str, allowed: str, do: str) -> None:
        if not holds:
            raise UnreadableImage(f"{self.image_id}: {got}", allowed=allowed, do=do)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, cols = self.pixels.shape
        return rows, cols

    @property
    def extent_mm(self) -> tuple[float, float]:
        """Height and width in mm."""
        rows, cols = self.shape
        return rows * self.spacing_mm[0], cols * self.spacing_mm[1]


def _pixels_said(pixels: object) -> tuple[bool, str]:
    """Whether these can be pixels, and what they are in words."""
    if not isinstance(pixels, np.ndarray):
        return False, f"pixels that are a {type(pixels).__name__}"
    words = f"pixels {'×'.join(map(str, pixels.shape))} of {pixels.dtype}"
    if pixels.ndim != 2 or not pixels.size or pixels.dtype != np.float32:
        return False, words
    low, high = float(pixels.min()), float(pixels.max())
    return low >= 0 and high <= 1, f"{words} from {low:g} to {high:g}"  # comparisons with NaN are False


def _is_pair(spacing_mm: object) -> bool:
    if not isinstance(spacing_mm, (tuple, list)) or len(spacing_mm) != 2:
        return False
    return all(isinstance(pitch, Real) and is_spacing(float(pitch)) for pitch in spacing_mm)


@dataclass(frozen=True)
class Look:
    """How the searched tissue looks at the working resolution; NaN where there is too little of it to say.

    Attributes:
        noise: local noise, as a share of the spread of grey values.
        texture: how much pixels four apart differ, as a share of what those sixteen apart do: 1 in white noise.
        flat: share of pixels four apart that do not differ at all.
    """

    noise: float = math.nan
    texture: float = math.nan
    flat: float = math.nan


@dataclass(frozen=True, eq=False)
class Breast:
    """Where the breast is, and its own axes.

    Attributes:
        mask: (rows, cols) bool at the working resolution, True in tissue that is searched.
        outline_px: (n, 2) row, col of its edge in pixels of the original image.
        area_cm2: its area.
        nipple_mm: (row, col) in mm from the original image's first pixel; the breast's point farthest
            from the chest wall.
        depth_axis: (row, col) unit vector from the chest wall towards the nipple.
        fills_image: True where the image is all tissue (a crop or a magnification view); the nipple is
            then only the middle of the image.
        black: share of the tissue that is below the grey scale and not searched, 0 to 1; it is part of the area.
        negative: True where the air around the breast is bright, as on an inverted image.
        look: how the tissue looks, where there are pixels.
    """

    mask: Mask
    outline_px: Points
    area_cm2: float
    nipple_mm: tuple[float, float]
    depth_axis: tuple[float, float]
    fills_image: bool
    black: float = 0.0
    negative: bool = False
    look: Look = Look()


@dataclass(frozen=True, eq=False)
class Candidates:
    """What might be calcifications.

    Attributes:
        table: one row each, `CANDIDATE_COLUMNS` (`probability` is NaN before the patch network).
        patches: (n, channels, size, size) float32, normalised, centred on the candidates.
    """

    table: pd.DataFrame
    patches: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer for one mammogram.

    Attributes:
        distribution: the descriptor, or None where there is too little evidence of one (`evidence`).
        probabilities: of the five distributions if there is a lesion, summing to 1, also where there is too little
            evidence to name one; NaN where no calcification was found.
        calcifications: table with `CALCIFICATION_COLUMNS`, those kept as nodes, each in the middle of its object.
        candidates: table with `CANDIDATE_COLUMNS`, all of them.
        edge_index: (2, edges) int64, rows of `calcifications` (neighbour, node).
        breast: the segmented breast.
        warnings: what a reader should know, each naming its stage.
        seconds: time of each stage.
    """

    image_id: str
    distribution: Distribution | None
    probabilities: dict[Distribution, float]
    calcifications: pd.DataFrame
    candidates: pd.DataFrame
    edge_index: NDArray[np.int64]
    breast: Breast
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


def empty_table(columns: tuple[str, ...]) -> pd.DataFrame:
    """A table with no rows and float columns: an ordinary value."""
    return pd.DataFrame({name: pd.Series(dtype="float64") for name in columns})


def no_probabilities() -> dict[Distribution, float]:
    """Five NaN: what is said where nothing was found."""
    return dict.fromkeys(DISTRIBUTIONS, float("nan"))
