"""Whether there is enough on an image to name a distribution."""

from __future__ import annotations

from dataclasses import dataclass

from calcigraph.explain import lesion_weights
from calcigraph.graph import CalcificationGraph
from calcigraph.models import DistributionNet

LEAST_SHARE = 0.6
"""So much of the calcifications that are needed has to weigh in the lesion's shape: 3 of 5. The scattered marks of
normal breasts weigh next to nothing there (docs/LOG.md)."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for a lesion.

    Attributes:
        found: calcifications.
        weight: how much all of them weigh in the lesion's shape, 0 to `found` (`explain.lesion_weights`).
        needed: calcifications without which no distribution is named (`ConfirmConfig.at_least`).
    """

    found: int
    weight: float
    needed: int

    @classmethod
    def of(cls, net: DistributionNet, graph: CalcificationGraph, *, needed: int) -> Evidence:
        """Weigh the calcifications of a graph."""
        return cls(len(graph.pos), float(lesion_weights(net, graph).sum()), needed)

    @property
    def lacks(self) -> str:
        """What is missing to name a distribution, in words; empty where nothing is."""
        if self.found < self.needed:
            things = "calcification" if self.found == 1 else "calcifications"
            return f"{self.found} {things} found, {self.needed} needed to name one"
        least = LEAST_SHARE * self.needed
        if self.weight < least:
            return f"too little evidence of a lesion: {self._weighing()}; {least:g} needed to name one"
        return ""

    @property
    def thin(self) -> str:
        """How little weighs, in words, where it is less than what is needed of calcifications; else empty."""
        return f"thin evidence: {self._weighing()}" if self.weight < self.needed else ""

    def _weighing(self) -> str:
        tenths = int(self.weight * 10) / 10  # rounded up, 4.97 would be as many as are needed
        return f"{self.found} calcifications found, which count as {tenths} of a lesion's"
