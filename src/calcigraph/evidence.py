"""Whether there is enough on an image to name a distribution: enough calcifications, some of them close together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import binom

from calcigraph.explain import lesion_weights
from calcigraph.graph import CalcificationGraph, frame_of
from calcigraph.lexicon import count
from calcigraph.models import DistributionNet
from calcigraph.records import Points

GROUP = 3
"""So many calcifications that are close together speak for a lesion, where enough are found in all: of the five of a
group some are missed, and some lie apart (docs/LOG.md)."""

CHANCE = 0.03
"""From so many on (`expected_by_chance`) calcifications lie as chance would have them. Where 5 to 30 are strewn evenly
over a breast of 90 cm², two to eight in a hundred have less (docs/LOG.md)."""

NOT_FALSE_PER_CM2 = 0.5
"""False marks are fewer: on real breasts without findings up to .14 per cm² (digital) and .46 (film at 0.2 mm)."""

NEAREST = 40
"""So many calcifications are looked at around each one, itself included."""


def expected_by_chance(pos_mm: Points, area_cm2: float, *, least: int) -> float:
    """Return how many calcifications would have as many others as near, if they were strewn evenly over the breast.

    A scan statistic (Naus 1965; Kulldorff 1997): of n marks, the densest k lie within a distance r of one of them. Of n
    marks strewn evenly over an area A, n P(B ≥ k - 1) have as many within r, B being binomial with n - 1 draws of
    probability π r² / A. The smallest of these numbers counts, over k from `least` to `NEAREST`. Marks denser than
    `NOT_FALSE_PER_CM2` are held against so many strewn at that density, over a larger area: in a crop full of them none
    is nearer another than by chance.

    Args:
        pos_mm: (n, 2) positions.
        area_cm2: of the breast, above 0; black tissue in it, which is not searched, makes marks look closer together.
        least: of calcifications that may count as close together, 1 to `NEAREST`.

    Returns:
        0 to n; infinite with fewer than `least` calcifications.
    """
    n = len(pos_mm)
    if n < least:
        return float("inf")
    group = np.arange(least, min(n, NEAREST) + 1)
    distance_mm, _ = cKDTree(pos_mm).query(pos_mm, k=group)
    radius_cm = np.asarray(distance_mm).min(axis=0) / 10
    share = np.minimum(np.pi * radius_cm**2 / max(area_cm2, (n - 1) / NOT_FALSE_PER_CM2), 1)
    return float((n * binom.sf(group - 2, n - 1, share)).min())


@dataclass(frozen=True)
class Evidence:
    """What speaks for a lesion.

    Attributes:
        found: calcifications.
        by_chance: how many of them would have so many others so near by chance, from `GROUP` on (`expected_by_chance`).
        weight: how much all of them weigh in the lesion's shape, 0 to `found` (`explain.lesion_weights`).
        needed: calcifications without which no distribution is named (`ConfirmConfig.at_least`).
    """

    found: int
    by_chance: float
    weight: float
    needed: int

    @classmethod
    def of(cls, net: DistributionNet, graph: CalcificationGraph, *, needed: int) -> Evidence:
        """Take the evidence of a graph."""
        by_chance = expected_by_chance(graph.pos.numpy(), frame_of(graph).area_cm2, least=min(GROUP, needed))
        return cls(len(graph.pos), by_chance, float(lesion_weights(net, graph).sum()), needed)

    @property
    def lacks(self) -> str:
        """What is missing to name a distribution, in words; empty where nothing is."""
        if self.found < self.needed:
            return f"{self._found}, {self.needed} needed to name one"
        if self.by_chance >= CHANCE:
            return f"too little evidence of a lesion: {self._found}, no closer together than by chance"
        return ""

    @property
    def thin(self) -> str:
        """How little weighs, in words, where it is less than what is needed of calcifications; else empty."""
        if self.weight >= self.needed:
            return ""
        tenths = int(self.weight * 10) / 10  # rounded up, 4.97 would be as many as are needed
        return f"thin evidence: {self._found}, of which the network takes {tenths} for a lesion's"

    @property
    def _found(self) -> str:
        return f"{count(self.found, 'calcification')} found"
