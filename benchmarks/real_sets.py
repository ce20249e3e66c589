"""Detection on real public images, none of which trained anything: crops, film, normal breasts, one biopsy view.

The images are not part of the project; their folder is named by the environment variable CALCIGRAPH_DATA, and a set
that is absent there is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from calcigraph.encode import select_nodes
from calcigraph.io import read_mammogram
from calcigraph.metrics import binary_auc
from calcigraph.pipeline import Pipeline
from calcigraph.records import Prediction

Float = NDArray[np.float64]

CESM_SPACING_MM = 0.094
"""The files do not state it; the system's pixels are of 94 to 100 µm."""
CLUSTER_RADIUS_MM = 5.0
CLUSTER_MARKS = 5
MATCH_MM = 0.5
LEAST_PROBABILITY = 0.02
"""Candidates below this count for nothing in the score of a cluster."""

SIEMENS_CLEAR_PX = (
    (560, 342), (571, 335), (570, 348), (570, 355), (580, 325), (581, 339), (592, 332), (590, 357),
    (589, 386), (552, 429), (580, 410), (631, 439), (454, 335), (466, 361), (472, 370), (428, 427),
)  # fmt: skip
"""Row and column of what we read as clear calcifications on OutOfBoundsOverlay.dcm; no radiologist's reading."""
SIEMENS_FAINT_PX = ((434, 367), (442, 413), (605, 441), (580, 423), (588, 466), (585, 348))
"""What may be calcifications there: neither asked for nor counted as false."""


@dataclass(frozen=True)
class Row:
    """One measurement: which set, how many images, what, and the value in words."""

    dataset: str
    images: int
    measure: str
    value: str


def measure_all(pipeline: Pipeline, data: Path) -> Iterator[Row]:
    """Measure on every set that is there."""
    sets: dict[str, Callable[[Pipeline, Path], Iterator[Row]]] = {
        "pisa_roi": pisa_crops,
        "mini_mias": mini_mias,
        "cdd_cesm_normals": normal_breasts,
        "mg_dicom": siemens_view,
    }
    for name, measure in sets.items():
        if (data / name).is_dir():
            yield from measure(pipeline, data / name)


def pisa_crops(pipeline: Pipeline, folder: Path) -> Iterator[Row]:
    """Score a crop by the log-odds of its three likeliest candidates, added."""
    positive, score = [], []
    for label in ("0", "1"):
        for path in sorted((folder / label).iterdir()):
            prediction = pipeline.predict(read_mammogram(path, spacing_mm=0.085))
            positive.append(label == "1")
            score.append(crop_score(prediction.candidates["probability"].to_numpy()))
    yield _auc_row("Pisa crops", "AUC of the crop score", np.array(positive), np.array(score))


def crop_score(probability: Float) -> float:
    """Add the log-odds of the three likeliest candidates."""
    top = np.sort(np.concatenate([np.zeros(3), probability]))[-3:].clip(1e-6, 1 - 1e-6)
    return float(np.log(top / (1 - top)).sum())


def mini_mias(pipeline: Pipeline, folder: Path) -> Iterator[Row]:
    """Score a film by its strongest cluster, and ask whether that lies in a circle of the data set."""
    circles = _mias_circles(folder / "Info.txt")
    positive, score, hits, normal = [], [], [], []
    for path in sorted(folder.glob("*.png")):
        prediction = pipeline.predict(read_mammogram(path, spacing_mm=0.2))
        strength, centre_mm = strongest_cluster(prediction, pipeline)
        known = circles.get(path.stem, [])
        positive.append(bool(known))
        score.append(strength)
        if known:
            hits.append(any(np.hypot(*(centre_mm - place)) <= radius + 5 for place, radius in known))
        else:
            normal.append(prediction)
    yield _auc_row("mini-MIAS", "AUC of the strongest cluster", np.array(positive), np.array(score))
    yield Row(
        "mini-MIAS", len(hits), "strongest cluster inside a circle + 5 mm", f"{sum(hits)} of {len(hits)}"
    )
    yield named_row("mini-MIAS normals", normal)


def _mias_circles(path: Path) -> dict[str, list[tuple[Float, float]]]:
    """Image → centre (row, col) and radius of its circles of calcifications, in mm."""
    circles: dict[str, list[tuple[Float, float]]] = {}
    for line in path.read_text(encoding="latin-1").splitlines():
        words = line.split()
        if len(words) == 7 and words[2] == "CALC":
            col, row, radius = (int(word) for word in words[4:])
            circles.setdefault(words[0], []).append((0.2 * np.array([1023 - row, col]), 0.2 * radius))
    return circles


def strongest_cluster(prediction: Prediction, pipeline: Pipeline) -> tuple[float, Float]:
    """Greatest sum of probabilities within `CLUSTER_RADIUS_MM`, and the centre (row, col) in mm of its marks."""
    table = prediction.candidates[prediction.candidates["probability"] >= LEAST_PROBABILITY]
    table = table.iloc[select_nodes(table, replace(pipeline.config.confirm, threshold=0.0))]
    places, weight = table[["row_mm", "col_mm"]].to_numpy(), table["probability"].to_numpy()
    if not len(places):
        return 0.0, np.full(2, np.inf)
    near = cKDTree(places).query_ball_point(places, CLUSTER_RADIUS_MM)
    strength = np.array([weight[each].sum() for each in near])
    best = near[int(strength.argmax())]
    return float(strength.max()), np.average(places[best], axis=0, weights=weight[best])


