import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch

from calcigraph.config import GraphConfig
from calcigraph.graph import (
    SCALARS,
    Frame,
    assemble,
    build_graph,
    edge_labels,
    frame_of,
    nearest_neighbours,
)
from calcigraph.graph.labels import RANKS, node_scalars
from calcigraph.lexicon import Distribution
from calcigraph.records import CANDIDATE_COLUMNS, Breast
from hand_made_graphs import FRAME, scatter


def table_of(pos_mm, probability=0.9):
    n = len(pos_mm)
    columns = np.column_stack(
        [pos_mm / 0.1, pos_mm, np.full(n, 0.4), np.full(n, 8.0), np.full(n, probability), np.arange(n)]
    )
    return pd.DataFrame(columns, columns=list(CANDIDATE_COLUMNS))


def breast_of(frame):
    return Breast(
        mask=np.ones((2, 2), bool),
        outline_px=np.zeros((0, 2)),
        area_cm2=frame.area_cm2,
        nipple_mm=frame.nipple_mm,
        depth_axis=frame.depth_axis,
        fills_image=not frame.whole_breast,
    )


def graph_of(pos_mm, *, frame=FRAME, kind="mm", seed=0):
    visual = np.random.default_rng(seed).random((len(pos_mm), 4), np.float32)
    config = GraphConfig(edge_labels=kind)
    return build_graph(
        table_of(pos_mm), visual, mammogram_extent_mm=frame.extent_mm, breast=breast_of(frame), config=config
    )


@pytest.mark.parametrize(("n", "k"), [(30, 8), (9, 8), (8, 8), (3, 8), (50, 1)])
def test_neighbours_are_those_of_a_full_distance_matrix(n, k):
    pos = scatter(n)
    distance = np.linalg.norm(pos[:, None] - pos[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    kept = min(k, n - 1)
    expected = np.argsort(distance, axis=1)[:, :kept]
    edges = nearest_neighbours(pos, k)
    assert edges.dtype == np.int64
    np.testing.assert_array_equal(edges[0].reshape(n, kept), expected)
    np.testing.assert_array_equal(edges[1], np.repeat(np.arange(n), kept))


def test_no_node_and_one_node_have_no_edges():
    for n in (0, 1):
        assert nearest_neighbours(np.zeros((n, 2)), 8).shape == (2, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30), st.integers(1, 9))
def test_nodes_at_one_position_are_never_their_own_neighbours(points, k):
    pos = np.array(points, float)
    edges = nearest_neighbours(pos, k)
    assert (edges[0] != edges[1]).all()
    assert (np.bincount(edges[1], minlength=len(pos)) == min(k, len(pos) - 1)).all()
    pairs = edges[0] * len(pos) + edges[1]
    assert len(np.unique(pairs)) == len(pairs)


def test_ties_do_not_hang_on_the_order_of_the_nodes():
    pos = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0), indexing="ij"), -1).reshape(-1, 2)
    order = np.random.default_rng(0).permutation(len(pos))
    named = {tuple(pos[[j, i]].ravel()) for j, i in nearest_neighbours(pos, 3).T}
    shuffled = {tuple(pos[order][[j, i]].ravel()) for j, i in nearest_neighbours(pos[order], 3).T}
    assert named == shuffled


def test_depth_grows_from_the_nipple_to_the_chest_wall_and_across_points_down():
    np.testing.assert_allclose(FRAME.to_breast(np.array([[110.0, 40.0]])), [[20.0, 10.0]])
    pos = scatter(7)
    tilted = Frame((90.0, 10.0), (0.6, -0.8), (200.0, 150.0), 120.0, True)
    np.testing.assert_allclose(tilted.to_image(tilted.to_breast(pos)), pos)
    assert tilted.across_axis[0] > 0
    assert np.dot(tilted.across_axis, tilted.depth_axis) == pytest.approx(0)
    assert Frame((0, 0), (1.0, 0.0), (1, 1), 1, True).across_axis == (0.0, 1.0)


def test_edge_labels_of_two_nodes_by_hand():
    pos = np.array([[100.0, 50.0], [103.0, 46.0]])
    edges = np.array([[1], [0]])
    np.testing.assert_allclose(
        edge_labels(pos, edges, kind="offset", frame=FRAME), [[3 / 200, -4 / 150]], atol=1e-12
    )
    expected = [[0.4, 0.3, np.log(6.0), 0.8, 0.6]]
    np.testing.assert_allclose(edge_labels(pos, edges, kind="mm", frame=FRAME), expected)


def test_edge_labels_of_nodes_at_one_position_are_finite():
    labels = edge_labels(np.ones((2, 2)), np.array([[1], [0]]), kind="mm", frame=FRAME)
    np.testing.assert_array_equal(labels, np.zeros((1, 5)))


def test_scalars_by_hand():
    graph = graph_of(np.array([[110.0, 40.0], [130.0, 40.0]]))
    first = dict(zip(SCALARS, graph.scalars[0].tolist(), strict=True))
    assert first["row_share"] == pytest.approx(110 / 200)
    assert first["col_share"] == pytest.approx(40 / 150)
    assert (first["centre_depth"], first["centre_across"]) == pytest.approx((0.0, -0.2), abs=1e-6)
    assert first["probability"] == pytest.approx(0.9)
    assert first["log_neighbour_distance"] == pytest.approx(np.log1p(20))
    assert first["log_count"] == pytest.approx(np.log1p(2) / 5)
    assert all(first[f"log_distance_{rank}"] == pytest.approx(np.log1p(20)) for rank in RANKS)


