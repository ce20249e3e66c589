"""Simulated marks: found by their signal-to-noise ratio, inside the breast, the same for the same seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from calcigraph.breasts import any_view, breasts_of, fuse_views
from calcigraph.config import default, paper
from calcigraph.io import Case
from calcigraph.lexicon import DISTRIBUTIONS, Distribution, Laterality, View
from calcigraph.models import build_networks, predict_logits
from calcigraph.models.member_readout import SHAPE, USUAL_LONG_MM, USUAL_WEIGHT, lesion_shape
from calcigraph.models.visual import StandardVisual
from calcigraph.simulate.anatomy import grow_breast
from calcigraph.simulate.marks import DetectorTraits, Range, _breast, mark_view, signal_to_noise
from calcigraph.simulate.patterns import place_lesion
from calcigraph.simulate.projection import project_breast
from calcigraph.simulate.tissue import outline_mask
from calcigraph.training import augment_graph
from calcigraph.training.members import member_surprise
from calcigraph.training.points import draw_graph, draw_views

KEEN = DetectorTraits(
    half_snr=Range(0.01, 0.02),
    steepness=Range(3, 4),
    most=Range(0.999, 1),
    false_marks=Range(1e-6, 2e-6),
    clump_share=0,
)
BLIND = replace(KEEN, half_snr=Range(1e6, 2e6))


def marked(traits, seed=0, view=View.CC):
    rng = np.random.default_rng(seed)
    breast = grow_breast(rng)
    lesion = place_lesion(breast, Distribution.REGIONAL, rng)
    return lesion, mark_view(breast, lesion, view=view, traits=traits, rng=rng)


@pytest.mark.parametrize("view", [View.CC, View.MLO])
def test_a_keen_detector_finds_nearly_all_and_a_blind_one_nothing(view):
    lesion, found = marked(KEEN, view=view)
    assert len(found.pos_mm) > 0.85 * len(lesion) and found.is_lesion.all()
    assert (found.pos_mm >= 0).all() and (found.pos_mm <= found.extent_mm).all()
    assert ((found.marks[:, 0] >= 0.5) & (found.marks[:, 0] <= 1)).all()
    assert (np.diff(found.marks[:, 0]) <= 0).all(), "likeliest first"
    assert len(marked(BLIND, view=view)[1].pos_mm) == 0


def test_false_marks_are_nobodys():
    found = marked(replace(BLIND, false_marks=Range(50, 60), clump_share=1.0))[1]
    assert len(found.pos_mm) > 30 and not found.is_lesion.any()


def test_larger_and_denser_is_seen_better():
    lesion, _ = marked(KEEN)
    snr = signal_to_noise(grow_breast(np.random.default_rng(0)), lesion, KEEN, np.random.default_rng(0))
    mass = np.array([c.attenuation_per_mm * c.diameter_mm**3 for c in lesion])
    assert np.corrcoef(np.log(snr), np.log(mass))[0, 1] > 0.9


def test_graphs_repeat_and_come_by_turns():
    first, again = (list(draw_views(6, default(), np.random.default_rng(3))) for _ in range(2))
    assert [int(graph.y) for graph in first] == [0, 1, 2, 3, 4, 0]
    for one, other in zip(first, again, strict=True):
        torch.testing.assert_close(one.pos, other.pos)
        assert one.member.sum() >= 1 and torch.isnan(one.visual).all()


def test_lesions_of_which_little_is_found_are_shown_too():
    found = [int(graph.member.sum()) for graph in draw_views(60, default(), np.random.default_rng(5))]
    assert 1 <= min(found) < 5 < max(found)


@pytest.mark.parametrize("config", [default(), paper()])
def test_the_network_takes_what_has_no_visual_features(config):
    graphs = [draw_graph(d, config, DetectorTraits(), np.random.default_rng(1)) for d in DISTRIBUTIONS]
    net = build_networks(config).distribution
    assert np.isfinite(predict_logits(net, graphs)).all()


def test_members_are_supervised_and_travel_through_augmentation():
    graph = draw_graph(Distribution.GROUPED, default(), DetectorTraits(), np.random.default_rng(2))
    varied = augment_graph(graph, rng=np.random.default_rng(0), config=default().graph)
    assert varied.member.shape == (len(varied.pos),)
    net = build_networks(default()).distribution
    with member_surprise(net) as surprise:
        net(Batch.from_data_list([graph, varied]))
        assert surprise() > 0
        known = surprise().item()
        graph.member[0] = torch.nan  # one node is not known: the others are still asked
        net(Batch.from_data_list([graph]))
        assert 0 < surprise() < torch.inf
        graph.member[:] = torch.nan
        net(Batch.from_data_list([graph]))
        assert surprise() == 0 < known
        del graph.member
        net(Batch.from_data_list([graph]))
        assert surprise() == 0
    assert not net._forward_pre_hooks and not net.readout.member._forward_hooks


def test_the_shape_of_a_lesion_is_that_of_its_members():
    graph = draw_graph(Distribution.SEGMENTAL, default(), KEEN, np.random.default_rng(4))
    batch = Batch.from_data_list([graph])
    all_alike = lesion_shape(torch.ones(len(graph.pos)), batch)[0]
    offset = graph.pos.numpy() - graph.pos.numpy().mean(axis=0)
    long = 4 * np.sqrt(np.linalg.eigvalsh(offset.T @ offset / len(offset))[1])
    told = np.exp(all_alike[SHAPE.index("log_long_mm")].item()) * USUAL_LONG_MM
    assert told == pytest.approx(long + 0.5, rel=0.02)
    none = lesion_shape(torch.zeros(len(graph.pos)), batch)[0]
    assert torch.isfinite(none).all() and none[SHAPE.index("log_weight")].item() == pytest.approx(
        -np.log(USUAL_WEIGHT)
    )


def test_visual_features_are_standardised_where_known():
    graphs = list(draw_views(2, default(), np.random.default_rng(1)))
    graphs[0].visual = 3 + 2 * torch.randn(len(graphs[0].pos), 64)
    standard = StandardVisual(64, dropout=0.3).eval()
    standard.measure(graphs)
    out = standard(Batch.from_data_list(graphs))
    known = len(graphs[0].pos)
    assert out[:known].mean().abs() < 0.05 and (out[known:] == 0).all()


def test_a_breast_is_one_cc_and_one_mlo_of_one_label():
    def case(image_id, patient, side, view, label):
        return Case(
            image_id,
            patient,
            Path("x"),
            Laterality(side) if side else None,
            View(view) if view else None,
            label,
        )

    cases = [
        case("0", "P", "L", "CC", Distribution.GROUPED),
        case("1", "P", "L", "MLO", Distribution.GROUPED),
        case("2", "P", "L", "CC", Distribution.GROUPED),  # a second lesion
        case("3", "P", "L", "MLO", Distribution.LINEAR),
        case("4", "P", "R", "MLO", Distribution.GROUPED),
        case("5", "Q", "L", "CC", Distribution.GROUPED),
        case("6", "P", "L", "MLO", Distribution.GROUPED),
        case("7", "P", None, "CC", Distribution.GROUPED),
        case("8", "P", "L", None, Distribution.GROUPED),
        case("9", "P", "L", None, Distribution.GROUPED),
    ]
    breasts = breasts_of(cases)
    assert [breasts.index(name) for name in breasts] == [0, 0, 2, 3, 4, 5, 2, 7, 8, 9]
    assert breasts_of([]) == []


def test_fusing_views():
    p = np.array([[0.6, 0.4], [np.nan, np.nan], [0.2, 0.8], [np.nan, np.nan]])
    first, fused = fuse_views(p, ["b", "b", "a", "c"])
    assert first.tolist() == [0, 2, 3]
    np.testing.assert_allclose(fused[:2], [[0.6, 0.4], [0.2, 0.8]])
    assert np.isnan(fused[2]).all()
    named = np.array([False, False, True, False])
    assert any_view(named, ["b", "b", "a", "c"]).tolist() == [False, True, False]


@pytest.mark.parametrize("view", [View.CC, View.MLO])
def test_the_breast_of_marks_is_as_large_as_on_an_image(view):
    """What lies behind the image's edge is no part of it."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        projection = project_breast(grow_breast(rng), view, rng)
        seen_cm2 = outline_mask(projection, 0.5).sum() * 0.25 / 100
        assert _breast(projection, rng).area_cm2 == pytest.approx(seen_cm2, rel=0.02)
