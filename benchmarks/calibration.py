"""Extents of simulated lesions beside those of outlines that radiologists drew: writes docs/calibration.md.

Run by `make calibration`. Quantiles of the real outlines are constants of `calcigraph.simulate.extent`; with the
outlines themselves (ddsm_outlines/outlines.json in the folder named by CALCIGRAPH_DATA) it also asks how well their
label follows from their extent.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from calcigraph.lexicon import DISTRIBUTIONS, View
from calcigraph.simulate import read_outlines
from calcigraph.simulate.anatomy import grow_breast
from calcigraph.simulate.extent import OUTLINE_MARGIN_MM, OUTLINES, rectangle
from calcigraph.simulate.patterns import place_lesion
from calcigraph.simulate.projection import project_breast

CASES = 400
SIZES = ["long_mm", "short_mm", "area_mm2"]
SHOWN = (0.1, 0.5, 0.9)
ROWS = (0, 2, 4)  # of `extent.SHARES`


def simulated() -> pd.DataFrame:
    """Two outlines (CC and MLO) of each of `CASES` lesions of every distribution: hulls, widened by the margin."""
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.stack([np.sin(turn), np.cos(turn)], axis=1) * OUTLINE_MARGIN_MM
    rows = []
    for distribution in DISTRIBUTIONS:
        for number in range(CASES):
            rng = np.random.default_rng([number, distribution.place, 7])
            breast = grow_breast(rng)
            centres = np.array([c.centre_mm for c in place_lesion(breast, distribution, rng)])
            for view in (View.CC, View.MLO):
                points = project_breast(breast, view, rng).project(centres)
                widened = (points[:, None] + ring).reshape(-1, 2).astype(np.float32)
                extent, area = rectangle(widened), cv2.contourArea(cv2.convexHull(widened))
                patient = f"{distribution}{number}"
                rows.append((distribution, patient, extent.long_mm, extent.short_mm, area, len(centres)))
    return pd.DataFrame(rows, columns=["distribution", "patient", *SIZES, "count"])


def real() -> pd.DataFrame | None:
    """The outlines themselves, where they are at hand."""
    path = Path(os.environ.get("CALCIGRAPH_DATA", "")) / "ddsm_outlines" / "outlines.json"
    if not path.is_file():
        return None
    rows = []
    for outline in read_outlines(path):
        polygon = np.array(outline.film_mm, dtype=np.float32)
        extent = rectangle(polygon)
        area = float(cv2.contourArea(polygon))
        rows.append((outline.distribution, outline.patient, extent.long_mm, extent.short_mm, area))
    return pd.DataFrame(rows, columns=["distribution", "patient", *SIZES])


def geometry() -> object:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def table_of(sizes: pd.DataFrame) -> list[str]:
    lines = ["| | side | 10 % | 50 % | 90 % |", "|---|---|---|---|---|"]
    for distribution in DISTRIBUTIONS:
        of_class = sizes[sizes["distribution"] == distribution]
        for name in SIZES:
            held = of_class[name].quantile(SHOWN).to_list()
            cells = [f"{value:.0f}" for value in held]
            if distribution in OUTLINES:
                known = getattr(OUTLINES[distribution], name)
                cells = [
                    f"{v:.0f} / {known[i]:.0f} ({v / known[i]:.2f})" for v, i in zip(held, ROWS, strict=True)
                ]
            lines.append(f"| {distribution} | {name} | {' | '.join(cells)} |")
        counts = of_class["count"].quantile(SHOWN).to_list()
        lines.append(
            f"| {distribution} | calcifications | {' | '.join(f'{value:.0f}' for value in counts)} |"
        )
    return lines


def overlap_of(sizes: pd.DataFrame, outlines: pd.DataFrame | None) -> list[str]:
    """Macro AUC, over the four classes with outlines, of a logistic regression on the logarithms of the sizes."""
    sizes = sizes[sizes["distribution"] != "diffuse"]
    lines = ["| trained on | asked about | macro AUC |", "|---|---|---|"]
    lines.append(f"| simulated | simulated (5 folds by patient) | {folds(sizes):.3f} |")
    if outlines is None:
        return [*lines, "", "The outlines were not at hand (CALCIGRAPH_DATA), so nothing is said of them."]
    outlines = outlines[outlines["distribution"] != "diffuse"]
    model = geometry().fit(np.log(sizes[SIZES]), sizes["distribution"].astype(str))
    across = macro(outlines, model.predict_proba(np.log(outlines[SIZES])))
    lines.append(f"| real | real (5 folds by patient) | {folds(outlines):.3f} |")
    return [*lines, f"| simulated | real | {across:.3f} |"]


def folds(sizes: pd.DataFrame) -> float:
    x, y = np.log(sizes[SIZES]), sizes["distribution"].astype(str)
    cut = GroupKFold(5)
    return macro(
        sizes, cross_val_predict(geometry(), x, y, groups=sizes["patient"], cv=cut, method="predict_proba")
    )


def macro(sizes: pd.DataFrame, probabilities: np.ndarray) -> float:
    y = sizes["distribution"].astype(str).to_numpy()
    return float(np.mean([roc_auc_score(y == c, probabilities[:, i]) for i, c in enumerate(np.unique(y))]))


def main() -> None:
    sizes, outlines = simulated(), real()
    text = [
        "# Extents of simulated lesions",
        "",
        f"Written by `make calibration`: {CASES} simulated lesions of each distribution, both views.",
        "The outline of a simulated lesion is the hull of its calcifications in one view, widened by",
        f"{OUTLINE_MARGIN_MM:g} mm, as outlines are drawn loosely. Sides are those of the minimum-area rectangle.",
        "Cells: simulated / DDSM outlines (ratio); DDSM (half of its calcification cases): 253 grouped,",
        "60 linear, 76 segmental, 27 regional. Diffuse has one",
        "outline there and is not compared.",
        "",
        *table_of(sizes),
        "",
        "## How far the classes overlap",
        "",
        "Logistic regression on the logarithms of long side, short side and area; four classes, without diffuse.",
        "",
        *overlap_of(sizes, outlines),
        "",
    ]
    Path("docs/calibration.md").write_text("\n".join(text), encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
