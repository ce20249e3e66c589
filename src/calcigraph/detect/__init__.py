"""From pixels to candidates: breast, top-hat, table and patches. No network is needed up to here."""

from __future__ import annotations

from dataclasses import replace

from calcigraph.config import Config
from calcigraph.detect.breast import segment_breast
from calcigraph.detect.candidates import find_candidates, local_noise, respond, tophat
from calcigraph.detect.lines import bridge_lines
from calcigraph.detect.look import look_at
from calcigraph.detect.patches import extract_patches
from calcigraph.detect.working import at_pitch
from calcigraph.records import Breast, Candidates, Mammogram

__all__ = ["detect_candidates"]


def detect_candidates(mammogram: Mammogram, config: Config) -> tuple[Breast, Candidates]:
    """Segment the breast and list everything in it that might be a calcification."""
    mammogram = replace(mammogram, pixels=bridge_lines(mammogram.pixels))
    working = at_pitch(mammogram, config.candidates.working_spacing_mm)
    breast = segment_breast(mammogram, working, config.breast)
    tophat_image = tophat(working, config.candidates)
    response = respond(working, tophat_image, config.candidates)
    noise = local_noise(response, breast.mask, working.pitch_mm)
    breast = replace(breast, look=look_at(working.pixels, noise, breast.mask))
    table, centres_px = find_candidates(
        mammogram,
        working,
        breast,
        response=response / noise,
        tophat_image=tophat_image,
        config=config.candidates,
    )
    return breast, Candidates(table, extract_patches(working.pixels, noise, centres_px, config.patch))
