"""Which examples Figure 5 shows, and what explains their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from calcigraph.crossval.bench import Bench
from calcigraph.crossval.cnn import load_image_network
from calcigraph.crossval.contestants import CONTESTANTS
from calcigraph.crossval.grad_cam import image_saliency
from calcigraph.crossval.graph_models import FoldModel
from calcigraph.detect.matching import is_visible, targets
from calcigraph.explain import node_saliency
from calcigraph.figures import Example
from calcigraph.figures.panel import Window
from calcigraph.io import Case
from calcigraph.io.tables import read_table
from calcigraph.lexicon import DISTRIBUTIONS, Distribution
from calcigraph.records import FloatImage, Points
from calcigraph.training.breast_box import BreastBox, breast_box, load_images, turn_back

GRAPHS, IMAGES = (
    ("default", "default-finetuned", "paper"),
    ("resnet50", "densenet121", "mobilenetv2", "efficientnet-b7"),
)
"""The first of each that took part explains its answers."""

WEIGHTS = ("model/distribution.safetensors", "best.safetensors")
"""One of these is what a graph model or an image network leaves in a fold."""


def make_examples(benches: Sequence[Bench], answers: Mapping[str, pd.DataFrame]) -> list[Example]:
    """Return an example of each class that has images; none without the networks of a graph model.

    The image whose true class got the median probability from the graph model, so neither its best nor its worst.
    Both explanations are of the true class.

    Args:
        benches: of the folds.
        answers: model → out-of-fold answers.
    """
    graph = next((name for name in GRAPHS if name in answers and has_networks(benches, name)), None)
    image = next((name for name in IMAGES if name in answers and has_networks(benches, name)), None)
    if graph is None:
        return []
    rows = []
    for distribution in DISTRIBUTIONS:
        chosen = choose(answers[graph], distribution)
        if chosen is not None:
            bench = next(b for b in benches if b.fold.number == chosen["fold"])
            case = next(c for c in bench.labelled("test") if c.image_id == chosen["image_id"])
            rows.append(_explain(bench, case, distribution, graph, image, answers))
    return rows


def has_networks(benches: Sequence[Bench], name: str) -> bool:
    """Whether every fold still holds a model's weights: a run whose small files alone were kept does not."""
    return all(any((bench.folder / name / file).exists() for file in WEIGHTS) for bench in benches)


def choose(answers: pd.DataFrame, distribution: Distribution) -> pd.Series | None:
    """Return the row of the image of a class whose true class got the median probability, of those answered."""
    column = f"p_{distribution}"
    own = answers[(answers["truth"] == str(distribution)) & (answers["answered"] == 1)]
    own = own.sort_values([column, "image_id"])
    return None if own.empty else own.iloc[(len(own) - 1) // 2]


def _explain(
    bench: Bench,
    case: Case,
    distribution: Distribution,
    graph: str,
    image: str | None,
    answers: Mapping[str, pd.DataFrame],
) -> Example:
    mammogram = bench.dataset.read(case)
    model = FoldModel.load(bench, graph)
    encoding = model.encode(bench, [case], graph)[0]
    saliency = node_saliency(model.networks.distribution, encoding.graph, target=distribution.place)
    box = breast_box(mammogram, bench.options.default.breast)
    truth = bench.dataset.truth(case)
    return Example(
        title=f"{distribution}: truth ({case.image_id})",
        mammogram=mammogram,
        window=Window(box.top, box.bottom, box.left, box.right),
        truth_px=np.empty((0, 2)) if truth is None else _true_px(truth),
        outline_px=_outline(bench, case),
        calcifications=encoding.calcifications.assign(saliency=saliency.astype(np.float64)),
        edge_index=encoding.graph.edge_index.numpy(),
        graph_answer=_said(graph, answers[graph], case),
        heat=None if image is None else _heat(bench, case, box, image, distribution),
        image_answer="" if image is None else _said(image, answers[image], case),
    )


def _heat(bench: Bench, case: Case, box: BreastBox, name: str, distribution: Distribution) -> FloatImage:
    image = load_images(bench.images, [case])[0]
    heat = image_saliency(load_image_network(bench, name), name, image, target=distribution.place)
    return turn_back(heat, box.side)


def _true_px(truth: pd.DataFrame) -> Points:
    """True calcifications that can be seen, (n, 2)."""
    known = targets(truth)
    return known.loc[is_visible(known), ["row_px", "col_px"]].to_numpy(np.float64)


def _outline(bench: Bench, case: Case) -> Points:
    """Read the annotated region, where the data set has one: outlines/<image_id>.csv, row_px, col_px."""
    try:
        table = read_table(bench.dataset.folder / "outlines" / f"{case.image_id}.csv")
        return table[["row_px", "col_px"]].to_numpy(np.float64)
    except (OSError, ValueError, KeyError):
        return np.empty((0, 2))


def _said(model: str, answers: pd.DataFrame, case: Case) -> str:
    row = answers[answers["image_id"] == case.image_id].iloc[0]
    return f"{CONTESTANTS[model].title}: {row['distribution']} ({row['p_' + row['distribution']]:.2f})"
