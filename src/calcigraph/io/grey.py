"""The whole grey scale of a DICOM image as one table: stored bit pattern → grey in [0, 1], bright = dense."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calcigraph.errors import UnreadableImage
from calcigraph.io.raw import Counts, raw_grey
from calcigraph.io.tags import Tags
from calcigraph.io.voi import Values, modality_values, voi_grey


@dataclass(frozen=True)
class GreyTable:
    """Grey of every bit pattern.

    Attributes:
        grey: (256 or 65536,) float32 in [0, 1].
        notes: every transform in it, in order, in words.
    """

    grey: NDArray[np.float32]
    notes: tuple[str, ...]


def grey_table(tags: Tags, counts: Counts) -> GreyTable:
    """Compose modality, VOI and presentation transforms (PS3.3 C.11), padding last.

    Args:
        tags: of the image, Bits Stored and Pixel Representation checked.
        counts: (256 or 65536,) how often each bit pattern occurs in the image.

    Raises:
        UnreadableImage: a transform that the tags describe wrongly, or values beyond Bits Stored.
    """
    stored = stored_values(tags, len(counts))
    padding, padding_note = _padding(tags, stored)
    seen = np.where(padding, 0, counts)
    _require_bits(tags, stored, seen)
    if is_for_processing(tags):
        grey, notes = raw_grey(tags, stored, seen)
    else:
        grey, notes = _presented(tags, stored, seen)
    if padding_note and counts[padding].any():
        share = float(counts[padding].sum() / counts.sum())
        notes = (*notes, f"{padding_note} set to 0 ({share:.1%} of the pixels)")
    return GreyTable(np.where(padding, 0.0, grey).astype(np.float32), notes)


def is_for_processing(tags: Tags) -> bool:
    """Whether the image is the detector's raw output."""
    intent = tags.text("PresentationIntentType")
    return intent == "FOR PROCESSING" if intent else "FOR PROCESSING" in sop_class_name(tags)


def sop_class_name(tags: Tags) -> str:
    """The SOP class in words and upper case, or ""."""
    uid = tags.raw("SOPClassUID")
    return str(getattr(uid, "name", "")).upper()


def stored_values(tags: Tags, patterns: int) -> Values:
    """Return the stored value of each bit pattern: bits above Bits Stored dropped, the sign extended."""
    bits = tags.whole("BitsStored") or 1
    values = np.arange(patterns, dtype=np.int64) & ((1 << bits) - 1)
    if tags.whole("PixelRepresentation") == 1:
        values = np.where(values >= 1 << (bits - 1), values - (1 << bits), values)
    return values.astype(np.float64)


def _padding(tags: Tags, stored: Values) -> tuple[NDArray[np.bool_], str]:
    """Find Pixel Padding Value to Pixel Padding Range Limit, in stored values (C.7.5.1.1.2)."""
    value = tags.whole("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, np.bool_), ""
    limit = tags.whole("PixelPaddingRangeLimit")
    ends = [value, value if limit is None else limit]
    # Often written with the other VR: unsigned for signed pixels, signed for unsigned ones.
    signed = tags.whole("PixelRepresentation") == 1
    ends = [v - 65536 if signed and v >= 32768 else v + 65536 if not signed and v < 0 else v for v in ends]
    low, high = sorted(ends)
    words = f"padding {low}" if low == high else f"padding {low} to {high}"
    # As it is stored, or with the bits above Bits Stored: 65535 beside pixels of 12 bit.
    values = [stored] if signed else [stored, np.arange(len(stored))]
    return np.any([(each >= low) & (each <= high) for each in values], axis=0), words


def _require_bits(tags: Tags, stored: Values, seen: Counts) -> None:
    """Refuse values that Bits Stored cannot hold: without the bits above it, white would become black.

    What is the same in all pixels there, the sign, or an overlay that the tags tell of is no part of the value.
    """
    bits = tags.whole("BitsStored") or 1
    patterns = np.flatnonzero(seen)
    above = (patterns & ~tags.overlay_bits()) >> bits
    sign = (stored[patterns].astype(np.int64) & (len(stored) - 1) & ~tags.overlay_bits()) >> bits
    if (above != sign).any() and len(np.unique(above)) > 1:
        raise UnreadableImage(
            f"{tags.label}: pixel values up to {patterns.max()} beyond the {bits} bit of Bits Stored",
            allowed="values that Bits Stored can hold",
            do="export the image again",
        )


def _presented(tags: Tags, stored: Values, seen: Counts) -> tuple[Values, tuple[str, ...]]:
    values, notes = modality_values(tags, stored)
    range_ = _range_of(values[seen > 0])
    if (windowed := voi_grey(tags, values)) is None:
        low, high = range_
        grey = np.clip((values - low) / max(high - low, 1e-9), 0.0, 1.0)
        words = f"no window: the image's range {low:g} to {high:g}"
    else:
        grey, words = windowed
        _require_contrast(tags, grey[seen > 0], range_, words)
    notes = (*notes, words)
    if tags.text("PhotometricInterpretation") == "MONOCHROME1":
        return 1.0 - grey, (*notes, "MONOCHROME1: inverted")
    # MONOCHROME1 and INVERSE state the same inversion twice (C.8.11.3.1.2), so it is done once.
    if tags.text("PresentationLUTShape") == "INVERSE":
        return 1.0 - grey, (*notes, "Presentation LUT Shape INVERSE: inverted")
    return grey, notes


def _range_of(values: Values) -> tuple[float, float]:
    return (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)


def _require_contrast(tags: Tags, grey: Values, range_: tuple[float, float], words: str) -> None:
    low, high = range_
    if high > low and np.ptp(grey) == 0:
        raise UnreadableImage(
            f"{tags.label}: {words}, which shows none of the image's values {low:g} to {high:g}",
            allowed="a window or LUT over the image's values",
            do="export the image again",
        )
