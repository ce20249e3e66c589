"""Where a model fails: its scores by class, by calcifications found, by view and by machine; part of `make scores`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from calcigraph.lexicon import DISTRIBUTIONS, Distribution
from calcigraph.metrics import Scores, bootstrap, constant_answer
from calcigraph.simulate import CohortOptions, PlannedCase
from calcigraph.simulate.cohort import case_machine

FOUND = (0, 5, 10, 20, 40)
"""Least number of calcifications found of each part; with fewer than five none is named."""


def part_lines(table: pd.DataFrame, data: Path, judge: Callable[..., Scores]) -> list[str]:
    """Score the parts of a set, one view at a time.

    Args:
        table: a row for every labelled view, as in `predictions.csv`, and its `view`.
        data: the simulated data set.
        judge: `scores`, knowing what an image without a calcification says.
    """
    lines = [
        "| part | n | accuracy | always the same answer | macro one-vs-rest AUC |",
        "|---|---|---|---|---|",
    ]
    return [*lines, *(_row(name, table[mask], judge) for name, mask in _parts(table, data) if mask.any())]


def class_lines(table: pd.DataFrame) -> list[str]:
    """Say of each class how often it is named, and what it is most often called instead."""
    lines = ["| truth | n | named so | most often called instead |", "|---|---|---|---|"]
    for name in DISTRIBUTIONS:
        views = table[table["truth"] == name]
        if views.empty:
            continue
        right = views["distribution"] == name
        hits = bootstrap(*answers(views), patients=views["patient_id"].tolist(), seed=0)["accuracy"]
        others = views["distribution"][~right].fillna("none").value_counts()
        instead = f"{others.index[0]}: {others.iloc[0]}" if len(others) else ""
        lines.append(f"| {name} | {len(views)} | {right.sum()}: {hits} | {instead} |")
    return lines


def _parts(table: pd.DataFrame, data: Path) -> Iterator[tuple[str, pd.Series]]:
    found = table["n_calcifications"]
    for low, high in zip(FOUND, (*FOUND[1:], None), strict=True):
        name = f"{low} to {high - 1}" if high else f"{low} or more"
        yield f"{name} calcifications found", (found >= low) & (found < (high or np.inf))
    for view in sorted(table["view"].unique()):
        yield view, table["view"] == view
    film = table["image_id"].map(partial(_is_film, options=_options(data)))
    if film.any():
        yield "digital", ~film
        yield "film", film


def _is_film(image_id: str, options: CohortOptions) -> bool:
    """Draw the machine once more; the number of the case, which seeds it, stands in the name of the image."""
    return case_machine(PlannedCase(int(image_id[1:5]), None, ()), options).film


def _options(data: Path) -> CohortOptions:
    noted = json.loads((data / "simulation.json").read_text(encoding="utf-8"))
    return CohortOptions(**{field.name: noted[field.name] for field in fields(CohortOptions)})


def answers(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (n,), probabilities (n, 5) and whether a view is named (n,)."""
    labels = np.array([Distribution(name).place for name in table["truth"]])
    given = table[[f"p_{name}" for name in DISTRIBUTIONS]].to_numpy(np.float64)
    return labels, given, table["distribution"].notna().to_numpy()


def _row(name: str, part: pd.DataFrame, judge: Callable[..., Scores]) -> str:
    labels, given, named = answers(part)
    held = bootstrap(labels, given, named, patients=part["patient_id"].tolist(), seed=0, judge=judge)
    always = constant_answer(labels).accuracy
    return f"| {name} | {len(part)} | {held['accuracy']} | {always:.3f} | {held['macro_auc']} |"
