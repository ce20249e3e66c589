"""How often each distribution is met: networks learn on equal shares, readers and their patients do not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from calcigraph.lexicon import Distribution

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


def expect(
    probabilities: Mapping[Distribution, float], *, prevalence: str, weight: float
) -> dict[Distribution, float]:
    """Turn probabilities for equal shares into those where distributions are as frequent as `prevalence` says.

    p'_c ∝ p_c · share_c^weight (Bayes' rule at weight 1; Saerens et al., Neural Computation 2002).

    Args:
        probabilities: of the five distributions, adding up to 1.
        prevalence: a name in `PREVALENCE`.
        weight: 0 (equal shares) to 1 (those shares); between, a compromise for a population that is not known.

    >>> equal = dict.fromkeys(Distribution, 0.2)
    >>> round(expect(equal, prevalence="cbis-ddsm", weight=1.0)[Distribution.GROUPED], 3)
    0.672
    """
    shares = np.array([PREVALENCE[prevalence][name] for name in Distribution])
    p = np.array([probabilities[name] for name in Distribution]) * shares**weight
    return dict(zip(Distribution, (p / p.sum()).tolist(), strict=True))
