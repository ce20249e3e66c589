"""What a detector marks on a view, without pixels: thousands of views in a minute.

Breast, lesion, look-alikes and projection are those of a rendered view. Then each calcification is found with a
probability that grows with its signal-to-noise ratio, false marks are added, and each mark gets the numbers that the
detector would give it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calcigraph.apart import first_apart
from calcigraph.io.truth import Kind
from calcigraph.lexicon import View
from calcigraph.records import Breast, Points
from calcigraph.simulate.anatomy import Anatomy
from calcigraph.simulate.calcification import Calcification
from calcigraph.simulate.draw import log_uniform
from calcigraph.simulate.projection import Projection, project_breast


@dataclass(frozen=True)
class Range:
    """Smallest and largest value of something that differs from image to image; drawn log-uniform."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """Draw the value of one image."""
        return log_uniform(rng, self.low, self.high)


@dataclass(frozen=True)
class DetectorTraits:
    """How detectors differ; a calcification is found with the probability most / (1 + (half / snr)^steepness).

    Wide on purpose: what is trained on it meets a detector that is not known yet.

    Attributes:
        half_snr: signal-to-noise ratio at which half of `most` are found.
        steepness: of that curve.
        most: largest probability.
        false_marks: mean number of false marks per image.
        clump_share: share of the images with a clump of false marks (a fold, a paddle's edge, dense texture).
        clump_marks: mean number of marks in it.
        coarse_found, vascular_found: look-alikes are found with this share of that probability.
        noise_equivalent_quanta: detected quanta per mm² behind no breast.
        blur_mm: standard deviation of the point spread.
        separation_mm: of two marks closer than this one is kept.
    """

    half_snr: Range = Range(2.0, 8.0)
    steepness: Range = Range(1.5, 5.0)
    most: Range = Range(0.7, 1.0)
    false_marks: Range = Range(0.2, 8.0)
    clump_share: float = 0.15
    clump_marks: float = 4.0
    coarse_found: float = 0.3
    vascular_found: float = 0.6
    noise_equivalent_quanta: Range = Range(1e5, 1e7)
    blur_mm: Range = Range(0.04, 0.11)
    separation_mm: float = 0.35


@dataclass(frozen=True)
class MarkedView:
    """The marks on one view of a left breast, chest wall at column 0.

    Attributes:
        pos_mm: (n, 2) row, col.
        marks: (n, 3) probability, diameter_mm and contrast, as in `records.CANDIDATE_COLUMNS`.
        is_lesion: (n,) True for what belongs to the distribution.
        breast: without mask and outline.
        extent_mm: (rows, cols) of the image.
    """

    pos_mm: Points
    marks: Points
    is_lesion: NDArray[np.bool_]
    breast: Breast
    extent_mm: tuple[float, float]


def mark_view(
    anatomy: Anatomy,
    calcifications: Sequence[Calcification],
    *,
    view: View,
    traits: DetectorTraits,
    rng: np.random.Generator,
    projection: Projection | None = None,
) -> MarkedView:
    """Mark one view as some detector would; `projection` is drawn unless it is given."""
    projection = projection or project_breast(anatomy, view, rng)
    snr = signal_to_noise(anatomy, calcifications, traits, rng)
    found = rng.random(len(snr)) < _chance(calcifications, snr, traits, rng)
    kept = [calcification for calcification, yes in zip(calcifications, found, strict=True) if yes]
    true_mm = projection.project(np.array([c.centre_mm for c in kept]).reshape(-1, 3))
    true_mm += rng.normal(0, 0.1, true_mm.shape)
    false_mm = _false_marks(projection, true_mm, traits, rng)
    diameters = np.array([c.diameter_mm for c in kept])
    marks = np.concatenate([_true_numbers(diameters, snr[found], rng), _false_numbers(len(false_mm), rng)])
    pos_mm = np.concatenate([true_mm, false_mm])
    is_lesion = np.array([c.kind is Kind.LESION for c in kept] + [False] * len(false_mm), dtype=np.bool_)
    order = np.argsort(-marks[:, 0], kind="stable")
    order = order[first_apart(pos_mm[order], traits.separation_mm) & _on_image(pos_mm[order], projection)]
    return MarkedView(
        pos_mm[order], marks[order], is_lesion[order], _breast(projection, rng), projection.extent_mm
    )


def signal_to_noise(
    anatomy: Anatomy,
    calcifications: Sequence[Calcification],
    traits: DetectorTraits,
    rng: np.random.Generator,
) -> Points:
    """Return the signal-to-noise ratio (n,) of each shadow to an ideal observer of quantum noise.

    A shadow is taken as a Gaussian with the volume and the second moment of a ball of the calcification's
    diameter, blurred by the detector: snr = µ V √(q e^-a / 4π (r²/5 + b²)), q being the quanta per mm² and a the
    attenuation of the breast (about 0.055 per mm).
    """
    radius = np.array([c.diameter_mm for c in calcifications]) / 2
    density = np.array([c.attenuation_per_mm for c in calcifications])
    volume = 4 / 3 * np.pi * radius**3 * (1 - np.array([c.hollow for c in calcifications]) ** 3)
    quanta = traits.noise_equivalent_quanta.draw(rng) * np.exp(-0.055 * anatomy.thickness_mm)
    variance = radius**2 / 5 + traits.blur_mm.draw(rng) ** 2
    return np.asarray(density * volume * np.sqrt(quanta / (4 * np.pi * variance)))


def _chance(
    calcifications: Sequence[Calcification], snr: Points, traits: DetectorTraits, rng: np.random.Generator
) -> Points:
    half, steepness, most = (trait.draw(rng) for trait in (traits.half_snr, traits.steepness, traits.most))
    odd = {Kind.COARSE: traits.coarse_found, Kind.VASCULAR: traits.vascular_found}
    factor = np.array([odd.get(c.kind, 1.0) for c in calcifications])
    return np.asarray(factor * most / (1 + (half / np.maximum(snr, 1e-6)) ** steepness))


def _false_marks(
    projection: Projection, true_mm: Points, traits: DetectorTraits, rng: np.random.Generator
) -> Points:
    """Return (n, 2) places of false marks: anywhere in the breast, and now and then a clump."""
    lone = _in_breast(projection, int(rng.poisson(traits.false_marks.draw(rng))), rng)
    if rng.random() >= traits.clump_share:
        return lone
    count = int(rng.poisson(traits.clump_marks))
    clump = _in_breast(projection, 1, rng) + rng.normal(0, rng.uniform(1, 10, 2), (count, 2))
    return np.concatenate([lone, clump])


def _in_breast(projection: Projection, count: int, rng: np.random.Generator) -> Points:
    """Return (count, 2) points in the half of a superellipse that is the breast without its tail."""
    kept = np.empty((0, 2))
    scale = np.array([projection.half_across_mm, projection.depth_mm])
    while len(kept) < count:
        drawn = rng.uniform([-1, 0], 1, (2 * count + 8, 2))
        inside = np.sum(np.abs(drawn) ** projection.shape, axis=1) < 0.93
        kept = np.concatenate([kept, drawn[inside] * scale])
    return np.add(kept[:count], [projection.middle_mm, 0])


def _true_numbers(diameter_mm: Points, snr: Points, rng: np.random.Generator) -> Points:
    """Probability, measured diameter and contrast of true marks, (n, 3)."""
    n = len(diameter_mm)
    sharpness = rng.uniform(0.5, 4)
    probability = 0.5 + 0.5 * rng.beta(1 + sharpness * np.minimum(snr / 20, 3), 1.0, n)
    measured = np.clip(diameter_mm * rng.lognormal(0.0, 0.3, n), 0.1, 1.4)
    contrast = 3 + 0.25 * snr * rng.lognormal(0.0, 0.4, n) * rng.uniform(0.5, 1.5)
    return np.column_stack([probability, measured, np.minimum(contrast, 60)])


def _false_numbers(count: int, rng: np.random.Generator) -> Points:
    """Probability, measured diameter and contrast of false marks, (count, 3)."""
    probability = 0.5 + 0.5 * rng.beta(rng.uniform(0.6, 2.0), 1.0, count)
    measured = np.clip(rng.lognormal(np.log(0.25), 0.4, count), 0.1, 1.4)
    contrast = 3 + rng.exponential(3.0, count)
    return np.column_stack([probability, measured, contrast])


def _on_image(pos_mm: Points, projection: Projection) -> NDArray[np.bool_]:
    return np.asarray(((pos_mm >= 0) & (pos_mm <= projection.extent_mm)).all(axis=1))


def _breast(projection: Projection, rng: np.random.Generator) -> Breast:
    """Return the breast as segmentation finds it, the nipple a few millimetres off."""
    row, col = projection.outline_mm().clip(min=0).T  # it ends behind the image's edge
    area_mm2 = abs(row @ np.roll(col, -1) - col @ np.roll(row, -1)) / 2
    return Breast(
        mask=np.zeros((0, 0), dtype=bool),
        outline_px=np.empty((0, 2)),
        area_cm2=float(area_mm2) / 100,
        nipple_mm=(projection.middle_mm + float(rng.normal(0, 4)), projection.depth_mm),
        depth_axis=(0.0, 1.0),
        fills_image=False,
    )
