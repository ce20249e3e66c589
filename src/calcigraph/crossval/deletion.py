"""The deletion test: does removing the most salient calcifications change the answer more than random ones?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from calcigraph.config import GraphConfig
from calcigraph.crossval.saliency import Shown
from calcigraph.explain import node_saliency
from calcigraph.graph import CalcificationGraph, assemble, frame_of
from calcigraph.models import DistributionNet, predict_logits
from calcigraph.prevalence import expect

TENTHS = range(10)
SHARES = tuple(tenth / 10 for tenth in TENTHS)
"""Shares of the nodes that are removed."""

COLUMNS = ("image_id", "patient_id", "share", "salient", "random")


def deletion_table(
    net: DistributionNet,
    shown: Sequence[Shown],
    *,
    temperature: float,
    expected: NDArray[np.float64],
    config: GraphConfig,
    orders: int,
    seed: int,
) -> pd.DataFrame:
    """Remove nodes of every graph, the most salient first and in random orders, and ask again.

    Args:
        net: the graph network.
        shown: images on which a calcification was found, with the answers.
        temperature: by which logits are divided.
        expected: (5,) by what probabilities are multiplied (`Bench.expected`), as the answers were.
        config: with which the graphs were built.
        orders: random orders that are averaged.
        seed: of these orders.

    Returns:
        A row for each image and share: the probability of the answer, with that share of the nodes removed, `salient`
        and `random`. A share removes the floor of its nodes.
    """

    def ask(graphs: Sequence[CalcificationGraph]) -> NDArray[np.float64]:
        logits = torch.as_tensor(predict_logits(net, graphs, device=next(net.parameters()).device))
        given = net.probabilities(logits, temperature=temperature).numpy()
        return expect(given.astype(np.float64), expected, 1.0)

    rows = []
    for number, (case, encoding, answer) in enumerate(shown):
        rng = np.random.default_rng((seed, number))
        graph, target = encoding.graph, int(answer.argmax())
        saliency = node_saliency(net, graph, target=target, temperature=temperature, expected=expected)
        asked = ask(_shrinking(graph, saliency, config, orders, rng))
        curves = asked[:, target].reshape(1 + orders, len(SHARES))
        salient, random = curves[0], curves[1:].mean(axis=0)
        rows += [
            (case.image_id, case.patient_id, share, salient[k], random[k]) for k, share in enumerate(SHARES)
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def without(graph: CalcificationGraph, removed: NDArray[np.int64], config: GraphConfig) -> CalcificationGraph:
    """Return the graph without some nodes: edges, labels and scalars are those of what is left."""
    kept = np.setdiff1d(np.arange(len(graph.pos)), removed)
    return assemble(
        graph.pos.numpy()[kept].astype(np.float64),
        graph.marks.numpy()[kept].astype(np.float64),
        graph.visual[torch.as_tensor(kept)],
        frame=frame_of(graph),
        config=config,
    )


def deletion_curve(table: pd.DataFrame, *, bootstraps: int, seed: int) -> pd.DataFrame:
    """Average `deletion_table` over its images, with 95 % bootstrap intervals by patient.

    Args:
        table: of all folds; an empty one gives an empty curve.
        bootstraps: draws of patients.
        seed: of these.

    Returns:
        A row for each share: `images`, and mean and interval (`_low`, `_high`) of `salient`, `random` and `gap`,
        random less salient: how much more the salient calcifications matter.
    """
    if table.empty:
        return table
    names = ("salient", "random", "gap")
    table = table.assign(gap=table["random"] - table["salient"])
    by_patient = table.groupby(["patient_id", "share"])
    sums = by_patient[list(names)].sum().to_numpy().reshape(-1, len(SHARES), len(names))
    counts = by_patient.size().to_numpy().reshape(-1, len(SHARES), 1)
    draws = np.random.default_rng(seed).integers(len(sums), size=(bootstraps, len(sums)))
    means = np.array([sums[drawn].sum(axis=0) / counts[drawn].sum(axis=0) for drawn in draws])
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    centre = sums.sum(axis=0) / counts.sum(axis=0)
    curve = pd.DataFrame({"share": SHARES, "images": counts.sum(axis=0)[:, 0]})
    for k, name in enumerate(names):
        curve[name], curve[f"{name}_low"], curve[f"{name}_high"] = centre[:, k], low[:, k], high[:, k]
    return curve


def _shrinking(
    graph: CalcificationGraph,
    saliency: NDArray[np.float32],
    config: GraphConfig,
    orders: int,
    rng: np.random.Generator,
) -> list[CalcificationGraph]:
    """Return the graph less each share of its nodes, for the salient order and then for each random one."""
    nodes = len(saliency)
    sequences = [np.argsort(-saliency, kind="stable"), *(rng.permutation(nodes) for _ in range(orders))]
    # In whole numbers, as .7 × 90 is a little less than 63 to a computer.
    return [without(graph, order[: nodes * tenth // 10], config) for order in sequences for tenth in TENTHS]
