"""Which cases a simulated cohort has: the paper's counts, or so many of each distribution."""

from __future__ import annotations

from dataclasses import dataclass

from calcigraph.lexicon import DISTRIBUTIONS, Distribution, Laterality, View

TWIN_IMAGES: dict[Distribution, int] = {
    Distribution.DIFFUSE: 67,
    Distribution.REGIONAL: 115,
    Distribution.GROUPED: 337,
    Distribution.LINEAR: 8,
    Distribution.SEGMENTAL: 54,
}
"""Images per class in the paper's cohort (abstract): 581 of 292 patients."""

BOTH_VIEWS = (View.CC, View.MLO)


@dataclass(frozen=True)
class Outline:
    """The outline of a lesion on a real mammogram, in which calcifications are simulated.

    Attributes:
        patient: whose; letters, digits, `-` and `_`.
        laterality: which breast.
        view: CC or MLO.
        distribution: as the radiologist labelled it.
        film_mm: three or more vertices, (row, col) in mm from the film's first pixel.
    """

    patient: str
    laterality: Laterality
    view: View
    distribution: Distribution
    film_mm: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class PlannedCase:
    """One breast of one patient: its number within the cohort (which seeds it), its label and its views.

    `outlines`, where there are any, are one for each view, and say whose breast it is and which.
    """

    number: int
    distribution: Distribution | None
    views: tuple[View, ...]
    outlines: tuple[Outline, ...] = ()

    @property
    def patient_id(self) -> str:
        """Name of the patient: that of the outlines, or `S` and four digits or more."""
        return self.outlines[0].patient if self.outlines else f"S{self.number:04d}"

    @property
    def laterality(self) -> Laterality:
        """That of the outlines, or left and right by turns, so that no class has a side."""
        if self.outlines:
            return self.outlines[0].laterality
        return Laterality.LEFT if self.number % 2 else Laterality.RIGHT

    def image_id(self, view: View) -> str:
        """Name of one of its images, such as `S0001_L_CC`; `O0001_L_CC` for one with an outline."""
        return f"{'O' if self.outlines else 'S'}{self.number:04d}_{self.laterality}_{view}"


Plan = tuple[PlannedCase, ...]


def plan_twin() -> Plan:
    """Return the paper's cohort: 292 cases and 581 images with its class counts.

    Each class of odd size has one case with a single view.
    """
    cases: list[PlannedCase] = []
    for distribution, images in TWIN_IMAGES.items():
        for first in range(0, images, 2):
            views = BOTH_VIEWS[: min(2, images - first)]
            cases.append(PlannedCase(len(cases) + 1, distribution, views))
    return tuple(cases)


def plan_balanced(cases_per_class: int, normals: int = 0) -> Plan:
    """Return as many cases of each distribution, and some without any, all with two views; classes by turns."""
    labels: list[Distribution | None] = [d for _ in range(cases_per_class) for d in DISTRIBUTIONS]
    labels += [None] * normals
    return tuple(PlannedCase(number, label, BOTH_VIEWS) for number, label in enumerate(labels, start=1))
