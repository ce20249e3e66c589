"""The simulated cohort that several test files share: two cases of each distribution and a normal one, at 0.2 mm."""

from __future__ import annotations

from pathlib import Path

import pytest

from calcigraph.lexicon import View
from calcigraph.simulate import CohortOptions, PlannedCase, plan_balanced, write_cohort
from inline_pool import InlinePool

OPTIONS = CohortOptions(seed=4, spacing_mm=0.2)

BOTH_VIEWS = plan_balanced(2, 1)[2:4]
"""A right and a left breast."""

PLAN = tuple(
    case if case in BOTH_VIEWS else PlannedCase(case.number, case.distribution, (View.CC,))
    for case in plan_balanced(2, 1)
)
"""11 cases, 13 images, 12 of them with a distribution."""


def write(folder: Path) -> Path:
    """Write it in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calcigraph.processes.ProcessPoolExecutor", InlinePool)
        write_cohort(folder, PLAN, OPTIONS, name="Tiny")
    return folder
