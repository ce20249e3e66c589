"""A rule of thumb from the BI-RADS definitions, in mm, and the constant answer: what needs no training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from calcigraph.checkpoint import CONFIG_FILE
from calcigraph.config_toml import read_config
from calcigraph.crossval.bench import Bench, Float
from calcigraph.crossval.geometry import FEATURES, measure_fold
from calcigraph.crossval.graph_models import DETECTOR
from calcigraph.lexicon import DISTRIBUTIONS, Distribution

DIFFUSE_SHARE = 0.5
"""Share of the breast beyond which calcifications lie "throughout the breast"."""
GROUP_MM = 20.0
"""A group lies within two centimetres; a region is larger."""
LINE_ELONGATION, LINE_WIDTH_MM = 4.0, 10.0
"""A line is that much longer than wide, and as wide as one duct with its branches at most."""
SEGMENT_ELONGATION, SEGMENT_ANGLE = 1.5, np.deg2rad(35)
"""A segment is longer than wide and aims at the nipple, as the ducts of a lobe do."""
SURE = 0.8
"""Probability of the answer; the other four share the rest."""


def distribution_of(form: Mapping[str, float]) -> Distribution:
    """Name the distribution of an image's calcifications by their form.

    The definitions are those of the ACR BI-RADS Atlas, 5th edition; the numbers above were fixed before any data
    were seen. All sizes but the share of the breast are of the largest group, which a few false marks elsewhere do
    not change.

    Args:
        form: `geometry.FEATURES`, of one calcification or more.
    """
    if form["hull_share"] >= DIFFUSE_SHARE and form["main_long_mm"] > GROUP_MM:
        return Distribution.DIFFUSE
    elongation = form["main_elongation"]
    if elongation >= LINE_ELONGATION and form["main_short_mm"] <= LINE_WIDTH_MM:
        return Distribution.LINEAR
    if form["main_long_mm"] <= GROUP_MM:
        return Distribution.GROUPED
    if elongation >= SEGMENT_ELONGATION and form["main_nipple_angle"] <= SEGMENT_ANGLE:
        return Distribution.SEGMENTAL
    return Distribution.REGIONAL


def answer_by_rule(bench: Bench, name: str) -> Float:
    """Answer the test cases of a fold (n, 5) by the rule; NaN where fewer than `at_least` calcifications were found."""
    table, needed = measure_fold(bench), read_config(bench.folder / DETECTOR / CONFIG_FILE).confirm.at_least
    answers = np.full((len(bench.labelled("test")), len(DISTRIBUTIONS)), np.nan)
    for row, case in enumerate(bench.labelled("test")):
        form = dict(zip(FEATURES, table.loc[case.image_id, list(FEATURES)].to_numpy(np.float64), strict=True))
        if form["count"] >= needed:
            answers[row] = (1 - SURE) / (len(DISTRIBUTIONS) - 1)
            answers[row, distribution_of(form).place] = SURE
    return answers


def answer_by_constant(bench: Bench, name: str) -> Float:
    """Answer every test case of a fold (n, 5) with the class shares of its training data."""
    return np.tile(bench.shares(), (len(bench.labelled("test")), 1))