def normal_breasts(pipeline: Pipeline, folder: Path) -> Iterator[Row]:
    """Count false clusters on mammograms without findings."""
    paths = sorted(folder.glob("*.jpg"))
    normal = [pipeline.predict(read_mammogram(path, spacing_mm=CESM_SPACING_MM)) for path in paths]
    clusters = [count_clusters(each.calcifications[["row_mm", "col_mm"]].to_numpy()) for each in normal]
    density = [len(each.calcifications) / each.breast.area_cm2 for each in normal]
    name = "CDD-CESM normals"
    measure = f"false clusters ({CLUSTER_MARKS} marks or more within 1 cm) per image"
    yield Row(name, len(normal), measure, f"{np.mean(clusters):.2f}")
    yield Row(name, len(normal), "marks per cm² of breast", f"{np.mean(density):.3f}")
    yield named_row(name, normal)


def named_row(dataset: str, normal: Sequence[Prediction]) -> Row:
    """Count normal images that are given a distribution all the same."""
    named = [each for each in normal if each.distribution is not None]
    silent = sum(not each.warnings for each in named)
    value = f"{len(named)}, {silent} of them without a warning"
    return Row(dataset, len(normal), "given a distribution", value)


def count_clusters(places_mm: Float) -> int:
    """Count groups of `CLUSTER_MARKS` or more marks within a circle of 1 cm, the largest first, none twice."""
    left, count = places_mm, 0
    while len(left) >= CLUSTER_MARKS:
        near = cKDTree(left).query_ball_point(_circle_centres(left), CLUSTER_RADIUS_MM + 1e-9)
        largest = max(near, key=len)
        if len(largest) < CLUSTER_MARKS:
            break
        left, count = np.delete(left, largest, axis=0), count + 1
    return count


def _circle_centres(places_mm: Float) -> Float:
    """Return centres of circles of `CLUSTER_RADIUS_MM`, one of which holds as many places as any circle does: each
    place, and where two circles about places cross."""
    pairs = cKDTree(places_mm).query_pairs(2 * CLUSTER_RADIUS_MM, output_type="ndarray")
    one, other = places_mm[pairs[:, 0]], places_mm[pairs[:, 1]]
    middle, half = (one + other) / 2, (other - one) / 2
    length = np.maximum(np.hypot(*half.T), 1e-9)[:, None]
    reach = np.sqrt(np.maximum(CLUSTER_RADIUS_MM**2 - length**2, 0))
    aside = half[:, ::-1] * (-1, 1) / length * reach
    return np.concatenate([places_mm, middle + aside, middle - aside])


def siemens_view(pipeline: Pipeline, folder: Path) -> Iterator[Row]:
    """Count what is found and what is falsely marked on one biopsy view, and give the answer."""
    mammogram = read_mammogram(folder / "OutOfBoundsOverlay.dcm")
    prediction = pipeline.predict(mammogram)
    marks = prediction.calcifications[["row_px", "col_px"]].to_numpy()
    pitch = mammogram.spacing_mm[0]
    clear, faint = np.array(SIEMENS_CLEAR_PX), np.array(SIEMENS_FAINT_PX)
    found = int((distances(clear, marks) * pitch <= MATCH_MM).sum())
    known = np.concatenate([clear, faint])
    false = marks[distances(marks, known) * pitch > MATCH_MM]
    places = ", ".join(f"({row:.0f}, {col:.0f})" for row, col in false)
    name = "Siemens biopsy view"
    yield Row(name, 1, f"found of {len(clear)} clear calcifications", str(found))
    yield Row(name, 1, "false marks", f"{len(false)}" + (f": {places}" if places else ""))
    likeliest = sorted(prediction.probabilities.items(), key=lambda item: -item[1])[:2]
    answer = ", ".join(f"{distribution} {p:.2f}" for distribution, p in likeliest)
    answer = answer if prediction.distribution else f"none named; if there is a lesion {answer}"
    yield Row(name, 1, "distribution (*grouped* is expected)", answer)


def distances(points: Float, others: Float) -> Float:
    """Distance of every point to the nearest other; infinite without any."""
    return np.asarray(cKDTree(others).query(points)[0]) if len(others) else np.full(len(points), np.inf)


def _auc_row(dataset: str, measure: str, positive: NDArray[np.bool_], score: Float, *, seed: int = 0) -> Row:
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(1000):
        rows = rng.integers(len(score), size=len(score))
        drawn.append(binary_auc(positive[rows], score[rows]))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    value = f"{binary_auc(positive, score):.3f} [{low:.3f}, {high:.3f}]"
    return Row(dataset, len(score), measure, value)
