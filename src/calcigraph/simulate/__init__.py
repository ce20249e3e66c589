"""Simulated mammograms whose every calcification is known: anatomy → patterns → render → cohort."""

from __future__ import annotations

from calcigraph.simulate.cohort import CohortOptions, simulate_case, write_cohort
from calcigraph.simulate.plan import PlannedCase, plan_balanced, plan_twin

__all__ = ["CohortOptions", "PlannedCase", "plan_balanced", "plan_twin", "simulate_case", "write_cohort"]
