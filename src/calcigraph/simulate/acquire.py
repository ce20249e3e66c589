"""From attenuation to a displayed mammogram: blur, quantum noise, specks, and the processing of a vendor."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from calcigraph.records import FloatImage, Mask


@dataclass(frozen=True)
class Acquisition:
    """How a machine takes and shows images.

    Attributes:
        spacing_mm: pixel pitch.
        blur_mm: standard deviation of the point spread (focal spot, scintillator).
        photons_per_mm2: detected quanta behind 0 attenuation, over 1e6: the noise level.
        noise_blur_px: standard deviation of the noise's correlation.
        equalise: share of the thickness that processing removes, 0 to 1.
        sharpen: weight of the unsharp mask.
        gamma: exponent of the tone curve; below 1 lifts the dark parts.
        specks_per_cm2: sharp single-pixel specks (dust, defective pixels).
    """

    spacing_mm: float
    blur_mm: float
    photons_per_mm2: float
    noise_blur_px: float
    equalise: float
    sharpen: float
    gamma: float
    specks_per_cm2: float


def draw_acquisition(rng: np.random.Generator, *, spacing_mm: float | None = None) -> Acquisition:
    """Draw a machine; `spacing_mm` fixes its pitch, otherwise it is one of those of digital mammography."""
    pitch = spacing_mm or float(rng.choice([0.07, 0.085, 0.085, 0.094, 0.1]))
    return Acquisition(
        spacing_mm=pitch,
        blur_mm=float(rng.uniform(0.04, 0.11)),
        photons_per_mm2=float(np.exp(rng.uniform(np.log(2e6), np.log(3e7)))),
        noise_blur_px=float(rng.choice([0.0, rng.uniform(0.4, 1.0)])),
        equalise=float(rng.uniform(0.5, 0.95)),
        sharpen=float(rng.choice([0.0, rng.uniform(0.2, 1.2)])),
        gamma=float(rng.uniform(0.7, 1.6)),
        specks_per_cm2=float(rng.choice([0.0, rng.uniform(0.0, 0.25)], p=[0.6, 0.4])),
    )


def quantum_noise(attenuation: float, machine: Acquisition) -> float:
    """Standard deviation of attenuation in one pixel: counts are large, so it is 1 / sqrt(count)."""
    return float(np.exp(attenuation / 2) / np.sqrt(machine.photons_per_mm2 * machine.spacing_mm**2))


def expose(
    attenuation: FloatImage, breast: Mask, machine: Acquisition, rng: np.random.Generator
) -> FloatImage:
    """Blur, count photons and take the logarithm; returns attenuation with noise, (rows, cols)."""
    blurred = cv2.GaussianBlur(attenuation, (0, 0), machine.blur_mm / machine.spacing_mm)
    sigma = np.exp(blurred * np.float32(0.5)) * np.float32(quantum_noise(0.0, machine))
    noise = rng.standard_normal(attenuation.shape, dtype=np.float32)
    if machine.noise_blur_px:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), machine.noise_blur_px))
        noise /= max(float(noise.std()), 1e-6)
    exposed = np.asarray(blurred + sigma * noise)
    _add_specks(exposed, sigma, breast, machine, rng)
    return exposed


def _add_specks(
    exposed: FloatImage, sigma: FloatImage, breast: Mask, machine: Acquisition, rng: np.random.Generator
) -> None:
    """Raise single pixels and small dashes that no blur has touched."""
    area_cm2 = float(breast.sum()) * machine.spacing_mm**2 / 100
    places = np.argwhere(breast[:-1, :-1])
    if not len(places):
        return
    chosen = places[rng.integers(0, len(places), int(rng.poisson(machine.specks_per_cm2 * area_cm2)))]
    height = rng.uniform(4, 15, len(chosen)).astype(np.float32) * sigma[chosen[:, 0], chosen[:, 1]]
    exposed[chosen[:, 0], chosen[:, 1]] += height
    wide = rng.random(len(chosen)) < 0.3
    exposed[chosen[wide, 0], chosen[wide, 1] + 1] += height[wide]


def process(exposed: FloatImage, breast: Mask, machine: Acquisition) -> FloatImage:
    """Equalise thickness, sharpen and map to [0, 1] as vendors do before display; air becomes dark."""
    pitch = machine.spacing_mm
    smooth = _lowpass(np.where(breast, exposed, 0).astype(np.float32), breast, 8.0 / pitch)
    level = float(np.median(smooth[breast]))
    shown = exposed - np.float32(machine.equalise) * (smooth - level)
    if machine.sharpen:
        shown += np.float32(machine.sharpen) * (exposed - cv2.GaussianBlur(exposed, (0, 0), 0.5 / pitch))
    low, high = np.quantile(shown[breast][::17], [0.005, 0.998])
    low, high = low - 0.15 * (high - low), high + 0.25 * (high - low)
    shown = np.clip((shown - low) / max(high - low, 1e-6), 0, 1) ** np.float32(machine.gamma)
    inside = cv2.GaussianBlur(breast.astype(np.float32), (0, 0), 0.4 / pitch)
    return np.asarray(np.clip(shown * inside, 0, 1), dtype=np.float32)


def _lowpass(image: FloatImage, mask: Mask, sigma_px: float) -> FloatImage:
    """Blur within the mask, on a grid eight times coarser."""
    size = (max(1, image.shape[1] // 8), max(1, image.shape[0] // 8))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma_px / 8) / np.maximum(
        cv2.GaussianBlur(share, (0, 0), sigma_px / 8), 1e-3
    )
    return np.asarray(cv2.resize(blurred, image.shape[::-1], interpolation=cv2.INTER_LINEAR))
