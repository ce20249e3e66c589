"""Equation 1: the grey top-hat, which keeps what is brighter than its surroundings and smaller than a disc."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from calcigraph.records import FloatImage, Mask


def disc(diameter_px: int) -> NDArray[np.uint8]:
    """Return the structuring element SE: a disc with an odd diameter of at least 3 pixels."""
    side = max(3, diameter_px | 1)
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), dtype=np.uint8)


def white_tophat(image: NDArray[np.uint16], element: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """I − [(I ⊖ SE) ⊕ SE], the first line of equation 1; (rows, cols) in and out."""
    return np.asarray(cv2.morphologyEx(image, cv2.MORPH_TOPHAT, element), dtype=np.uint16)


def black_tophat(image: NDArray[np.uint16], element: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """[(I ⊕ SE) ⊖ SE] − I: the bottom-hat, which keeps small dark things."""
    return np.asarray(cv2.morphologyEx(image, cv2.MORPH_BLACKHAT, element), dtype=np.uint16)


def enhance(image: NDArray[np.uint16], element: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """I + top-hat − bottom-hat: the morphological contrast enhancement of section 2.4."""
    raised = cv2.add(image, white_tophat(image, element))
    return np.asarray(cv2.subtract(raised, black_tophat(image, element)), dtype=np.uint16)


def local_mean(image: FloatImage, mask: Mask, side_px: int) -> FloatImage:
    """Mean of `image` over the part of a square window that lies in `mask`; 0 where there is none.

    The mean varies slowly, so it is taken on a grid some 16 times finer than the window and interpolated.
    """
    coarsen = max(1, side_px // 16)
    size = (-(-image.shape[1] // coarsen), -(-image.shape[0] // coarsen))
    inside = mask.astype(np.float32)
    total = cv2.resize(image * inside, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(inside, size, interpolation=cv2.INTER_AREA)
    window = (max(3, side_px // coarsen | 1),) * 2
    mean = cv2.boxFilter(total, cv2.CV_32F, window) / np.maximum(
        cv2.boxFilter(share, cv2.CV_32F, window), 1e-3
    )
    return np.asarray(cv2.resize(mean, image.shape[::-1], interpolation=cv2.INTER_LINEAR))
