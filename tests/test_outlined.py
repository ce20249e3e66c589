"""Semi-real cases: whatever the file of outlines holds, and calcifications inside real shapes."""

import json

import cv2
import numpy as np
import pytest

from calcigraph.errors import BadManifest
from calcigraph.io import problems, read_dataset
from calcigraph.lexicon import Laterality, View
from calcigraph.simulate import CohortOptions, plan_outlined, read_outlines, simulate_case, write_cohort
from calcigraph.simulate.anatomy import grow_breast
from calcigraph.simulate.outlined import back_project, fill, find_breast
from calcigraph.simulate.projection import project_breast

SQUARE = [[40, 80], [70, 80], [70, 110], [40, 110]]


def entry(**other):
    known = {"case": "p1", "laterality": "L", "view": "CC", "distribution": "grouped", "outline_mm": SQUARE}
    return known | other


def written(tmp_path, entries):
    path = tmp_path / "outlines.json"
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def outlines(tmp_path):
    entries = [entry(), entry(view="MLO"), entry(laterality="R", distribution="linear"), entry(case="p2"),
               entry(case="p2", outline_mm=[[20, 60], [28, 60], [24, 66]])]  # fmt: skip
    return read_outlines(written(tmp_path, entries))


def test_views_of_one_lesion_go_together(outlines):
    plan = plan_outlined(outlines)
    assert [(c.patient_id, c.laterality, c.distribution, c.views) for c in plan] == [
        ("p1", "L", "grouped", (View.CC, View.MLO)),
        ("p1", "R", "linear", (View.CC,)),
        ("p2", "L", "grouped", (View.CC,)),
        ("p2", "L", "grouped", (View.CC,)),
    ]
    assert len({case.image_id(view) for case in plan for view in case.views}) == 5
    assert plan[0].outlines[0].film_mm[0] == (80.0, 40.0), "x, y in the file, row, col here"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no outlines"),
        ('{"a": 1}', "no outlines"),
        (json.dumps([{"case": "p"}]), "outline 1"),
        (json.dumps([entry(), entry(view="ML")]), "outline 2: a wrong view"),
        (json.dumps([entry(laterality="left")]), "a wrong laterality"),
        (json.dumps([entry(distribution="clustered")]), "a wrong distribution"),
        (json.dumps([entry(distribution=["grouped"])]), "a wrong distribution"),
        (json.dumps([entry(case="../up")]), "a wrong case"),
        (json.dumps([entry(outline_mm=[[0, 0], [1, 1]])]), "a wrong outline_mm"),
        (json.dumps([entry(outline_mm=[[0, 0], [1, 1], [2, 2]])]), "a wrong outline_mm"),
        (json.dumps([entry(outline_mm=[[0, 0], [9, 0], [0, 1e9]])]), "a wrong outline_mm"),
        (json.dumps([entry(outline_mm=[[0, 0], [9, 0], [0, "9"]])]), "a wrong outline_mm"),
        (json.dumps([entry(outline_mm=[[0, float("nan")], [1, 2], [3, 4]])]), "a wrong outline_mm"),
    ],
)  # fmt: skip
def test_malformed_files_are_one_line(tmp_path, content, said):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(BadManifest, match=said) as caught:
        read_outlines(path)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(BadManifest, match="no JSON"):
        read_outlines(tmp_path / "none.json")


def test_points_are_inside_and_their_number_follows_the_area():
    small = np.array([[0, 0], [8, 0], [8, 8], [0, 8]], float)
    counts = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        points = fill(small, rng)
        assert all(
            cv2.pointPolygonTest(small.astype(np.float32), tuple(map(float, p)), False) >= 0 for p in points
        )
        counts.append((len(points), len(fill(8 * small, rng))))
    few, many = np.median(counts, axis=0)
    assert min(n for n, _ in counts) >= 5 and many > 3 * few


@pytest.mark.parametrize("view", [View.CC, View.MLO])
def test_a_point_is_seen_where_it_was_put(view):
    projection = project_breast(grow_breast(np.random.default_rng(1)), view, np.random.default_rng(1))
    points = np.array([[60.0, 20.0], [90.5, 41.0]])
    np.testing.assert_allclose(projection.project(back_project(points, projection)), points)


def test_the_breast_holds_the_outlines_at_their_size(outlines):
    case = plan_outlined(outlines)[0]
    held = find_breast(case.outlines, [[1, 2], [1, 3]], np.random.default_rng(0))
    for polygon, projection in zip(held.polygons_mm, held.projections, strict=True):
        skin = projection.outline_mm().astype(np.float32)
        assert min(cv2.pointPolygonTest(skin, tuple(map(float, p)), True) for p in polygon) >= 2.9
        np.testing.assert_allclose(np.ptp(polygon, axis=0), [30, 30])


def test_rendered_lesions_lie_in_the_outline(outlines):
    case = plan_outlined(outlines)[1]
    (shown,) = simulate_case(case, CohortOptions(seed=3, spacing_mm=0.25))
    lesion = shown.truth[shown.truth["kind"] == "lesion"]
    assert shown.laterality is Laterality.RIGHT and len(lesion) >= 5
    assert np.ptp(lesion[["row_px", "col_px"]].to_numpy() * 0.25, axis=0).max() <= 30.01


def test_a_cohort_keeps_the_contract(outlines, tmp_path, inline_pool):
    plan = plan_outlined(outlines)[:2]
    write_cohort(tmp_path / "semi", plan, CohortOptions(seed=3, spacing_mm=0.25), name="Semi")
    dataset = read_dataset(tmp_path / "semi")
    assert problems(dataset.folder) == [] and {case.patient_id for case in dataset.cases} == {"p1"}
