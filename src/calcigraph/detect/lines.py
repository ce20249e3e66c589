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

STANDS_OUT = 4.0
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
    dead = _dead(lines)
    numbers = np.flatnonzero(dead.any(axis=1))
    if not len(numbers):
        return lines
    whole = lines.copy()
    for number in numbers:
        near = [n for n in (number - 1, number + 1) if 0 <= n < len(lines)]
        lost = np.repeat(dead[number], EVERY)[: lines.shape[1]]
        whole[number, lost] = lines[near].mean(axis=0)[lost]
    return whole


def _dead(lines: FloatImage) -> Mask:
    """Return which pixels of every row are on a dead part, one column in `EVERY`."""
    seen = lines[:, ::EVERY]
    nothing = np.zeros(seen.shape, dtype=bool)
    if len(lines) < 3 or seen.shape[1] < RUN:
        return nothing
    steps = np.diff(seen, axis=0)
    tissue = seen[1:] > TISSUE * float(seen.max())
    usual = float(np.abs(steps[tissue]).mean()) if tissue.any() else 0.0
    # At the border the next line but one stands for the neighbour that is missing.
    rise = np.concatenate([seen[:1] - seen[2:3], steps])
    fall = np.concatenate([-steps, seen[-1:] - seen[-3:-2]])
    least = np.minimum(np.abs(rise), np.abs(fall))
    stands_out = ((least > STANDS_OUT * usual) & (rise * fall > 0)).astype(np.float32)
    if not stands_out.any():
        return nothing
    share = cv2.blur(stands_out, (RUN, 1), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.dilate((share >= SHARE).astype(np.uint8), np.ones((1, RUN), np.uint8)) > 0)
