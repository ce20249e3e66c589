"""From a mammogram to its graph: the one road for training, prediction and everything after."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from calcigraph.apart import first_apart
from calcigraph.config import Config, ConfirmConfig
from calcigraph.detect import detect_candidates
from calcigraph.graph import CalcificationGraph, build_graph
from calcigraph.lexicon import Distribution
from calcigraph.models import Networks, confirm_patches, describe_patches
from calcigraph.provenance import StageClock
from calcigraph.records import POSITION_COLUMNS, Breast, Candidates, Mammogram


@dataclass(frozen=True)
class Encoding:
    """A mammogram as the graph network sees it.

    Attributes:
        breast: its segmentation.
        candidates: every candidate, with its probability.
        calcifications: those kept, the likeliest first, each in the middle of its object; row i is node i of the graph.
        graph: their k-nearest-neighbour graph.
        seconds: time of each stage.
    """

    breast: Breast
    candidates: pd.DataFrame
    calcifications: pd.DataFrame
    graph: CalcificationGraph
    seconds: dict[str, float]


def encode(
    mammogram: Mammogram,
    config: Config,
    networks: Networks,
    *,
    device: str | torch.device = "cpu",
) -> Encoding:
    """Detect, confirm, describe and connect; 0 and 1 calcifications are ordinary cases.

    Args:
        mammogram: one view.
        config: settings of every stage.
        networks: `confirm` and `describe` are used.
        device: where the patch networks run.
    """
    clock = StageClock()
    with clock.stage("detect"):
        breast, candidates = detect_candidates(mammogram, config)
    encoding = encode_candidates(
        breast, candidates, config, networks, extent_mm=mammogram.extent_mm, device=device
    )
    return replace(encoding, seconds=clock.seconds | encoding.seconds)


def encode_candidates(
    breast: Breast,
    candidates: Candidates,
    config: Config,
    networks: Networks,
    *,
    extent_mm: tuple[float, float],
    distribution: Distribution | None = None,
    member: NDArray[np.float32] | None = None,
    device: str | torch.device = "cpu",
) -> Encoding:
    """Confirm, describe and connect candidates that were detected before; see `encode`.

    Args:
        breast: of the image.
        candidates: of the image.
        config: settings of every stage.
        networks: `confirm` and `describe` are used.
        extent_mm: (rows, cols) of the image.
        distribution: the true answer, put into the graph for training.
        member: (n,) whether each candidate is of the lesion (`detect.matching.on_lesion`), put there too.
        device: where the patch networks run.
    """
    clock = StageClock()
    with clock.stage("confirm"):
        probability = confirm_candidates(candidates, config, networks, device=device)
        table = candidates.table.assign(probability=probability)
        kept = select_nodes(table, config.confirm)
    with clock.stage("describe"):
        visual = describe_patches(
            networks.describe, candidates.patches[kept], all_sides=config.confirm.all_sides, device=device
        )
    with clock.stage("graph"):
        calcifications = centre_on_objects(table, kept)
        graph = build_graph(
            calcifications,
            visual,
            mammogram_extent_mm=extent_mm,
            breast=breast,
            config=config.graph,
            distribution=distribution,
            member=None if member is None else member[kept],
        )
    return Encoding(breast, table, calcifications, graph, clock.seconds)


def confirm_candidates(
    candidates: Candidates, config: Config, networks: Networks, *, device: str | torch.device = "cpu"
) -> NDArray[np.float64]:
    """Return the probability of every candidate, (n,) in [0, 1] (equation 2)."""
    return confirm_patches(
        networks.confirm,
        networks.describe,
        candidates.patches,
        describe_votes=config.confirm.describe_votes,
        all_sides=config.confirm.all_sides,
        device=device,
    )


def select_nodes(table: pd.DataFrame, config: ConfirmConfig) -> NDArray[np.int64]:
    """Return the rows that become nodes, likeliest first.

    They reach the threshold, none lies beside a likelier one, and each is the likeliest left on its object.
    """
    probability = table["probability"].to_numpy()
    order = np.argsort(-probability, kind="stable")
    order = order[probability[order] >= config.threshold]
    if config.separation_mm:
        pos_mm = table[["row_mm", "col_mm"]].to_numpy()[order]
        order = order[first_apart(pos_mm, config.separation_mm)]
    _, first = np.unique(table["object_id"].to_numpy()[order], return_index=True)
    return order[np.sort(first)]


def centre_on_objects(table: pd.DataFrame, kept: NDArray[np.int64]) -> pd.DataFrame:
    """Return the rows `kept`, moved to the mean place of all candidates on their object, weighted by probability.

    The likeliest candidate of a coarse calcification lies somewhere on its rim, of which its own diameter is measured.
    So a node is at least as wide as a circle on which the candidates of its object lie: twice their root mean square
    distance from its middle.
    """
    nodes = table.iloc[kept].reset_index(drop=True)
    objects = table["object_id"].to_numpy(np.int64)
    weight = np.maximum(table["probability"].to_numpy(), 1e-9)
    total = np.bincount(objects, weight)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each object's candidates."""
        return np.bincount(objects, weight * values) / np.maximum(total, 1e-9)

    middle = {column: mean(table[column].to_numpy()) for column in POSITION_COLUMNS}
    for column in POSITION_COLUMNS:
        nodes[column] = middle[column][objects[kept]]
    row, col = (table[name].to_numpy() - middle[name][objects] for name in ("row_mm", "col_mm"))
    across = 2 * np.sqrt(mean(row**2 + col**2))
    nodes["diameter_mm"] = np.maximum(nodes["diameter_mm"], across[objects[kept]])
    return nodes
