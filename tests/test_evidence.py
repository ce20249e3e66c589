"""Evidence of a lesion: enough calcifications, closer together than by chance, and their weight."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from calcigraph.evidence import CHANCE, GROUP, NEAREST, NOT_FALSE_PER_CM2, Evidence, expected_by_chance
from hand_made_graphs import CONFIGS, graph_of, net_of

AREA_CM2 = 88.0
SIDE_MM = 10 * math.sqrt(AREA_CM2)


def strewn(count, rng, *, side_mm=SIDE_MM):
    return rng.uniform(0, side_mm, (count, 2))


def by_hand(pos, area_cm2, least):
    """The definition, one mark, one number and one neighbour at a time."""
    n = len(pos)
    others = n - 1
    area_cm2 = max(area_cm2, others / NOT_FALSE_PER_CM2)
    numbers = []
    for k in range(least, min(n, NEAREST) + 1):
        radius = min(sorted(math.dist(one, other) for other in pos)[k - 1] for one in pos)
        p = min(math.pi * (radius / 10) ** 2 / area_cm2, 1.0)
        tail = sum(math.comb(others, b) * p**b * (1 - p) ** (others - b) for b in range(k - 1, others + 1))
        numbers.append(n * tail)
    return min(numbers)


@pytest.mark.parametrize("count", [5, 9, 30, 60])
def test_the_expected_number_is_that_of_its_definition(count):
    pos = strewn(count, np.random.default_rng(count))
    pos[: count // 3] *= 0.4
    assert expected_by_chance(pos, AREA_CM2, least=5) == pytest.approx(by_hand(pos, AREA_CM2, 5), rel=1e-9)


def test_what_is_strewn_evenly_seldom_passes_and_a_group_always():
    rng = np.random.default_rng(1)
    for count, area_cm2 in ((17, AREA_CM2), (32, 60.0), (17, 30.0), (5, 6.9)):
        side_mm = 10 * math.sqrt(area_cm2)
        even = [
            expected_by_chance(strewn(count, rng, side_mm=side_mm), area_cm2, least=GROUP) for _ in range(400)
        ]
        assert 0 < np.mean(np.array(even) < CHANCE) < 0.15
    for _ in range(50):
        group = strewn(6, rng, side_mm=10) + rng.uniform(10, 60, 2)
        among = np.concatenate([strewn(11, rng), group])
        assert expected_by_chance(among, AREA_CM2, least=5) < CHANCE / 10


def test_neither_place_order_nor_direction_counts():
    rng = np.random.default_rng(2)
    pos = strewn(20, rng)
    once = expected_by_chance(pos, AREA_CM2, least=5)
    for moved in (pos + 500, pos[::-1], pos[:, ::-1], -pos):
        assert expected_by_chance(np.ascontiguousarray(moved), AREA_CM2, least=5) == pytest.approx(once)


def test_a_crop_full_of_calcifications_is_no_chance():
    pos = strewn(40, np.random.default_rng(3), side_mm=30)
    assert expected_by_chance(pos, 9.0, least=5) < 1e-6
    assert expected_by_chance(pos[:6] / 30 * 5, 0.25, least=5) < CHANCE


@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_few_are_no_group(count):
    assert expected_by_chance(np.ones((count, 2)), AREA_CM2, least=5) == math.inf


def test_all_in_one_place_and_thousands_are_ordinary():
    assert expected_by_chance(np.ones((5, 2)), AREA_CM2, least=5) == 0
    grid = np.array(list(itertools.product(range(70), range(60))), float)
    assert expected_by_chance(grid, 42.0, least=5) < CHANCE
    assert expected_by_chance(np.ones((1, 2)), AREA_CM2, least=1) == 1


@pytest.mark.parametrize("name", CONFIGS)
def test_three_of_those_needed_may_be_the_close_ones(name):
    graph, net = graph_of(9, CONFIGS[name]), net_of(CONFIGS[name])
    strewn_ones = Evidence.of(net, graph, needed=5)
    graph.pos[:GROUP] = graph.pos[0] + torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    three = Evidence.of(net, graph, needed=5)
    assert strewn_ones.by_chance >= CHANCE > three.by_chance and not three.lacks
    assert "10 needed" in Evidence.of(net, graph, needed=10).lacks
    graph.pos[1] += 60
    assert Evidence.of(net, graph, needed=5).by_chance >= CHANCE > Evidence.of(net, graph, needed=2).by_chance


@pytest.mark.parametrize(
    ("found", "by_chance", "weight", "lacks", "thin"),
    [
        (1, math.inf, 1.0, "1 calcification found, 5 needed to name one", "1.0"),
        (4, math.inf, 4.0, "4 calcifications found, 5 needed to name one", "4.0"),
        (
            9,
            0.03,
            9.0,
            "too little evidence of a lesion: 9 calcifications found, no closer together than by chance",
            "",
        ),
        (9, 0.029, 0.0, "", "0.0"),
        (9, 0.0, 4.97, "", "4.9"),
        (9, 0.0, 5.0, "", ""),
        (5, 0.0, 5.0, "", ""),
    ],
)
def test_evidence_in_words(found, by_chance, weight, lacks, thin):
    evidence = Evidence(found, by_chance, weight, 5)
    assert evidence.lacks == lacks
    said = f"thin evidence: {found} {'calcification' if found == 1 else 'calcifications'} found"
    assert evidence.thin == (f"{said}, of which the network takes {thin} for a lesion's" if thin else "")
