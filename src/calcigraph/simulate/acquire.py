"""From attenuation to a displayed mammogram: blur, noise, dust and specks, and the processing of a vendor or a film."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from calcigraph.records import FloatImage, Mask
from calcigraph.simulate.draw import log_uniform
from calcigraph.simulate.dust import add_defects, add_dust, add_fibres

ACQUISITIONS = ("mixed", "digital", "film")
FILM_SHARE = 0.25
"""Share of films in a mixed cohort."""

DIGITAL_PITCHES_MM = (0.05, 0.065, 0.07, 0.083, 0.085, 0.085, 0.094, 0.1)
"""Those of the machines of Fujifilm, Giotto, Hologic, Philips, Siemens (twice) and GE."""

FILM_PITCHES_MM = (0.05, 0.1, 0.2, 0.2)
"""Those to which digitised films of the public data sets are scanned or reduced."""

DIGITAL_PHOTONS_PER_MM2 = (2e5, 1e7)
FILM_PHOTONS_PER_MM2 = (1e5, 3e6)
"""So that the power spectra of the brightest tissue have the shape of those of real mammograms (`docs/realism.md`).
Behind 5 cm of tissue (an attenuation near 2.8) these are 6,000 to 600,000 quanta per mm²."""

NOISE_BLUR_SHARE = (0.3, 0.8)
"""Of the whole spread, that which noise shares: the focal spot's and the patient's movement are not in it. Three of ten
digital machines have white noise, as selenium does not spread what it counts."""


@dataclass(frozen=True)
class Acquisition:
    """How a machine takes and shows images.

    Attributes:
        film: digitised film instead of a digital detector.
        spacing_mm: pixel pitch.
        blur_mm: standard deviation of the point spread (focal spot, scintillator or screen, scanner).
        photons_per_mm2: quanta behind 0 attenuation that would be as noisy as what is detected (noise-equivalent
            quanta: scatter, the detector's own noise and film grain included).
        noise_blur_mm: standard deviation of the spread that quanta share with the signal (scintillator or screen,
            scanner). Noise over areas stays that of the quanta, a pixel's becomes less.
        equalise: share of the thickness that processing removes, 0 to 1.
        sharpen: weight of the unsharp mask.
        gamma: exponent of the tone curve; below 1 lifts the dark parts.
        specks_per_cm2: sharp specks that no blur has touched (defective pixels; dust on a film).
        levels: grey levels of the stored image.
        fibres_per_cm2: thin fibres on a film.
    """

    film: bool
    spacing_mm: float
    blur_mm: float
    photons_per_mm2: float
    noise_blur_mm: float
    equalise: float
    sharpen: float
    gamma: float
    specks_per_cm2: float
    levels: int
    fibres_per_cm2: float = 0.0


def draw_acquisition(
    rng: np.random.Generator, *, spacing_mm: float | None = None, acquisition: str = "mixed"
) -> Acquisition:
    """Draw a machine.

    Args:
        rng: source of chance.
        spacing_mm: fixes the pixel pitch; otherwise it is one of those in use.
        acquisition: one of `ACQUISITIONS`.
    """
    film = bool(rng.random() < FILM_SHARE) if acquisition == "mixed" else acquisition == "film"
    return _film(rng, spacing_mm) if film else _digital(rng, spacing_mm)


def _digital(rng: np.random.Generator, spacing_mm: float | None) -> Acquisition:
    blur_mm = float(rng.uniform(0.04, 0.11))
    return Acquisition(
        film=False,
        spacing_mm=spacing_mm or float(rng.choice(DIGITAL_PITCHES_MM)),
        blur_mm=blur_mm,
        photons_per_mm2=log_uniform(rng, *DIGITAL_PHOTONS_PER_MM2),
        noise_blur_mm=float(rng.choice([0.0, rng.uniform(*NOISE_BLUR_SHARE)], p=[0.3, 0.7])) * blur_mm,
        equalise=float(rng.uniform(0.6, 1.0)),
        sharpen=float(rng.choice([0.0, rng.uniform(0.2, 1.5)])),
        gamma=float(rng.uniform(0.7, 1.6)),
        specks_per_cm2=float(rng.choice([0.0, rng.uniform(0.0, 0.1)], p=[0.7, 0.3])),
        levels=int(rng.choice([256, 4096])),
    )


def _film(rng: np.random.Generator, spacing_mm: float | None) -> Acquisition:
    pitch = spacing_mm or float(rng.choice(FILM_PITCHES_MM))
    blur_mm = float(max(rng.uniform(0.06, 0.14), 0.4 * pitch))
    return Acquisition(
        film=True,
        spacing_mm=pitch,
        blur_mm=blur_mm,
        photons_per_mm2=log_uniform(rng, *FILM_PHOTONS_PER_MM2),
        noise_blur_mm=float(rng.uniform(*NOISE_BLUR_SHARE)) * blur_mm,
        equalise=float(rng.uniform(0.0, 0.5)),
        sharpen=float(rng.choice([0.0, rng.uniform(0.0, 0.4)])),
        gamma=float(rng.uniform(0.6, 1.4)),
        specks_per_cm2=log_uniform(rng, 0.03, 0.8),
        levels=int(rng.choice([256, 4096])),
        fibres_per_cm2=log_uniform(rng, 0.001, 0.03),
    )


def expose(
    attenuation: FloatImage, breast: Mask, machine: Acquisition, rng: np.random.Generator
) -> FloatImage:
    """Blur, count quanta, take the logarithm and add specks; returns attenuation with noise, (rows, cols).

    Counts are large, so that the noise of a pixel's attenuation has a standard deviation of 1 / sqrt(count) before
    it is spread; spread, its power spectrum keeps the height at low frequencies, 1 / quanta per mm² (Cunningham, in
    Handbook of Medical Imaging 1, SPIE 2000).
    """
    blurred = blur(attenuation, machine)
    unit = np.float32(1 / np.sqrt(machine.photons_per_mm2 * machine.spacing_mm**2))
    sigma = np.exp(blurred * np.float32(0.5)) * unit
    noise = rng.standard_normal(attenuation.shape, dtype=np.float32)
    if machine.noise_blur_mm:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), machine.noise_blur_mm / machine.spacing_mm))
    exposed = np.asarray(blurred + sigma * noise)
    _soil(exposed, sigma * noise.std(), breast, machine, rng)
    return exposed


def blur(attenuation: FloatImage, machine: Acquisition) -> FloatImage:
    """Spread every point as focal spot and detector do."""
    return np.asarray(cv2.GaussianBlur(attenuation, (0, 0), machine.blur_mm / machine.spacing_mm))


def _soil(
    exposed: FloatImage, sigma: FloatImage, breast: Mask, machine: Acquisition, rng: np.random.Generator
) -> None:
    """Add what lies on the image and not in the breast."""
    area_cm2 = float(breast.sum()) * machine.spacing_mm**2 / 100
    specks = int(rng.poisson(machine.specks_per_cm2 * area_cm2))
    if not machine.film:
        add_defects(exposed, sigma, breast, specks, rng)
        return
    add_dust(exposed, sigma, breast, specks, rng, spacing_mm=machine.spacing_mm)
    fibres = int(rng.poisson(machine.fibres_per_cm2 * area_cm2))
    add_fibres(exposed, sigma, breast, fibres, rng, spacing_mm=machine.spacing_mm)


def process(exposed: FloatImage, breast: Mask, machine: Acquisition) -> FloatImage:
    """Equalise thickness, sharpen, map to [0, 1] and to grey levels as before display; air becomes dark."""
    pitch = machine.spacing_mm
    smooth = _lowpass(np.where(breast, exposed, 0).astype(np.float32), breast, 8.0 / pitch)
    level = float(np.median(smooth[breast]))
    shown = exposed - np.float32(machine.equalise) * (smooth - level)
    if machine.sharpen:
        shown += np.float32(machine.sharpen) * (exposed - cv2.GaussianBlur(exposed, (0, 0), 0.5 / pitch))
    low, high = np.quantile(shown[breast][::17], [0.005, 0.998])
    low, high = low - 0.15 * (high - low), high + 0.25 * (high - low)
    shown = np.clip((shown - low) / max(high - low, 1e-6), 0, 1) ** np.float32(machine.gamma)
    if machine.film:
        shown = _characteristic_curve(shown)
    inside = cv2.GaussianBlur(breast.astype(np.float32), (0, 0), 0.4 / pitch)
    top = np.float32(machine.levels - 1)
    return np.asarray(np.rint(np.clip(shown * inside, 0, 1) * top) / top, dtype=np.float32)


def _characteristic_curve(shown: FloatImage) -> FloatImage:
    """Return the grey values after film, whose contrast fades at both ends (Hurter and Driffield)."""
    steep = np.float32(4.0)
    ends = 1 / (1 + np.exp(steep / 2))
    curved = 1 / (1 + np.exp(-steep * (shown - np.float32(0.5))))
    return np.asarray((curved - ends) / (1 - 2 * ends), dtype=np.float32)


def _lowpass(image: FloatImage, mask: Mask, sigma_px: float) -> FloatImage:
    """Blur within the mask, on a grid eight times coarser."""
    size = (max(1, image.shape[1] // 8), max(1, image.shape[0] // 8))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma_px / 8) / np.maximum(
        cv2.GaussianBlur(share, (0, 0), sigma_px / 8), 1e-3
    )
    return np.asarray(cv2.resize(blurred, image.shape[::-1], interpolation=cv2.INTER_LINEAR))
