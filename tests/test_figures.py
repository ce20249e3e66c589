from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from sklearn.metrics import roc_auc_score

import hand_made
from calcigraph import BadConfig, figures
from calcigraph.figures.panel import SCALE_BARS_MM, Window, grey, scale_bar_mm, whole, zoom_window
from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE
from calcigraph.records import Mammogram


def rendered(figure: Figure) -> np.ndarray:
    assert isinstance(figure.canvas, FigureCanvasAgg)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)


def centre(mask: np.ndarray) -> np.ndarray:
    rows, cols = np.nonzero(mask)
    assert len(rows), "nothing of this colour was drawn"
    return np.asarray([(rows.min() + rows.max()) / 2, (cols.min() + cols.max()) / 2])


def is_red(image: np.ndarray) -> np.ndarray:
    return (image[..., 0] > 180) & (image[..., 1] < 90) & (image[..., 2] < 90)


def axes_box(figure: Figure, number: int) -> tuple[slice, slice]:
    box = figure.axes[number].get_window_extent()
    height = round(figure.get_figheight() * figure.dpi)
    return slice(round(height - box.y1), round(height - box.y0)), slice(round(box.x0), round(box.x1))


def test_saliency_runs_from_blue_over_yellow_to_red():
    low, middle, high, unknown = figures.saliency_colours([0.0, 0.5, 1.0, np.nan])
    assert low[2] > 0.9 and low[0] < 0.3
    assert middle[0] > 0.9 and middle[1] > 0.8 and middle[2] < 0.2
    assert high[0] > 0.9 and max(high[1:3]) < 0.2
    assert np.ptp(unknown[:3]) == 0
    assert figures.saliency_colours([]).shape == (0, 4)
    assert np.array_equal(figures.saliency_colours([-1.0, 2.0]), np.stack([low, high]))


def test_no_saliency_colour_is_as_grey_as_the_image():
    colours = figures.saliency_colours(np.linspace(0, 1, 101))[:, :3]
    assert np.ptp(colours, axis=1).min() > 0.5


@pytest.mark.parametrize("spacing_mm", [(0.1, 0.1), (0.1, 0.15)])
@pytest.mark.parametrize("place", [(70, 220), (350, 40)])
def test_ring_is_drawn_where_the_pixel_is(place, spacing_mm):
    """The ring's centre and the place where the bright pixel itself is rendered are found separately."""
    image = replace(hand_made.mammogram(), spacing_mm=spacing_mm, pixels=np.full((400, 300), 0.3, np.float32))
    image.pixels[place] = 1.0
    bare = hand_made.prediction(image, np.empty((0, 2)), distribution=None)
    bare = replace(bare, breast=replace(bare.breast, fills_image=True))
    ringed = hand_made.prediction(image, np.asarray([place], dtype=float), saliency=np.ones(1))
    rows, cols = axes_box(figures.overlay(image, bare), 0)
    spot = centre(rendered(figures.overlay(image, bare))[rows, cols].min(axis=2)[40:-60] > 200)
    ring = centre(is_red(rendered(figures.overlay(image, ringed))[rows, cols])[40:-60])
    assert np.abs(spot - ring).max() <= 2.0


def test_without_an_answer_there_is_no_saliency_to_show():
    image = hand_made.mammogram()
    answer = hand_made.prediction(image, np.full((3, 2), 150.0), saliency=np.zeros(3), distribution=None)
    drawn = figures.overlay(image, answer).axes
    assert not any("saliency" in axes.get_ylabel() for axes in drawn)
    assert any(
        "saliency" in axes.get_ylabel() for axes in figures.overlay(image, hand_made.prediction(image)).axes
    )
    nodes = next(c for c in drawn[0].collections if c.get_gid() == "nodes")
    assert np.ptp(np.asarray(nodes.get_edgecolor())[:, :3]) == 0


def test_magnified_panel_shows_the_cluster_and_rings_leave_it_visible():
    image = hand_made.mammogram(rows=3000, cols=2200, spacing_mm=0.085)
    place = (1350, 700)
    image.pixels[place[0] - 1 : place[0] + 2, place[1] - 1 : place[1] + 2] = 1.0
    points = np.asarray([place, (1400, 760), (1300, 640)], dtype=float)
    answer = hand_made.prediction(image, points, saliency=np.asarray([1.0, 0.0, 0.0]))
    figure = figures.overlay(image, answer)
    rows, cols = axes_box(figure, 1)
    panel = rendered(figure)[rows, cols]
    ring = centre(is_red(panel))
    window = zoom_window(image, points, np.ones(3))
    assert window is not None and inside(window, points).all()
    scale = panel.shape[0] / (window.bottom - window.top)
    expected = (np.asarray(place) + 0.5 - (window.top, window.left)) * scale
    assert np.abs(ring - expected).max() <= 4.0
    assert panel[round(ring[0]), round(ring[1])].min() > 150, "the calcification inside of its ring is hidden"