def test_each_scalar_is_of_what_its_name_says():
    """Two nodes 20 mm apart across, of which one counts three times as much; a breast of 120 cm²."""
    pos_mm, marks = np.array([[110.0, 40.0], [130.0, 40.0]]), np.array([[0.75, 0.3, 9.0], [0.25, 0.5, 3.0]])
    edges = np.array([[1, 0], [0, 1]])
    named = dict(zip(SCALARS, node_scalars(pos_mm, marks, edges, frame=FRAME).T, strict=True))
    np.testing.assert_allclose(named["log_diameter"], np.log([0.3, 0.5]))
    np.testing.assert_allclose(named["log_contrast"], np.log1p([9.0, 3.0]))
    np.testing.assert_allclose(np.abs(named["centre_across"]), [5 / 50, 15 / 50])
    np.testing.assert_allclose(named["log_breast_size"], np.log(np.sqrt(FRAME.area_cm2) / 10))


def test_distances_are_those_to_the_nearest_nodes():
    graph = graph_of(np.column_stack([np.full(30, 100.0), 2.0 * np.arange(30)]))
    ends, middle = (dict(zip(SCALARS, graph.scalars[node].tolist(), strict=True)) for node in (0, 15))
    for rank in RANKS:
        assert ends[f"log_distance_{rank}"] == pytest.approx(np.log1p(2 * rank))
        assert middle[f"log_distance_{rank}"] == pytest.approx(np.log1p(2 * ((rank + 1) // 2)))


@pytest.mark.parametrize("n", [0, 1, 2, 8, 9, 40])
@pytest.mark.parametrize("kind", ["mm", "offset"])
def test_any_number_of_nodes(n, kind):
    graph = graph_of(scatter(n), kind=kind)
    assert graph.num_nodes == n
    assert graph.pos.shape == (n, 2)
    assert graph.scalars.shape == (n, len(SCALARS))
    assert graph.visual.shape == (n, 4)
    assert graph.edge_attr.shape == (n * min(8, max(n - 1, 0)), 5 if kind == "mm" else 2)
    assert "y" not in graph
    for values in (graph.scalars, graph.edge_attr):
        assert values.dtype == torch.float32
        assert torch.isfinite(values).all()


def test_a_mirrored_breast_gives_the_same_graph():
    pos = scatter(25)
    width = FRAME.extent_mm[1]
    mirrored = Frame((100.0, width - 60.0), (0.0, -1.0), FRAME.extent_mm, FRAME.area_cm2, True)
    one, two = graph_of(pos), graph_of(np.column_stack([pos[:, 0], width - pos[:, 1]]), frame=mirrored)
    torch.testing.assert_close(one.edge_attr, two.edge_attr, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(one.scalars[:, 2:], two.scalars[:, 2:], atol=1e-5, rtol=1e-5)


def test_a_crop_says_that_it_is_one():
    crop = Frame((100.0, 60.0), (0.0, 1.0), (200.0, 150.0), 300.0, False)
    scalars = dict(zip(SCALARS, graph_of(scatter(10), frame=crop).scalars.T, strict=True))
    assert (scalars["whole_breast"] == 0).all()
    assert (scalars["centre_depth"] != 0).any()


def test_the_frame_and_the_answer_travel_with_the_graph():
    graph = build_graph(
        table_of(scatter(3), probability=np.nan),
        np.zeros((3, 4), np.float32),
        mammogram_extent_mm=FRAME.extent_mm,
        breast=breast_of(FRAME),
        config=GraphConfig(),
        distribution=Distribution.LINEAR,
    )
    assert frame_of(graph) == FRAME
    assert graph.y.tolist() == [3]
    assert (graph.scalars[:, SCALARS.index("probability")] == 1).all()


def test_assembling_again_gives_the_same_graph():
    graph = graph_of(scatter(12))
    pos, marks = graph.pos.numpy().astype(float), graph.marks.numpy().astype(float)
    again = assemble(pos, marks, graph.visual, frame=frame_of(graph), config=GraphConfig())
    for name in ("pos", "scalars", "edge_attr", "edge_index"):
        torch.testing.assert_close(graph[name], again[name], atol=1e-5, rtol=1e-5)


def test_a_batch_keeps_empty_graphs():
    batch = Batch.from_data_list([graph_of(scatter(n)) for n in (0, 3, 0, 1)])
    assert batch.num_graphs == 4
    assert batch.ptr.tolist() == [0, 0, 3, 3, 4]


def test_rows_and_features_must_agree():
    with pytest.raises(ValueError, match="3 rows and 2"):
        build_graph(
            table_of(scatter(3)),
            np.zeros((2, 4), np.float32),
            mammogram_extent_mm=(1.0, 1.0),
            breast=breast_of(FRAME),
            config=GraphConfig(),
        )
