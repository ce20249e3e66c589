"""What explains the answers of a fold, kept in small files: later pages need no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calcigraph.crossval.bench import Bench, Float, read_left
from calcigraph.encode import Encoding
from calcigraph.explain import node_saliency
from calcigraph.io import Case
from calcigraph.io.tables import whole_file, write_table
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.models import DistributionNet
from calcigraph.records import POSITION_COLUMNS, FloatImage

NODES = "saliency.csv"
MAPS = "grad_cam.npy"

Shown = tuple[Case, Encoding, Float]
"""An image on which a calcification was found, as the graph network sees it, and the answer (5,)."""


def middle_of(images: Mapping[str, float]) -> str | None:
    """Return the image of the median value, of two the lower, of equals by name; None without any."""
    order = sorted(images, key=lambda name: (images[name], name))
    return order[(len(order) - 1) // 2] if order else None


def middle_of_each_class(shown: Sequence[Shown]) -> list[Shown]:
    """Return of each class the image whose true class got the median probability, so neither best nor worst."""
    chosen = {
        middle_of({c.image_id: p[name.place] for c, _, p in shown if c.distribution is name})
        for name in DISTRIBUTIONS
    }
    return [each for each in shown if each[0].image_id in chosen]


def write_nodes(
    bench: Bench,
    name: str,
    net: DistributionNet,
    shown: Sequence[Shown],
    *,
    temperature: float,
    expected: Float,
) -> None:
    """Write the middle image of each class: a row for each calcification with its saliency for the true class.

    `temperature` and `expected` made the answers (`explain.node_saliency`).
    """
    tables = [
        encoding.calcifications[list(POSITION_COLUMNS)].assign(
            image_id=case.image_id,
            saliency=node_saliency(
                net,
                encoding.graph,
                target=case.distribution.place,
                temperature=temperature,
                expected=expected,
            ),
        )
        for case, encoding, _ in middle_of_each_class(shown)
        if case.distribution is not None
    ]
    empty = pd.DataFrame(columns=[*POSITION_COLUMNS, "image_id", "saliency"])
    write_table(bench.folder / name / NODES, pd.concat(tables) if tables else empty)


def read_nodes(bench: Bench, name: str) -> dict[str, pd.DataFrame]:
    """Read what `write_nodes` left, image → its calcifications; nothing where there is no such file."""
    path = bench.folder / name / NODES
    return {str(key): own for key, own in read_left(path).groupby("image_id")} if path.exists() else {}


def write_maps(bench: Bench, name: str, maps: Sequence[FloatImage]) -> None:
    """Write the saliency (h, w) in [0, 1] of every labelled test image, in their order."""
    whole: NDArray[np.uint8] = (np.stack(maps) * 255).round().astype(np.uint8)
    with whole_file(bench.folder / name / MAPS) as beside:
        np.save(beside, whole, allow_pickle=False)


def read_maps(bench: Bench, name: str) -> dict[str, FloatImage]:
    """Read what `write_maps` left, image → map; nothing where there is no such file."""
    path: Path = bench.folder / name / MAPS
    if not path.exists():
        return {}
    maps = np.load(path, allow_pickle=False).astype(np.float32) / 255
    return {case.image_id: own for case, own in zip(bench.labelled("test"), maps, strict=True)}