def test_a_line_that_is_too_long_for_the_figure_is_cut():
    image = hand_made.mammogram(rows=60, cols=40)
    figure = figures.overlay(image, hand_made.prediction(image, warnings=("breast: " + "much to say " * 30,)))
    (line,) = [text for text in figure.texts if "much to say" in text.get_text()]
    assert line.get_text().endswith("…")
    assert line.get_window_extent().x1 < figure.bbox.x1


def test_whole_image_is_shown_alone_when_there_is_nothing_to_magnify():
    image = hand_made.mammogram(rows=3000, cols=2200, spacing_mm=0.085)
    nothing = hand_made.prediction(image, np.empty((0, 2)), distribution=None)
    assert len(figures.overlay(image, nothing).axes) == 1
    crop = hand_made.mammogram(rows=300, cols=300, spacing_mm=0.085)
    assert len(figures.overlay(crop, hand_made.prediction(crop)).axes) == 2  # image and colour bar


def inside(window, points):
    first, last = (window.top, window.left), (window.bottom, window.right)
    return ((points >= first) & (points < last)).all(axis=1)


def test_scattered_calcifications_are_magnified_where_most_saliency_lies():
    image = hand_made.mammogram(rows=2000, cols=2000, spacing_mm=0.1)
    spread = np.random.default_rng(0).uniform(100, 1900, (40, 2))
    dense = np.random.default_rng(1).uniform(380, 420, (30, 2))
    window = zoom_window(image, np.concatenate([spread, dense]), np.ones(70))
    assert window is not None
    assert inside(window, dense).all() and not inside(window, spread).all()
    assert 0 <= window.top < window.bottom <= 2000 and 0 <= window.left < window.right <= 2000


def test_a_group_with_one_mark_far_away_is_magnified_on_an_image_that_is_wider_than_high():
    image = hand_made.mammogram(rows=788, cols=1318, spacing_mm=0.0815)
    group = np.random.default_rng(0).uniform((430, 320), (630, 440), (15, 2))
    window = zoom_window(image, np.concatenate([group, [(553, 782)]]), np.ones(16))
    assert window is not None and inside(window, group).all()
    assert window.bottom - window.top < 788 / 1.8


@pytest.mark.parametrize("shape", [(30, 30), (60, 900), (900, 60), (1600, 900)])
@pytest.mark.parametrize("count", [0, 1, 300])
def test_every_shape_and_count_can_be_drawn(shape, count, tmp_path):
    image = hand_made.mammogram(rows=shape[0], cols=shape[1], spacing_mm=0.1)
    points = np.random.default_rng(2).uniform(0, 1, (count, 2)) * (np.asarray(shape) - 1)
    known = count >= 5
    answer = hand_made.prediction(
        image,
        points,
        saliency=None if known else np.full(count, np.nan),
        distribution=DISTRIBUTIONS[0] if known else None,
    )
    figure = figures.overlay(image, answer)
    figure.savefig(tmp_path / "overlay.png")
    assert (tmp_path / "overlay.png").stat().st_size > 1000
    assert any(text.get_text() == RESEARCH_USE for text in figure.texts)


def test_names_are_no_mathematics_and_need_no_special_font(recwarn):
    image = hand_made.mammogram(image_id="cost_$5_$\\frac{_乳房_\udcff")
    rendered(figures.overlay(image, hand_made.prediction(image)))
    assert not [w for w in recwarn if "Glyph" in str(w.message)]


def test_warnings_are_named_on_the_picture():
    image = hand_made.mammogram(rows=2000, cols=1600, spacing_mm=0.1)
    said = (
        "distribution: thin evidence: 7 calcifications found, which count as 0.4 of a lesion's",
        "a warning without a stage",
    )
    figure = figures.overlay(image, replace(hand_made.prediction(image), warnings=said))
    assert any(
        text.get_text() == "Warning: thin evidence  ·  a warning without a stage" for text in figure.texts
    )
    silent = figures.overlay(image, replace(hand_made.prediction(image), warnings=()))
    assert not any("Warning" in text.get_text() for text in silent.texts)


def words_of(figure):
    return [text.get_text() for text in figure.findobj(Text)]


