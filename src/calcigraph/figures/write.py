"""Write a figure to a file that is small enough to keep in a repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

JPEG_QUALITY = 90
COLOUR_COUNT = 256


def write_figure(path: Path, figure: Figure) -> None:
    """Write what was drawn, by the name's ending: `.jpg` for mammograms, `.png` of 256 colours for lines and areas.

    A palette takes a third of the bytes of a plain PNG; on mammograms it would blot out small calcifications.
    Makes the folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    if path.suffix == ".png":
        image = image.quantize(COLOUR_COUNT, dither=Image.Dither.NONE)
    image.save(path, quality=JPEG_QUALITY, optimize=True)
