"""Simulated mammograms whose every calcification is known: anatomy → patterns → render → cohort."""

from __future__ import annotations

from calcigraph.simulate.cohort import CohortOptions, simulate_case, write_cohort
from calcigraph.simulate.outlines import plan_outlined, read_outlines
from calcigraph.simulate.plan import PlannedCase, plan_balanced, plan_twin

__all__ = [
    "CohortOptions",
    "PlannedCase",
    "plan_balanced",
    "plan_outlined",
    "plan_twin",
    "read_outlines",
    "simulate_case",
    "write_cohort",
]
