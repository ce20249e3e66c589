"""Lesions that a reader would have seen: nobody labels what nobody sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from calcigraph.io.truth import VISIBLE_SNR, Kind
from calcigraph.simulate.calcification import DENSEST_PER_MM, Calcification

NAMED_FROM = 5
"""So many calcifications BI-RADS asks of a group; a lesion of which fewer can be seen is drawn anew."""

DRAWS = 40
"""So often it is drawn; where all are seen worse than that, the one that is seen best is taken."""

SEEN_AT_LEAST = 6
SEEN_SHARE = (0.35, 0.95)
"""Of the calcifications of a lesion so large a share can be seen, and so many at least where there are as many."""

LARGER_AT_MOST = 1.8


def draw_visible(
    first: list[Calcification],
    again: Callable[[], list[Calcification]],
    look: Callable[[Sequence[Calcification]], Sequence[float]],
    rng: np.random.Generator,
) -> list[Calcification]:
    """Make the lesion of a view visible, or draw it anew until a reader would see it.

    Where tissue is dense, even the densest and largest of some lesions stay below its noise; nobody names those.

    Args:
        first: the calcifications of the view; without a lesion they are returned as they are.
        again: draws them anew.
        look: says how well each is seen, as a signal-to-noise ratio.
        rng: draws the share that can be seen.
    """
    best, most, drawn = first, -1, first
    for _ in range(DRAWS):
        if not _lesion(drawn):
            break
        shown = make_visible(drawn, look(_lesion(drawn)), rng)
        seen = sum(snr >= VISIBLE_SNR for snr in look(_lesion(shown)))
        if seen > most:
            best, most = shown, seen
        if most >= NAMED_FROM:
            break
        drawn = again()
    return best


def make_visible(
    calcifications: Sequence[Calcification], snr: Sequence[float], rng: np.random.Generator
) -> list[Calcification]:
    """Make a lesion denser, and where that is not enough larger, until its share can be seen.

    Args:
        calcifications: of a view, some of a lesion; others stay as they are, and a lesion seen well stays too.
        snr: of each of the lesion on that view, which grows with its density.
        rng: draws the share.
    """
    seen = np.sort(snr)[::-1]
    wanted = int(
        np.clip(round(rng.uniform(*SEEN_SHARE) * len(seen)), min(SEEN_AT_LEAST, len(seen)), len(seen))
    )
    short = VISIBLE_SNR / max(float(seen[wanted - 1]), 0.1)
    if short <= 1:
        return list(calcifications)
    density = float(np.median([one.attenuation_per_mm for one in _lesion(calcifications)]))
    denser = float(np.clip(DENSEST_PER_MM / density, 1, short))
    # The signal of a small calcification grows with its volume.
    larger = min((short / denser) ** (1 / 3), LARGER_AT_MOST)
    return [_grown(one, denser, larger) if one.kind is Kind.LESION else one for one in calcifications]


def _lesion(calcifications: Sequence[Calcification]) -> list[Calcification]:
    return [one for one in calcifications if one.kind is Kind.LESION]


def _grown(one: Calcification, denser: float, larger: float) -> Calcification:
    return replace(
        one,
        offsets_mm=one.offsets_mm * larger,
        radii_mm=one.radii_mm * larger,
        attenuation_per_mm=min(one.attenuation_per_mm * denser, DENSEST_PER_MM),
    )