def test_the_words_on_an_overlay_are_those_of_the_prediction():
    image = hand_made.mammogram(rows=3000, cols=2200, spacing_mm=0.085)
    said = hand_made.prediction(image)
    words = words_of(figures.overlay(image, said))
    assert "grouped (probability 0.60)" in words
    assert "diffuse 0.10  regional 0.10  grouped 0.60  linear 0.10  segmental 0.10" in words
    assert "image  ·  L MLO  ·  24 calcifications  ·  0.085 mm pixels" in words
    unnamed = words_of(figures.overlay(image, replace(said, distribution=None)))
    assert any(line.startswith("if there is a lesion: diffuse 0.10") for line in unnamed)


def test_a_magnified_panel_says_how_much_and_is_framed_on_the_whole():
    image = hand_made.mammogram(rows=3000, cols=2200, spacing_mm=0.085)
    figure = figures.overlay(image, hand_made.prediction(image))
    whole_panel, magnified = figure.axes[:2]
    stated = next(t.get_text() for t in magnified.texts if t.get_text().startswith("magnified"))
    drawn = [axes.get_window_extent().height / np.ptp(axes.get_ylim()) for axes in (whole_panel, magnified)]
    assert float(stated.split()[1].rstrip("×")) == pytest.approx(drawn[1] / drawn[0], abs=0.06)
    (frame,) = [patch for patch in whole_panel.patches if patch.get_gid() == "zoom"]
    assert frame.get_bbox().bounds == pytest.approx(
        (
            min(magnified.get_xlim()),
            min(magnified.get_ylim()),
            *np.ptp([magnified.get_xlim(), magnified.get_ylim()], axis=1),
        )
    )


def test_the_most_salient_are_drawn_last_and_red_is_high():
    image = hand_made.mammogram(rows=2000, cols=1600, spacing_mm=0.1)
    points = hand_made.cluster(image)
    saliency = np.linspace(1, 0, len(points))  # the most salient come first in the table
    figure = figures.overlay(image, hand_made.prediction(image, points, saliency=saliency))
    nodes = next(c for c in figure.axes[0].collections if c.get_gid() == "nodes")
    np.testing.assert_allclose(nodes.get_offsets(), points[::-1, ::-1])
    np.testing.assert_allclose(nodes.get_edgecolors(), figures.saliency_colours(saliency[::-1]))
    bar = figure.axes[-1]
    shown = {text.get_text(): text.get_position()[1] for text in bar.get_yticklabels()}
    assert shown == {"0 low": 0, "0.5": 0.5, "1 high": 1}
    top = np.asarray(bar.images[0].get_array())[0, 0]
    assert bar.images[0].origin == "upper" and to_rgb(tuple(top[:3])) == pytest.approx(
        to_rgb("#ff2020"), abs=0.01
    )


def test_scale_bar_is_as_long_as_it_says():
    image = hand_made.mammogram(rows=2000, cols=1600, spacing_mm=0.1)
    axes = figures.overlay(image, hand_made.prediction(image)).axes[0]
    bar = next(line for line in axes.get_lines() if line.get_gid() == "scale")
    share = np.ptp(np.asarray(bar.get_xdata(), dtype=float))
    label = next(text.get_text() for text in axes.texts if text.get_text().endswith(" mm"))
    assert share * 160.0 == pytest.approx(float(label.removesuffix(" mm")))


@pytest.mark.parametrize("width_mm", [1.0, 25.0, 160.0, 900.0])
def test_scale_bar_is_round_and_fits(width_mm):
    assert scale_bar_mm(width_mm) in SCALE_BARS_MM
    assert scale_bar_mm(width_mm) <= max(width_mm / 2, 0.5)


def test_edges_are_drawn_once_from_rim_to_rim_of_the_right_nodes():
    image = hand_made.mammogram()
    points = np.asarray([[100.0, 50.0], [120.0, 60.0], [140.0, 90.0]])
    answer = replace(hand_made.prediction(image, points), edge_index=np.asarray([[0, 1, 2], [1, 0, 1]]))
    axes = figures.overlay(image, answer).axes[0]
    edges = next(c for c in axes.collections if c.get_gid() == "edges")
    segments = sorted(np.asarray(segment).tolist() for segment in edges.get_segments())
    assert len(segments) == 2
    for segment, (one, other) in zip(segments, ((0, 1), (1, 2)), strict=True):
        whole = points[[one, other], ::-1]
        assert np.mean(segment, axis=0) == pytest.approx(whole.mean(axis=0))
        cut, full = np.diff(segment, axis=0)[0], np.diff(whole, axis=0)[0]
        assert 0.3 < np.linalg.norm(cut) / np.linalg.norm(full) < 0.95
        assert abs(np.linalg.det([cut, full])) < 1e-6


