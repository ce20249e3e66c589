"""Simulated beside real mammograms, to look at and to measure. Run by `make realism`.

Writes build/realism.html (pictures; real ones only where CALCIGRAPH_DATA names a folder with them: they stay out of the
repository) and docs/realism.md (numbers).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calcigraph.config import default
from calcigraph.detect import detect_candidates
from calcigraph.io import read_mammogram
from calcigraph.lexicon import RESEARCH_USE
from calcigraph.records import Mammogram
from calcigraph.simulate import CohortOptions, plan_balanced, simulate_case

PAGE, TABLE = Path("build/realism.html"), Path("docs/realism.md")
SHOWN = 6
SQUARE_MM = 20.0
BAND_PER_MM = (0.15, 1.0)
"""Spatial frequencies over which the exponent of the power spectrum is fitted (Burgess et al. 2001)."""
NOISE_PER_MM, TISSUE_PER_MM = (2.0, 2.5), (0.7, 1.0)
"""Spatial frequencies at which noise, and at which tissue makes most of the power; film of 0.2 mm ends at 2.5."""
MEASURES = (
    "power-law exponent",
    "contrast at 0.5 mm over 5 mm",
    "power at 2 to 2.5 per mm over that at 0.7 to 1, in decades",
    "candidates per cm²",
)

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Kind:
    """Mammograms of one kind: simulated and real ones."""

    name: str
    simulated: list[Mammogram]
    real: list[Mammogram]


def kinds(data: Path | None) -> Iterator[Kind]:
    digital = simulated("digital", 0.09)
    film = simulated("film", 0.2)
    yield Kind("digital", digital, list(read(data, "cdd_cesm_normals/*.jpg", 0.094)) + siemens_and_ge(data))
    yield Kind("film at 0.2 mm", film, list(read(data, "mini_mias/*.png", 0.2)))


def simulated(acquisition: str, spacing_mm: float, *, count: int = 20) -> list[Mammogram]:
    options = CohortOptions(seed=77, spacing_mm=spacing_mm, acquisition=acquisition)
    cases = plan_balanced(count // 5)
    views = [simulate_case(case, options)[number % 2] for number, case in enumerate(cases)]
    return [Mammogram(view.pixels, (spacing_mm, spacing_mm)) for view in views]


def read(data: Path | None, pattern: str, spacing_mm: float) -> Iterator[Mammogram]:
    for path in sorted(data.glob(pattern)) if data else ():
        yield read_mammogram(path, spacing_mm=spacing_mm)


def siemens_and_ge(data: Path | None) -> list[Mammogram]:
    return [read_mammogram(path) for path in sorted(data.glob("mg_dicom/*.dcm"))] if data else []


def measure(mammogram: Mammogram) -> tuple[float, float, float, float]:
    """Measure one mammogram; NaN where no square of tissue is found."""
    breast, candidates = detect_candidates(mammogram, default())
    dense = float((candidates.table["contrast"] > 6).sum()) / max(breast.area_cm2, 1e-9)
    square = tissue_square(mammogram)
    if square is None:
        return float("nan"), float("nan"), float("nan"), dense
    frequency, power = spectrum(square, mammogram.spacing_mm[0])
    return (
        power_law_exponent(frequency, power),
        fine_contrast(square, mammogram),
        noise_power(frequency, power),
        dense,
    )


def tissue_square(mammogram: Mammogram) -> Float | None:
    """Return the grey values of the brightest square that is all tissue."""
    side = round(SQUARE_MM / mammogram.spacing_mm[0])
    squares = [
        mammogram.pixels[row : row + side, col : col + side]
        for row in range(0, mammogram.shape[0] - side, side // 2)
        for col in range(0, mammogram.shape[1] - side, side // 2)
    ]
    whole = [square for square in squares if square.min() > 0.05 and square.max() < 0.98]
    return max(whole, key=np.mean).astype(np.float64) if whole else None


def power_law_exponent(frequency: Float, power: Float) -> float:
    """Fit β in power ∝ 1 / f^β over `BAND_PER_MM`."""
    edges = np.geomspace(*BAND_PER_MM, 9)
    rings = [(frequency >= low) & (frequency < high) for low, high in pairwise(edges)]
    means = [(np.log(frequency[ring].mean()), np.log(power[ring].mean())) for ring in rings if ring.any()]
    return float(-np.polyfit(*np.array(means).T, 1)[0])


def noise_power(frequency: Float, power: Float) -> float:
    """Return the logarithm to base 10 of the power at `NOISE_PER_MM` over that at `TISSUE_PER_MM`, medians."""
    noise, tissue = (
        np.median(power[(frequency >= low) & (frequency < high)])
        for low, high in (NOISE_PER_MM, TISSUE_PER_MM)
    )
    return float(np.log10(noise / tissue))


def spectrum(square: Float, pitch_mm: float) -> tuple[Float, Float]:
    """Return frequencies (cycles per mm) and power, both (side, side), after a Hann window."""
    side = len(square)
    window = np.outer(np.hanning(side), np.hanning(side))
    power = np.abs(np.fft.fft2((square - square.mean()) * window)) ** 2
    return np.hypot(*np.meshgrid(*[np.fft.fftfreq(side, pitch_mm)] * 2)), power


def fine_contrast(square: Float, mammogram: Mammogram) -> float:
    """Deviation of the detail at 0.5 mm as a share of that at 5 mm."""
    pitch = mammogram.spacing_mm[0]
    fine, coarse = (
        float((cv2.GaussianBlur(square, (0, 0), mm / pitch) - cv2.GaussianBlur(square, (0, 0), 2 * mm / pitch)).std())
        for mm in (0.25, 2.5)
    )  # fmt: skip
    return fine / max(coarse, 1e-9)


def picture(mammogram: Mammogram, *, height: int = 420) -> str:
    """Return a mammogram of fixed height as a data address."""
    scale = height / mammogram.shape[0]
    small = cv2.resize(mammogram.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", (small * 255).astype(np.uint8))
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"


def row(name: str, mammograms: list[Mammogram]) -> str:
    found = np.array([measure(mammogram) for mammogram in mammograms])
    cells = [
        "{1:.2f} ({0:.2f} to {2:.2f})".format(*np.nanquantile(column, [0.1, 0.5, 0.9])) for column in found.T
    ]
    return f"| {name} | {len(mammograms)} | {' | '.join(cells)} |"


def main() -> None:
    folder = os.environ.get("CALCIGRAPH_DATA")
    lines = ["# Simulated beside real mammograms", "", "Written by `make realism`: median (10 to 90 %).", ""]
    lines += [
        f"| images | n | {' | '.join(MEASURES)} |",
        "|---" * (2 + len(MEASURES)) + "|",
    ]
    page = [f"<!doctype html><meta charset=utf-8><title>Realism</title><h1>Realism</h1><p>{RESEARCH_USE}"]
    for kind in kinds(Path(folder) if folder else None):
        for name, mammograms in (("simulated", kind.simulated), ("real", kind.real)):
            if mammograms:
                lines.append(row(f"{name}, {kind.name}", mammograms))
                chosen = mammograms[:: max(1, len(mammograms) // SHOWN)][:SHOWN]
                images = "".join(f'<img src="{picture(one)}" alt="{name}">' for one in chosen)
                page.append(f"<h2>{name}, {kind.name}</h2>{images}")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join(page), encoding="utf-8")
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(PAGE, TABLE)


if __name__ == "__main__":
    main()
