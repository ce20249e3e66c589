"""What can be a seed, for every library that takes one."""

from __future__ import annotations

from calcigraph.errors import BadConfig

LARGEST_SEED = 2**31 - 1
"""Seeds of folds are a few more than that of the study, and 2³² - 1 is the largest that every library takes."""


def require_seed(seed: int) -> None:
    """Refuse what cannot be a seed.

    Raises:
        BadConfig: no whole number, below 0 or above `LARGEST_SEED`.
    """
    if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
        raise BadConfig(f"seed {seed!r}", allowed=f"0 to {LARGEST_SEED:,}", do="change the seed")
