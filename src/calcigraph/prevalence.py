"""How often each distribution is met: networks learn on equal shares, readers and their patients do not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calcigraph.errors import BadConfig
from calcigraph.lexicon import DISTRIBUTIONS, Distribution

PREVALENCE: dict[str, dict[Distribution, float]] = {
    "equal": dict.fromkeys(Distribution, 0.2),
    "cbis-ddsm": {
        Distribution.DIFFUSE: 40 / 1391,
        Distribution.REGIONAL: 102 / 1391,
        Distribution.GROUPED: 935 / 1391,
        Distribution.LINEAR: 112 / 1391,
        Distribution.SEGMENTAL: 202 / 1391,
    },
}
"""Name → shares. CBIS-DDSM (Lee et al., Scientific Data 2017): calcification lesions with a single descriptor."""


EQUAL = np.full(len(DISTRIBUTIONS), 1 / len(DISTRIBUTIONS))

LARGEST = 1e300
"""So much that five of them still have a sum."""


def shares_of(prevalence: str) -> NDArray[np.float64]:
    """Return the shares of the five distributions, (5,), above 0 and adding up to 1.

    Args:
        prevalence: a name in `PREVALENCE`, or five numbers with commas, in the order of `lexicon.DISTRIBUTIONS`;
            counts will do.

    Raises:
        BadConfig: neither.

    >>> shares_of("1,2,4,2,1").tolist()
    [0.1, 0.2, 0.4, 0.2, 0.1]
    """
    said = str(prevalence)  # Python callers give other things, too, which are none of these
    if said in PREVALENCE:
        return np.array([PREVALENCE[said][name] for name in DISTRIBUTIONS])
    try:
        shares = np.array([float(number) for number in said.split(",")])
    except ValueError:
        shares = np.zeros(0)
    if shares.shape != (len(DISTRIBUTIONS),) or not ((shares > 0) & (shares < LARGEST)).all():
        raise BadConfig(
            f"prevalence {prevalence!r}",
            allowed=f"{', '.join(PREVALENCE)}, or five numbers above 0 ({', '.join(DISTRIBUTIONS)})",
            do="write it as one of these, such as 2,8,66,8,16",
        )
    return shares / shares.sum()


def expect(
    probabilities: NDArray[np.float64], shares: NDArray[np.float64], weight: float
) -> NDArray[np.float64]:
    """Turn probabilities for equal shares into those where the distributions are as frequent as `shares` says.

    p'_c ∝ p_c · share_c^weight (Bayes' rule at weight 1; Saerens et al., Neural Computation 2002).

    Args:
        probabilities: (n, 5), rows adding up to 1; rows of NaN stay.
        shares: (5,), above 0 (`shares_of`).
        weight: 0 (equal shares) to 1 (those shares); between, a compromise for a population that is not known. The
            negative weight undoes it.

    >>> expect(np.full((1, 5), 0.2), shares_of("cbis-ddsm"), 1.0).round(3)[0, 2].item()
    0.672
    """
    shifted = probabilities * shares**weight
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def expected_of(prevalence: str, weight: float) -> NDArray[np.float64]:
    """Return the probabilities (5,) of an image that says nothing: equal ones after `expect`.

    Multiplied by these and divided by their sum, probabilities are what `expect` makes of them.
    """
    (expected,) = expect(EQUAL[None], shares_of(prevalence), weight)
    return np.asarray(expected)
