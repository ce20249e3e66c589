"""A mammogram and a prediction made by hand: no network, no simulator, known positions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from calcigraph.config import Config
from calcigraph.lexicon import DISTRIBUTIONS, Distribution, Laterality, View
from calcigraph.records import (
    CALCIFICATION_COLUMNS,
    CANDIDATE_COLUMNS,
    Breast,
    Mammogram,
    Prediction,
    empty_table,
    no_probabilities,
)


def mammogram(
    *, rows: int = 400, cols: int = 300, spacing_mm: float = 0.5, image_id: str = "image", seed: int = 0
) -> Mammogram:
    """Noise in a half ellipse at the left edge, air around it."""
    rng = np.random.default_rng(seed)
    row, col = np.ogrid[:rows, :cols]
    inside = ((row - rows / 2) / (0.46 * rows)) ** 2 + (col / (0.8 * cols)) ** 2
    coarse = gaussian_filter(rng.normal(size=(rows // 8 + 1, cols // 8 + 1)), 4)
    texture = np.kron(coarse / coarse.std(), np.ones((8, 8)))[:rows, :cols]
    tissue = 0.5 + 0.1 * texture + 0.015 * rng.normal(size=(rows, cols))
    pixels = np.where(inside < 1, tissue * np.clip(4 * (1 - inside), 0, 1), 0.0)
    return Mammogram(
        pixels=np.clip(pixels, 0, 1).astype(np.float32),
        spacing_mm=(spacing_mm, spacing_mm),
        image_id=image_id,
        path=f"{image_id}.dcm",
        laterality=Laterality.LEFT,
        view=View.MLO,
        transforms=("inverted: MONOCHROME1", "window 100 to 3,000"),
    )


def breast(image: Mammogram) -> Breast:
    rows, cols = image.shape
    angle = np.linspace(-np.pi / 2, np.pi / 2, 90)
    outline = np.stack([rows / 2 + 0.46 * rows * np.sin(angle), 0.8 * cols * np.cos(angle)], axis=1)
    mask = image.pixels > 0
    nipple_mm = (rows / 2 * image.spacing_mm[0], 0.8 * cols * image.spacing_mm[1])
    return Breast(mask, outline, 120.0, nipple_mm, (0.0, 1.0), fills_image=False)


def table(points_px: np.ndarray, image: Mammogram, *, saliency: np.ndarray | None = None) -> pd.DataFrame:
    count = len(points_px)
    return pd.DataFrame(
        {
            "row_px": points_px[:, 0],
            "col_px": points_px[:, 1],
            "row_mm": points_px[:, 0] * image.spacing_mm[0],
            "col_mm": points_px[:, 1] * image.spacing_mm[1],
            "diameter_mm": np.linspace(0.2, 0.8, count),
            "contrast": np.linspace(5, 20, count),
            "probability": np.linspace(0.6, 0.99, count),
            "object_id": np.arange(count, dtype=float),
            "saliency": np.linspace(0, 1, count) if saliency is None else saliency,
        }
    )[list(CALCIFICATION_COLUMNS)]


def cluster(image: Mammogram, *, count: int = 24, radius_mm: float = 5.0, seed: int = 1) -> np.ndarray:
    rows, cols = image.shape
    radius_px = radius_mm / np.asarray(image.spacing_mm)
    offset = np.random.default_rng(seed).uniform(-1, 1, size=(count, 2))
    return np.asarray([0.45 * rows, 0.4 * cols]) + offset * radius_px


def neighbours(points_px: np.ndarray, k: int = 8) -> np.ndarray:
    count = len(points_px)
    k = min(k, count - 1)
    if k < 1:
        return np.empty((2, 0), dtype=np.int64)
    _, near = cKDTree(points_px).query(points_px, k=k + 1)
    return np.stack([near[:, 1:].ravel(), np.repeat(np.arange(count), k)]).astype(np.int64)


def prediction(
    image: Mammogram,
    points_px: np.ndarray | None = None,
    *,
    saliency: np.ndarray | None = None,
    distribution: Distribution | None = Distribution.GROUPED,
    warnings: tuple[str, ...] = (),
) -> Prediction:
    points = cluster(image) if points_px is None else points_px
    found = table(points, image, saliency=saliency) if len(points) else empty_table(CALCIFICATION_COLUMNS)
    candidates = found[list(CANDIDATE_COLUMNS)]
    probabilities = no_probabilities()
    if len(points):
        probabilities = dict.fromkeys(DISTRIBUTIONS, 0.1) | {distribution or Distribution.GROUPED: 0.6}
    return Prediction(
        image_id=image.image_id,
        distribution=distribution,
        probabilities=probabilities,
        calcifications=found,
        candidates=pd.concat([candidates, candidates], ignore_index=True),
        edge_index=neighbours(points),
        breast=breast(image),
        warnings=warnings,
        seconds={"detect": 0.5, "confirm": 0.25, "graph": 0.125},
    )


@dataclass
class HandMadePipeline:
    """Predicts the same cluster in every image and counts how often it was asked."""

    model_name: str = "hand-made"
    config: Config = field(default_factory=Config)
    asked: list[str] = field(default_factory=list)
    fails_on: dict[str, BaseException] = field(default_factory=dict)

    @property
    def prevalence_weight(self) -> float:
        return self.config.prevalence_weight

    def expecting(self, prevalence: str) -> HandMadePipeline:
        return replace(self, config=replace(self.config, prevalence=prevalence))

    def predict(self, image: Mammogram) -> Prediction:
        self.asked.append(image.image_id)
        if image.image_id in self.fails_on:
            raise self.fails_on[image.image_id]
        return prediction(image)
