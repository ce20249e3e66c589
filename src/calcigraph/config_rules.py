"""What values a setting may have, and the refusal of others."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable
from typing import Any

from calcigraph.errors import BadConfig

Rule = tuple[str, Callable[[Any], bool]]
"""What is allowed, in words and as a test."""
POSITIVE: Rule = ("a finite number above 0", lambda value: 0 < value < math.inf)
NOT_NEGATIVE: Rule = ("a finite number, 0 or more", lambda value: 0 <= value < math.inf)
SHARE: Rule = ("0 to 1", lambda value: 0 <= value <= 1)
BELOW_ONE: Rule = ("0 to below 1", lambda value: 0 <= value < 1)
COUNT: Rule = ("1 or more", lambda value: value >= 1)
WIDTH: Rule = ("1 to 4096", lambda value: 1 <= value <= 4096)
EVEN_SIDE: Rule = ("even, 8 to 256", lambda value: 8 <= value <= 256 and value % 2 == 0)
SCALES: Rule = (
    "1 to 8 whole numbers from 1 to 100",
    lambda values: 1 <= len(values) <= 8 and min(values) >= 1 and max(values) <= 100,
)
PITCH: Rule = ("0, or 0.02 to 2", lambda value: value == 0 or 0.02 <= value <= 2)
COARSE_PITCH: Rule = ("0.1 to 5", lambda value: 0.1 <= value <= 5)


def one_of(*allowed: str) -> Rule:
    """Allow these words."""
    return " or ".join(allowed), lambda value: value in allowed


def require_each(stage: object, rule: Rule, *names: str) -> None:
    """Hold settings of a stage to a rule.

    Raises:
        BadConfig: one does not keep it.
    """
    allowed, holds = rule
    for name in names:
        value = getattr(stage, name)
        require(holds(value), name, value, allowed)


def require(holds: bool, name: str, value: object, allowed: str) -> None:
    """Refuse a setting by its name and value, with what is allowed.

    Raises:
        BadConfig: it does not hold.
    """
    if not holds:
        raise BadConfig(f"setting {name} = {reprlib.repr(value)}", allowed=allowed, do="change the settings")
