"""The breast as a small square image, for networks that look at images: made once, kept beside the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calcigraph.config import BreastConfig
from calcigraph.detect.breast import segment_breast
from calcigraph.detect.working import at_pitch
from calcigraph.io import Case, Dataset
from calcigraph.io.tables import whole_file
from calcigraph.records import SIDES, FloatImage, Mammogram

CHANNELS = 3
"""Mean, maximum and standard deviation of the cell of the large image that a pixel of the small one stands for.
With the mean alone a calcification that is smaller than a cell would vanish."""

DEVIATION_GAIN = 8.0
"""By which standard deviations are multiplied before they are cut to [0, 1]."""


@dataclass(frozen=True)
class BreastBox:
    """The smallest rectangle around the breast, and how it is turned so that the chest wall lies at the left.

    Attributes:
        top, bottom, left, right: in pixels of the original image; `top` ≤ row < `bottom`.
        side: of the image, at which the chest wall lies.
    """

    top: int
    bottom: int
    left: int
    right: int
    side: str

    def cut(self, pixels: FloatImage) -> FloatImage:
        """Cut the box out of an image of the original size, and turn it."""
        return turn(pixels[self.top : self.bottom, self.left : self.right], self.side)


def turn(image: FloatImage, side: str) -> FloatImage:
    """Bring the chest wall from `side` to the left, by mirrors and a transposition."""
    if side in ("top", "bottom"):
        image, side = image.T, {"top": "left", "bottom": "right"}[side]
    return image[:, ::-1] if side == "right" else image


def turn_back(image: FloatImage, side: str) -> FloatImage:
    """Undo `turn`."""
    image = image[:, ::-1] if side in ("right", "bottom") else image
    return image.T if side in ("top", "bottom") else image


def breast_box(mammogram: Mammogram, config: BreastConfig) -> BreastBox:
    """Find the breast; an image that is all tissue is its own box."""
    breast = segment_breast(mammogram, at_pitch(mammogram, config.spacing_mm), config)
    side = next(name for name, axis in SIDES.items() if axis == breast.depth_axis)
    rows, cols = mammogram.shape
    if breast.fills_image or not len(breast.outline_px):
        return BreastBox(0, rows, 0, cols, side)
    top, left = np.floor(breast.outline_px.min(axis=0)).astype(int).clip(0)
    bottom, right = np.ceil(breast.outline_px.max(axis=0)).astype(int) + 1
    return BreastBox(int(top), min(int(bottom), rows), int(left), min(int(right), cols), side)


def small_image(mammogram: Mammogram, box: BreastBox, *, size_px: int) -> NDArray[np.uint8]:
    """Reduce the breast to (size, size, `CHANNELS`) uint8, its height and width scaled independently."""
    cut = np.ascontiguousarray(box.cut(mammogram.pixels))
    high, wide = (-(-n // size_px) for n in cut.shape)
    cells = np.asarray(cv2.resize(cut, (size_px * wide, size_px * high), interpolation=cv2.INTER_LINEAR))
    cells = cells.reshape(size_px, high, size_px, wide)
    tissue = cut[::8, ::8]
    # A quarter above the brightest tissue, so that calcifications still stand out from it.
    bright = max(1.25 * float(np.quantile(tissue[tissue > 0], 0.999)) if (tissue > 0).any() else 1.0, 1e-3)
    parts = (cells.mean(axis=(1, 3)), cells.max(axis=(1, 3)), DEVIATION_GAIN * cells.std(axis=(1, 3)))
    return np.asarray(np.clip(np.stack(parts, axis=2) / bright, 0, 1) * 255).round().astype(np.uint8)


def shrink_dataset(
    dataset: Dataset,
    config: BreastConfig,
    folder: Path,
    *,
    size_px: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Reduce every image, one file each; what is there already is not made again.

    Raises:
        UnreadableImage: an image cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for done, case in enumerate(dataset.cases, start=1):
        path = image_path(folder, case)
        if not path.exists():
            mammogram = dataset.read(case)
            image = small_image(mammogram, breast_box(mammogram, config), size_px=size_px)
            with whole_file(path) as beside:
                np.save(beside, image, allow_pickle=False)
        report(done, len(dataset))


def image_path(folder: Path, case: Case) -> Path:
    """Where `shrink_dataset` puts the image of a case."""
    return folder / f"{case.image_id}.npy"


def load_images(folder: Path, cases: Sequence[Case]) -> NDArray[np.uint8]:
    """Read the small images of cases, (n, size, size, `CHANNELS`); of no case (0, 1, 1, `CHANNELS`)."""
    read = [np.load(image_path(folder, case), allow_pickle=False) for case in cases]
    return np.stack(read) if read else np.zeros((0, 1, 1, CHANNELS), np.uint8)