def test_nodes_at_the_same_place_have_no_edge_to_draw():
    image = hand_made.mammogram()
    answer = hand_made.prediction(image, np.full((4, 2), 100.0))
    axes = figures.overlay(image, answer).axes[0]
    assert next(c for c in axes.collections if c.get_gid() == "edges").get_segments() == []


def test_grey_of_a_flat_or_black_image_is_finite():
    window = Window(0, 20, 0, 20)
    for value in (0.0, 0.5, 1.0):
        assert grey(np.full((20, 20), value, np.float32), window, (50, 50)).shape == (50, 50)


def test_nothing_of_pyplot_is_loaded():
    code = "import sys, calcigraph.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_confusion_matrix_shows_every_count():
    matrix = np.arange(9).reshape(3, 3)
    axes = figures.confusion_matrix(matrix, ["a", "b", "c"]).axes[0]
    shown = [text.get_text().split("\n")[0] for text in axes.texts]
    assert shown == [str(n) for n in range(9)]
    axes = figures.confusion_matrix(np.zeros((2, 3)), ["a", "b", "none"]).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b", "none"]


def test_written_figures_are_small_and_look_as_drawn(tmp_path):
    figure = figures.confusion_matrix(np.arange(25).reshape(5, 5), ["a", "b", "c", "d", "e"])
    figure.savefig(tmp_path / "plain.png")
    for name in ("figure.png", "figure.jpg"):
        figures.write_figure(tmp_path / name, figure)
        with Image.open(tmp_path / name) as image:
            written = np.asarray(image.convert("RGB")).astype(int)
        assert np.abs(written - rendered(figure)).mean() < 1
    assert (tmp_path / "figure.png").stat().st_size < 0.5 * (tmp_path / "plain.png").stat().st_size


def test_roc_areas_agree_with_scikit_learn():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 80)
    probabilities = np.round(rng.dirichlet(np.ones(3), 80) + 0.3 * np.eye(3)[truth], 1)  # with ties
    axes = figures.roc_curves(truth, probabilities, ["a", "b", "c", "absent"]).axes[0]
    labels = [str(line.get_label()) for line in axes.get_lines()]
    for index, name in enumerate("abc"):
        area = roc_auc_score(truth == index, probabilities[:, index])
        assert f"{name} (n = {(truth == index).sum()}): AUC {area:.2f}" in labels
    assert not any(label.startswith("absent") for label in labels)


def test_reliability_puts_means_in_their_place():
    probabilities = np.asarray([[0.9, 0.1], [0.9, 0.1], [0.36, 0.64], [0.34, 0.66]])
    axes = figures.reliability([0, 1, 1, 1], probabilities).axes[0]
    x, y = (np.asarray(a, dtype=float) for a in axes.get_lines()[1].get_data())
    assert x == pytest.approx([0.65, 0.9]) and y == pytest.approx([1.0, 0.5])


def test_outline_has_its_colour():
    image = hand_made.mammogram(rows=800, cols=600, spacing_mm=0.2)
    drawn = rendered(figures.overlay(image, hand_made.prediction(image)))
    green = 255 * np.asarray(to_rgb("#59c9a5"))
    assert (np.abs(drawn - green).max(axis=2) < 60).sum() > 300


def test_a_prediction_is_drawn_on_its_own_image_alone():
    image = hand_made.mammogram()
    with pytest.raises(BadConfig, match=r"prediction of image other on image \S+; allowed: .* same image"):
        figures.overlay(image, replace(hand_made.prediction(image), image_id="other"))


def test_examples_show_pixels_in_their_shape():
    """An image of 60 × 50 mm whose pixels are twice as wide as high."""
    mammogram = Mammogram(np.full((1200, 500), 0.5, np.float32), (0.05, 0.1))
    table = pd.DataFrame({"row_px": [100.0], "col_px": [50.0], "saliency": [1.0]})
    none = np.empty((0, 2))
    one = figures.Example(
        "title", mammogram, whole(mammogram), none, none, table, np.empty((2, 0), int), "", np.eye(4), ""
    )
    figure = figures.examples([one])
    FigureCanvasAgg(figure).draw()
    for axes in figure.axes:
        assert axes.bbox.height / axes.bbox.width == pytest.approx(60 / 50, rel=0.01)
        assert axes.images[0].get_array().shape == (500, 417)
