"""From candidates to a graph, with untrained networks: counts, order and the rule that keeps marks apart."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hand_made
from calcigraph.config import ConfirmConfig, default, paper
from calcigraph.encode import centre_on_objects, encode, encode_candidates, select_nodes
from calcigraph.lexicon import Distribution
from calcigraph.models import build_networks, confirm_patches, describe_patches, predict_logits
from calcigraph.records import CANDIDATE_COLUMNS, Candidates, Mammogram

IMAGE = hand_made.mammogram()
BREAST = hand_made.breast(IMAGE)
CONFIGS = {"default": default(), "paper": paper()}
KEEP_ALL = ConfirmConfig(threshold=0.0, separation_mm=0.0)


def networks_of(config, seed=0):
    torch.manual_seed(seed)
    built = build_networks(config)
    for network in (built.confirm, built.describe, built.distribution):
        network.eval()
    return built


def candidates(count, config, seed=0):
    rng = np.random.default_rng(seed)
    table = hand_made.table(rng.uniform(40, 200, (count, 2)), IMAGE)[list(CANDIDATE_COLUMNS)]
    side = config.patch.size_px
    patches = rng.normal(size=(count, len(config.patch.scales), side, side)).astype(np.float32)
    return Candidates(table.assign(probability=np.nan), patches)


def encoded(given_, config, **more):
    return encode_candidates(BREAST, given_, config, networks_of(config), extent_mm=IMAGE.extent_mm, **more)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 8, 9, 300])
@pytest.mark.parametrize("name", CONFIGS)
def test_any_number_of_calcifications(name, count):
    config = replace(CONFIGS[name], confirm=KEEP_ALL)
    found = encoded(candidates(count, config), config)
    assert len(found.candidates) == len(found.calcifications) == count
    graph = found.graph
    assert graph.pos.shape == (count, 2) and graph.visual.shape == (count, config.network.visual_dim)
    each = min(8, max(count - 1, 0))
    assert graph.edge_index.shape == (2, count * each) and "y" not in graph
    for part in (graph.pos, graph.visual, graph.scalars, graph.edge_attr):
        assert torch.isfinite(part).all()
    logits = predict_logits(networks_of(config).distribution, [graph])
    assert logits.shape == (1, 5) and np.isfinite(logits).all()
    assert set(found.seconds) == {"confirm", "describe", "graph"}


@pytest.mark.parametrize("name", CONFIGS)
def test_node_i_is_row_i(name):
    config = replace(CONFIGS[name], confirm=KEEP_ALL)
    given_ = candidates(40, config)
    found = encoded(given_, config, distribution=Distribution.LINEAR)
    table = found.calcifications
    probability = table["probability"].to_numpy()
    assert (np.diff(probability) <= 0).all() and found.graph.y.tolist() == [Distribution.LINEAR.place]
    np.testing.assert_allclose(found.graph.pos, table[["row_mm", "col_mm"]], rtol=1e-6)
    networks = networks_of(config)
    confirmed = confirm_patches(
        networks.confirm,
        networks.describe,
        given_.patches,
        describe_votes=config.confirm.describe_votes,
        all_sides=config.confirm.all_sides,
    )
    np.testing.assert_allclose(found.candidates["probability"], confirmed, rtol=1e-6)
    order = np.argsort(-confirmed, kind="stable")
    described = describe_patches(networks.describe, given_.patches[order], all_sides=config.confirm.all_sides)
    np.testing.assert_allclose(found.graph.visual, described, atol=1e-5)
    pd.testing.assert_frame_equal(found.candidates.iloc[order].reset_index(drop=True), table)


def test_only_what_reaches_the_threshold_is_kept(monkeypatch):
    config = default()
    said = np.linspace(0, 1, 21)
    monkeypatch.setattr("calcigraph.encode.confirm_patches", lambda *networks_and_patches, **kw: said)
    config = replace(config, confirm=ConfirmConfig(threshold=0.5, separation_mm=0))
    found = encoded(candidates(21, config), config)
    np.testing.assert_allclose(found.calcifications["probability"], said[said >= 0.5][::-1])
    assert len(found.candidates) == 21


def table_of(*rows, objects=None):
    table = pd.DataFrame(rows, columns=["row_mm", "col_mm", "probability"], dtype=float)
    return table.assign(object_id=np.arange(len(rows)) if objects is None else objects)


def kept(table, *, threshold=0.5, separation_mm=1.0):
    return select_nodes(table, ConfirmConfig(threshold=threshold, separation_mm=separation_mm)).tolist()


def test_of_two_that_are_close_the_likelier_stays():
    assert kept(table_of((0, 0, 0.7), (0, 0.9, 0.8), (0, 5, 0.6))) == [1, 2]


def test_a_chain_loses_every_second_and_not_all():
    """What was beaten beats nobody: 0.9 removes 0.8, so 0.7 on its other side stays."""
    assert kept(table_of((0, 0, 0.9), (0, 0.8, 0.8), (0, 1.6, 0.7))) == [0, 2]


def test_without_a_distance_both_stay():
    pair = table_of((0, 0, 0.7), (0, 0, 0.8))
    assert kept(pair, separation_mm=0.0) == [1, 0]
    assert kept(pair) == [1]


def test_equal_probabilities_keep_the_stronger_candidate():
    assert kept(table_of((0, 0, 0.7), (0, 0.5, 0.7))) == [0]


def test_one_object_is_one_node():
    """The likeliest of object 7 stays, wherever the others lie; object 8 has none over the threshold."""
    rows = (0, 0, 0.7), (0, 9, 0.9), (0, 20, 0.8), (0, 30, 0.6), (0, 40, 0.4)
    assert kept(table_of(*rows, objects=[7, 7, 3, 7, 8])) == [1, 2]


def test_an_object_lives_on_where_its_likeliest_is_beaten_by_a_neighbour():
    rows = (0, 0, 0.9), (0, 0.5, 0.8), (0, 3, 0.6)
    assert kept(table_of(*rows, objects=[0, 1, 1])) == [0, 2]


def test_a_node_lies_in_the_middle_of_its_object():
    table = table_of((0, 0, 0.9), (4, 8, 0.3), (5, 5, 0.5), (9, 9, 0.0), objects=[2, 2, 0, 1])
    table = table.assign(row_px=2 * table["row_mm"], col_px=10 * table["col_mm"], diameter_mm=0.3)
    nodes = centre_on_objects(table, np.array([0, 2, 3]))
    np.testing.assert_allclose(nodes[["row_mm", "col_mm"]], [[1, 2], [5, 5], [9, 9]])
    np.testing.assert_allclose(nodes[["row_px", "col_px"]], [[2, 20], [10, 50], [18, 90]])
    assert nodes["probability"].tolist() == [0.9, 0.5, 0.0]
    assert centre_on_objects(table, np.array([], dtype=int)).empty


def test_a_coarse_calcification_is_as_wide_as_the_ring_of_its_candidates():
    around = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    ring = [(5 + 0.8 * np.sin(a), 5 + 0.8 * np.cos(a), 0.7) for a in around]
    table = table_of(*ring, (9, 9, 0.9), (20, 20, 0.8), (20, 20.2, 0.8), objects=[0] * 6 + [1, 2, 2])
    table = table.assign(diameter_mm=0.3, row_px=0.0, col_px=0.0)
    nodes = centre_on_objects(table, np.array([0, 6, 7]))
    np.testing.assert_allclose(nodes["diameter_mm"], [1.6, 0.3, 0.3])


def test_nothing_passes():
    assert kept(table_of((0, 0, 0.1), (0, 9, 0.4))) == []
    assert kept(table_of()) == []
    assert kept(table_of((0, 0, 0.5))) == [0]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 9999), count=st.integers(0, 60), separation=st.sampled_from([0.0, 0.35, 2.0, 50.0])
)
def test_selection_equals_the_rule_taken_literally(seed, count, separation):
    rng = np.random.default_rng(seed)
    table = table_of(*np.column_stack([rng.uniform(0, 10, (count, 2)), rng.random(count).round(1)]))
    places, probability = table[["row_mm", "col_mm"]].to_numpy(), table["probability"].to_numpy()
    expected: list[int] = []
    for i in sorted(range(count), key=lambda i: -probability[i]):
        beside = any(np.hypot(*(places[i] - places[j])) <= separation for j in expected) and separation > 0
        if probability[i] >= 0.4 and not beside:
            expected.append(i)
    assert kept(table, threshold=0.4, separation_mm=separation) == expected


@pytest.mark.parametrize("name", CONFIGS)
def test_from_pixels(name):
    config = replace(CONFIGS[name], confirm=KEEP_ALL)
    config = replace(config, candidates=replace(config.candidates, object_reach_mm=0.0))
    image = hand_made.mammogram(rows=300, cols=220, spacing_mm=0.1)
    found = encode(image, config, networks_of(config))
    assert 0 < len(found.candidates) == len(found.graph.pos) <= config.candidates.at_most
    assert set(found.seconds) == {"detect", "confirm", "describe", "graph"}
    assert all(seconds >= 0 for seconds in found.seconds.values())


def test_extent():
    assert Mammogram(np.zeros((10, 20), np.float32), (0.1, 0.2)).extent_mm == pytest.approx((1.0, 4.0))
