"""Values of interest: DICOM windows and look-up tables (PS3.3 C.11.1 and C.11.2), applied to a table of values.

A stored value has at most 16 bits, so every grey-scale transform is computed once per possible value.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calcigraph.errors import UnreadableImage
from calcigraph.io.tags import Tags

Values = NDArray[np.float64]

_MOST = 1e9
"""Bound of every number in a window or rescale (NaN fails it too): 16 bits in any unit fit well below."""


def modality_values(tags: Tags, stored: Values) -> tuple[Values, tuple[str, ...]]:
    """Apply the Modality LUT or the rescale slope and intercept (C.11.1).

    Args:
        tags: of the image.
        stored: (n,) stored values.

    Returns:
        (n,) values in the modality's units, and what was done.

    Raises:
        UnreadableImage: a broken table, or a slope or intercept that is zero or not finite.
    """
    if tables := tags.items("ModalityLUTSequence"):
        values, words = _look_up(tables[0], stored, _byte_order(tags, "ModalityLUTSequence"))
        return values, (f"Modality LUT {words}",)
    slope, intercept = tags.number("RescaleSlope"), tags.number("RescaleIntercept")
    slope, intercept = 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
    if not all(abs(v) < _MOST for v in (slope, intercept)) or slope == 0:
        raise _absurd(
            tags, f"rescale slope {slope:g} and intercept {intercept:g}", f"below {_MOST:g}, slope not 0"
        )
    if (slope, intercept) == (1.0, 0.0):
        return stored, ()
    return stored * slope + intercept, (f"rescaled by slope {slope:g}, intercept {intercept:g}",)


def voi_grey(tags: Tags, values: Values) -> tuple[Values, str] | None:
    """Apply the image's VOI LUT or window to (n,) modality values.

    Where a file has both, either may be applied (C.11.2.1.2); the table is taken, since it is the
    manufacturer's curve point by point, and a window is at most an equation for it. Of several, the first.

    Returns:
        (n,) grey in [0, 1] before any inversion, and what was done; None where the file has neither.

    Raises:
        UnreadableImage: a broken table or window.
    """
    if tables := tags.items("VOILUTSequence"):
        order = _byte_order(tags, "VOILUTSequence")
        grey, words = _look_up(tables[0], values, order)
        top = _top_of(tables[0], tags, order)
        return grey / top, f"VOI LUT {words}"
    centre, width = tags.number("WindowCenter"), tags.number("WindowWidth")
    if centre is None and width is None:
        return None
    if centre is None or width is None:
        raise _absurd(tags, "a window with only one of centre and width", "both")
    function = tags.text("VOILUTFunction") or "LINEAR"
    return window(
        tags, values, centre, width, function
    ), f"window {function} centre {centre:g} width {width:g}"


def window(tags: Tags, values: Values, centre: float, width: float, function: str) -> Values:
    """Apply one window: LINEAR (C.11.2.1.2.1), LINEAR_EXACT (C.11.2.1.3.2) or SIGMOID (C.11.2.1.3.1).

    Returns:
        (n,) grey in [0, 1].

    Raises:
        UnreadableImage: an unknown function, a centre that is not finite, a width that is too small.
    """
    least = 1.0 if function == "LINEAR" else np.finfo(np.float64).tiny
    if not all(abs(v) < _MOST for v in (centre, width)) or width < least:
        raise _absurd(
            tags, f"a window of centre {centre:g} and width {width:g}", f"width from 1, both below {_MOST:g}"
        )
    if function == "SIGMOID":
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -700.0, 700.0))))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0.0, 1.0)
    if function != "LINEAR":
        raise _absurd(tags, f"VOI LUT Function {function[:20]!r}", "LINEAR, LINEAR_EXACT, SIGMOID")
    if width == 1.0:
        return (values > centre - 0.5).astype(np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def _byte_order(tags: Tags, sequence: str) -> str:
    """Return NumPy's sign for the file's byte order, which OW data follow (PS3.5 7.3)."""
    item = tags.raw(sequence)[0]
    return ">" if item.original_encoding[1] is False else "<"


def _look_up(table: Tags, values: Values, order: str) -> tuple[Values, str]:
    entries, written, bits = _descriptor(table)
    first = _first_mapped(written, entries, values)
    data = _table_data(table, entries, bits, order)
    index = np.clip(np.rint(values - first), 0, entries - 1).astype(np.int64)
    name = table.text("LUTExplanation") or table.text("ModalityLUTType")
    words = f"{name[:20]!r} " if name else ""
    return data[index], f"{words}({entries} entries from {first}, {bits} bit)"


def _first_mapped(written: int, entries: int, values: Values) -> int:
    """Return the value that a table begins at, from a 16-bit number that may be written with the wrong sign.

    Its sign follows the range of the values that are looked up (C.11.2.1.1). It is taken as written unless the
    table would then lie outside of that range, and with the other sign would not.
    """
    other = written + 65536 if written < 0 else written - 65536
    low, high = values.min(), values.max()
    as_written, turned = (first <= high and first + entries > low for first in (written, other))
    return other if turned and not as_written else written


def _descriptor(table: Tags) -> tuple[int, int, int]:
    numbers = table.numbers("LUTDescriptor")
    if len(numbers) != 3 or not all(v.is_integer() for v in numbers):
        raise _absurd(table, f"a LUT Descriptor of {len(numbers)} values", "three whole numbers")
    entries, written, bits = (int(v) for v in numbers)
    entries = 65536 if entries == 0 else entries % 65536  # 2^16 is written as 0; a signed VR wraps
    if not 1 <= bits <= 16:
        raise _absurd(table, f"a LUT of {bits} bit", "8 to 16 bit")
    return entries, written, bits


def _table_data(table: Tags, entries: int, bits: int, order: str) -> Values:
    raw: Any = table.raw("LUTData")
    if isinstance(raw, bytes):
        narrow = len(raw) == entries + entries % 2 and bits <= 8 and entries > 1
        words = np.frombuffer(raw[: len(raw) // 2 * 2], f"{order}u2").astype("<u2")
        data = (words.view(np.uint8) if narrow else words).astype(np.float64)
    else:
        data = np.asarray(table.numbers("LUTData"), np.float64)
    if len(data) < entries:
        raise _absurd(table, f"a LUT of {len(data)} entries", f"{entries}, as its descriptor says")
    return np.asarray(data[:entries] % 65536)


def _top_of(table: Tags, tags: Tags, order: str) -> float:
    """Return the table's white: 2^bits − 1, or its own maximum where that leaves half of the range unused.

    Early devices wrote 16 bit over tables of 12.
    """
    entries, _, bits = _descriptor(table)
    white, most = 2.0**bits - 1, float(_table_data(table, entries, bits, order).max())
    if most <= 0:
        raise _absurd(tags, "a VOI LUT without light", "values above 0")
    return white if white / 2 < most <= white else most


def _absurd(tags: Tags, got: str, allowed: str) -> UnreadableImage:
    return UnreadableImage(f"{tags.label}: {got}", allowed=allowed, do="export the image again")
