"""How large and how small an image may be; checked on headers, before anything is decoded or allocated."""

from __future__ import annotations

from calcigraph.errors import UnreadableImage

MIN_SIDE_PX = 32
"""Least rows and columns: below this there is no room for a calcification and its surroundings."""
MAX_PIXELS = 100_000_000
"""Three times the largest mammogram there is (30 × 24 cm of film at 43 µm: 39 Mpx)."""
MAX_FILE_BYTES = 1 << 28
"""Largest file, also after inflating it: 256 MiB; an uncompressed image of `MAX_PIXELS` at 16 bit fits."""
SPACING_RANGE_MM = (0.005, 2.0)
"""Pixel spacing of a mammogram: a micro-CT slice is finer, a thumbnail coarser."""

MAX_EXTENT_MM = 500.0
"""Longest side: the largest detectors measure 300 mm. A wrong spacing would be resampled to gigabytes."""


def check_extent(label: str, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> None:
    """Refuse an image that would be larger than any breast.

    Raises:
        UnreadableImage: a side above `MAX_EXTENT_MM`.
    """
    rows_mm, cols_mm = (n * pitch for n, pitch in zip(shape, spacing_mm, strict=True))
    if max(rows_mm, cols_mm) > MAX_EXTENT_MM:
        raise UnreadableImage(
            f"{label}: an image of {rows_mm:.0f} × {cols_mm:.0f} mm",
            allowed=f"sides of up to {MAX_EXTENT_MM:.0f} mm",
            do="check the pixel spacing",
        )


def check_size(label: str, rows: int, cols: int) -> None:
    """Refuse an image whose header says that it is too small or too large.

    Raises:
        UnreadableImage: a side below `MIN_SIDE_PX`, or more than `MAX_PIXELS` in all.
    """
    if min(rows, cols) < MIN_SIDE_PX or rows * cols > MAX_PIXELS:
        raise UnreadableImage(
            f"{label}: an image of {rows} × {cols} pixels",
            allowed=f"{MIN_SIDE_PX} × {MIN_SIDE_PX} pixels to {MAX_PIXELS // 1_000_000} megapixels",
            do="give a full mammogram or a larger crop",
        )


def is_spacing(value_mm: float) -> bool:
    """Whether a number can be the pixel spacing of a mammogram (NaN and infinity cannot)."""
    least, most = SPACING_RANGE_MM
    return least <= value_mm <= most


def spacing_words() -> str:
    """The allowed spacings, in words."""
    return f"{SPACING_RANGE_MM[0]:g} to {SPACING_RANGE_MM[1]:g} mm"
