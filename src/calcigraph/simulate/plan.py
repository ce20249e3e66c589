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
class PlannedCase:
    """One breast of one patient: its number within the cohort (which seeds it), its label and its views."""

    number: int
    distribution: Distribution | None
    views: tuple[View, ...]

    @property
    def patient_id(self) -> str:
        """Name of the patient, `S` and four digits or more."""
        return f"S{self.number:04d}"

    @property
    def laterality(self) -> Laterality:
        """Left and right by turns, so that no class has a side."""
        return Laterality.LEFT if self.number % 2 else Laterality.RIGHT

    def image_id(self, view: View) -> str:
        """Name of one of its images, such as `S0001_L_CC`."""
        return f"{self.patient_id}_{self.laterality}_{view}"


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
