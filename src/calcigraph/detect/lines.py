"""Dead lines: rows and columns, or long parts of them, that a detector or a film scanner lost."""

from __future__ import annotations

import cv2
import numpy as np

from calcigraph.records import FloatImage, Mask

EVERY = 4
"""Pixels along a line that are looked at: one in so many."""

RUN = 16
"""So many of these in a row are the shortest part that counts as dead (at 0.085 mm some 5 mm) ..."""

SHARE = 0.8
"""... where this share of them stands out."""

TISSUE = 0.1
"""Share of the greatest pixel above which pixels say what is usual."""

STANDS_OUT = 3.5
"""A pixel stands out if it differs from both its neighbours, to the same side, by so many times the difference that is
usual on tissue."""


def bridge_lines(pixels: FloatImage) -> FloatImage:
    """Return the image with the dead parts of rows and columns replaced by the mean of both neighbours.

    A dead line, one pixel wide, is darker or brighter than both of its neighbours all along, as no tissue is; beside
    one, filters see a string of bright specks. The first and the last line become like the next.

    Args:
        pixels: (rows, cols); returned as it is where no line is dead.
    """
    rows = _bridged(pixels)
    turned = rows.T
    both = _bridged(turned)
    return rows if both is turned else np.ascontiguousarray(both.T)


def _bridged(lines: FloatImage) -> FloatImage:
    """Bridge the dead parts of rows."""
    stands_out = _stands_out(lines[:, ::EVERY])
    numbers = np.flatnonzero(np.count_nonzero(stands_out, axis=1) >= SHARE * RUN)
    dead = _runs(stands_out[numbers])
    if not dead.any():
        return lines
    whole = lines.copy()
    for number, part in zip(numbers, dead, strict=True):
        near = [n for n in (number - 1, number + 1) if 0 <= n < len(lines)]
        lost = np.repeat(part, EVERY)[: lines.shape[1]]
        whole[number, lost] = lines[near].mean(axis=0)[lost]
    return whole


def _stands_out(seen: FloatImage) -> Mask:
    """Return which pixels differ from those above and below, to the same side, by far more than usual."""
    if len(seen) < 3 or seen.shape[1] < RUN:
        return np.zeros(seen.shape, dtype=bool)
    # At the border the next line but one stands for the neighbour that is missing.
    steps = np.diff(np.concatenate([seen[2:3], seen, seen[-3:-2]]), axis=0)
    few, beside = steps[1:-1:EVERY], seen[1::EVERY]
    tissue = beside > TISSUE * float(seen.max())
    least = STANDS_OUT * float(np.abs(few[tissue]).mean()) if tissue.any() else np.inf
    up, down = steps > least, steps < -least
    return np.asarray((up[:-1] & down[1:]) | (down[:-1] & up[1:]))


def _runs(stands_out: Mask) -> Mask:
    """Return where most of `RUN` pixels in a row stand out: all of the windows in which they do."""
    if not stands_out.size:
        return stands_out
    share = cv2.blur(stands_out.astype(np.float32), (RUN, 1), borderType=cv2.BORDER_REPLICATE)
    most = (share >= SHARE).astype(np.uint8)
    # A window of even width reaches one pixel less to the right than to the left; seen from its pixels it is mirrored.
    return np.asarray(cv2.dilate(most, np.ones((1, RUN), np.uint8), anchor=(RUN // 2 - 1, 0)) > 0)
