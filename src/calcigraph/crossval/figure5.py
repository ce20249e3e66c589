"""Which examples Figure 5 shows, and what explains their answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from calcigraph.checkpoint import CONFIG_FILE
from calcigraph.config import GraphConfig
from calcigraph.config_toml import read_config
from calcigraph.crossval.bench import Bench
from calcigraph.crossval.contestants import CONTESTANTS
from calcigraph.crossval.saliency import middle_of, read_maps, read_nodes
from calcigraph.detect.matching import is_visible, targets
from calcigraph.figures import Example
from calcigraph.figures.panel import Window
from calcigraph.graph import nearest_neighbours
from calcigraph.io import Case
from calcigraph.io.truth import OUTLINE_COLUMNS, outline_path, read_outline
from calcigraph.lexicon import DISTRIBUTIONS, Distribution
from calcigraph.records import FloatImage, Points
from calcigraph.training.breast_box import breast_box, turn_back

GRAPHS = ("default", "default-finetuned", "paper")
IMAGES = tuple(name for name, contestant in CONTESTANTS.items() if contestant.kind == "image")
"""The first of each that took part and kept its saliency explains its answers."""

Kept = TypeVar("Kept")


def make_examples(benches: Sequence[Bench], answers: Mapping[str, pd.DataFrame]) -> list[Example]:
    """Return an example of each class; none where no graph model kept its saliency.

    Of the images that the graph model kept (one of a class and fold) the one whose true class got the median
    probability; of those that the image network explains too, if there are any. Both explain the true class.

    Args:
        benches: of the folds.
        answers: model → out-of-fold answers.
    """
    graph, nodes = _first_kept(benches, [name for name in GRAPHS if name in answers], read_nodes)
    image, heats = _first_kept(benches, [name for name in IMAGES if name in answers], read_maps)
    if not nodes:
        return []
    table = answers[graph][answers[graph]["image_id"].isin(list(nodes))]
    rows = []
    for distribution in DISTRIBUTIONS:
        chosen = choose(table, distribution, heats)
        if chosen is not None:
            bench = next(b for b in benches if b.fold.number == chosen["fold"])
            case = next(c for c in bench.labelled("test") if c.image_id == chosen["image_id"])
            said = (_said(graph, answers, case), _said(image, answers, case) if image else "")
            config = read_config(bench.folder / graph / CONFIG_FILE).graph
            rows.append(
                _explain(bench, case, nodes[case.image_id], config, heats.get(case.image_id), said=said)
            )
    return rows


def _first_kept(
    benches: Sequence[Bench], names: Sequence[str], read: Callable[[Bench, str], Mapping[str, Kept]]
) -> tuple[str, dict[str, Kept]]:
    """Return the first model that kept something, and what, image → it; "" and nothing without one."""
    for name in names:
        kept = {image: own for bench in benches for image, own in read(bench, name).items()}
        if kept:
            return name, kept
    return "", {}


def choose(answers: pd.DataFrame, distribution: Distribution, heats: Collection[str]) -> pd.Series | None:
    """Return the row of the image of a class whose true class got the median probability; if it can, one of `heats`."""
    own = answers[answers["truth"] == str(distribution)]
    both = own[own["image_id"].isin(list(heats))]
    own = own if both.empty else both
    middle = middle_of(dict(zip(own["image_id"], own[f"p_{distribution}"], strict=True)))
    return None if middle is None else own[own["image_id"] == middle].iloc[0]


def _explain(
    bench: Bench,
    case: Case,
    calcifications: pd.DataFrame,
    config: GraphConfig,
    heat: FloatImage | None,
    *,
    said: tuple[str, str],
) -> Example:
    """Put together what is drawn of an image; `said` are the words above the graph and the heat."""
    mammogram = bench.dataset.read(case)
    box = breast_box(mammogram, bench.options.default.breast)
    truth = bench.dataset.truth(case)
    pos_mm = calcifications[["row_mm", "col_mm"]].to_numpy(np.float64)
    return Example(
        title=f"{case.distribution}: truth ({case.image_id})",
        mammogram=mammogram,
        window=Window(box.top, box.bottom, box.left, box.right),
        truth_px=np.empty((0, 2)) if truth is None else _true_px(truth),
        outline_px=_outline(bench, case),
        calcifications=calcifications,
        edge_index=nearest_neighbours(pos_mm, config.neighbours),
        graph_answer=said[0],
        heat=None if heat is None else turn_back(heat, box.side),
        image_answer=said[1],
    )


def _true_px(truth: pd.DataFrame) -> Points:
    """True calcifications that can be seen, (n, 2)."""
    known = targets(truth)
    return known.loc[is_visible(known), ["row_px", "col_px"]].to_numpy(np.float64)


def _outline(bench: Bench, case: Case) -> Points:
    """Read the annotated region, where the data set has one."""
    path = outline_path(bench.dataset.folder, case.image_id)
    if not path.exists():
        return np.empty((0, 2))
    return read_outline(path)[list(OUTLINE_COLUMNS)].to_numpy(np.float64)


def _said(model: str, answers: Mapping[str, pd.DataFrame], case: Case) -> str:
    row = answers[model].set_index("image_id").loc[case.image_id]
    return f"{CONTESTANTS[model].title}: {row['distribution']} ({row['p_' + row['distribution']]:.2f})"
