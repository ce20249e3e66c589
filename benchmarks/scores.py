"""Every score of a model, on one page: simulated, semi-real and real sets apart. Run by `make scores`.

Takes a folder with the evaluations that `calcigraph evaluate` left (`simulated/`, and `semi_real/` where there is
one) and, where CALCIGRAPH_DATA names a folder with them, measures on the real sets itself. Writes Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from parts import answers, class_lines, part_lines
from real_sets import Row, measure_all
from tables import confusion_lines

from calcigraph.breasts import any_view, breasts_of, fuse_views
from calcigraph.config import Config
from calcigraph.io import read_dataset
from calcigraph.io.tables import read_table
from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE
from calcigraph.metrics import (
    Interval,
    Scores,
    answers_of,
    bootstrap,
    calibration_error,
    constant_answer,
    count_confusions,
    fill_unknown,
    is_known,
    multiclass_auc,
    scores,
)
from calcigraph.pipeline import Pipeline
from calcigraph.prevalence import expect, expected_of, shares_of

SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro one-vs-rest AUC",
    "kappa": "Cohen's κ",
    "ece": "expected calibration error",
}


EQUALLY_FREQUENT = (
    "All five are equally frequent in this set, so the second column is the one to judge the calibration by: the first "
    "expects some more often than they are here."
)


def labelled(said: pd.DataFrame, data: Path) -> pd.DataFrame:
    """Return the answers for labelled views, breast and view beside them, less classes with a single patient."""
    table = said.dropna(subset=["truth"])
    patients = table.groupby("truth")["patient_id"].transform("nunique")
    cases = {case.image_id: case for case in read_dataset(data).cases}
    shown = [cases[image_id] for image_id in table["image_id"]]
    table = table.assign(breast=breasts_of(shown), view=[str(case.view) for case in shown])
    return table[patients > 1]


def expecting_equally(given: np.ndarray, config: Config) -> np.ndarray:
    """Take the expected frequencies out of probabilities (n, 5) again (`prevalence.expect`)."""
    return expect(given, shares_of(config.prevalence), -config.prevalence_weight)


def judge_of(config: Config) -> Callable[..., Scores]:
    """Return what judges answers, knowing what an image without a calcification says."""
    return partial(scores, unknown=expected_of(config.prevalence, config.prevalence_weight))


def distribution_table(table: pd.DataFrame, config: Config) -> list[str]:
    (labels, given, named), patients = answers(table), table["patient_id"]
    judge = judge_of(config)
    breasts = table["breast"].tolist()
    first, fused = fuse_views(given, breasts)
    fused_named, of_breasts = any_view(named, breasts), patients.iloc[first].tolist()
    views = bootstrap(labels, given, named, patients=patients.tolist(), seed=0, judge=judge)
    both = bootstrap(labels[first], fused, fused_named, patients=of_breasts, seed=0, judge=judge)
    level = bootstrap(labels, expecting_equally(given, config), named, patients=patients.tolist(), seed=0)
    constant = [asdict(constant_answer(each)) for each in (labels, labels[first])]
    lines = [
        f"| | one view (n = {len(labels)}) | … expecting all five equally often | CC and MLO fused (n = {len(first)}) "
        "| always the same answer: one view; fused |",
        "|---|---|---|---|---|",
    ]
    for key, name in SHOWN.items():
        cells = (
            str(views[key]),
            str(level[key]),
            str(both[key]),
            "; ".join(f"{each[key]:.3f}" for each in constant),
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    alone = bootstrap(labels[named], given[named], patients=patients[named].tolist(), seed=0)
    empty = int((~is_known(given)).sum())
    level_set = len(set(np.bincount(labels, minlength=len(DISTRIBUTIONS)))) == 1
    gained = fusing_gain(
        labels,
        given,
        patients.to_numpy(str),
        breasts,
        expected_of(config.prevalence, config.prevalence_weight),
    )
    return [
        *lines,
        "",
        f"{int((~named).sum())} views are not named (too little evidence), which is never right; AUC and calibration",
        f"error go by their probabilities. {empty} of them show nothing at all: to the AUC the probabilities of an",
        "image that says nothing, no part of the calibration error. That error is greater on a draw than on all views:",
        "its interval is the basic bootstrap's.",
        f"The {int(named.sum())} named ones alone have a macro AUC of {alone['macro_auc']} and a",
        f"calibration error of {alone['ece']}.",
        calibration_line(given, config),
        *([EQUALLY_FREQUENT] if level_set else []),
        f"Macro AUC of breasts, views fused, less that of single views, of the same drawn patients: "
        f"{gained.value:+.3f} [{gained.low:+.3f}, {gained.high:+.3f}].",
    ]


def calibration_line(given: np.ndarray, config: Config) -> str:
    """Say how honest the best of so many probabilities could seem."""
    level = expecting_equally(given[is_known(given)], config)
    rng = np.random.default_rng(0)
    ideal = [calibration_error(drawn_by(level, rng), level) for _ in range(1000)]
    low, high = np.quantile(ideal, [0.025, 0.975])
    return (
        "Were the probabilities of all views true (all five expected equally often), their calibration error would be "
        f"{np.mean(ideal):.3f} [{low:.3f}, {high:.3f}]."
    )


def drawn_by(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a label for each row of probabilities (n, 5), as if they were true: (n,)."""
    below = rng.random((len(probabilities), 1)) > probabilities.cumsum(axis=1)
    return below.sum(axis=1).clip(max=len(DISTRIBUTIONS) - 1)


def fusing_gain(
    labels: np.ndarray, given: np.ndarray, patients: np.ndarray, breasts: list[str], unknown: np.ndarray
) -> Interval:
    """Return how far the macro AUC of fused breasts is above that of single views, the same patients drawn."""
    first, fused = fuse_views(given, breasts)
    views, fused = fill_unknown(given, unknown), fill_unknown(fused, unknown)
    rng = np.random.default_rng(0)
    names = np.unique(patients)
    of_views, of_breasts = (
        {name: np.flatnonzero(of == name) for name in names} for of in (patients, patients[first])
    )

    def gain(drawn: np.ndarray) -> float:
        one, both = (np.concatenate([rows[name] for name in drawn]) for rows in (of_views, of_breasts))
        single = multiclass_auc(labels[one], views[one], average="macro")
        return multiclass_auc(labels[first][both], fused[both], average="macro") - single

    drawn = [gain(rng.choice(names, len(names))) for _ in range(1000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(gain(names), float(low), float(high))


def confusion_table(table: pd.DataFrame) -> list[str]:
    labels, given, named = answers(table)
    return confusion_lines("truth \\ answer", count_confusions(labels, answers_of(given, named)))


def detection_lines(metrics: dict[str, Any]) -> list[str]:
    kept, curve = metrics["detection"], metrics["found_at"]
    at = f"{curve['value']:.3f} [{curve['low']:.3f}, {curve['high']:.3f}]"
    return [
        f"Detection, {kept['targets']} visible calcifications on {kept['images']} images, matched within 0.5 mm "
        "(a mark may find several):",
        f"{at} found at {curve['false_per_cm2']} false marks per cm² of breast; at the model's own",
        f"threshold {kept['true_positive_rate']:.3f} found at {kept['false_per_cm2']:.3f} per cm².",
    ]


def section(title: str, folder: Path, data: Path, config: Config) -> list[str]:
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    about = metrics["dataset"]
    said = read_table(folder / "predictions.csv")
    table = labelled(said, data)
    lines = [f"## {title}", "", f"{about['name']} ({about['source']}). {metrics['protocol']}.", ""]
    if lone := int(said["truth"].notna().sum()) - len(table):
        lines += [f"Views of distributions with a single patient ({lone}) count in the detection alone.", ""]
    lines += [*distribution_table(table, config), "", *confusion_table(table), ""]
    lines += [*normal_lines(said), *detection_lines(metrics), ""]
    return [
        *lines,
        "Where it fails, one view at a time (AUC over the classes that a part has):",
        "",
        *class_lines(table),
        "",
        *part_lines(table, data, judge_of(config)),
        "",
    ]


def normal_lines(table: pd.DataFrame) -> list[str]:
    """Say how many views without a lesion were given a distribution all the same."""
    named = table.loc[table["truth"].isna(), "distribution"]
    if named.empty:
        return []
    counts = ", ".join(f"{count} {name}" for name, count in named.value_counts().items())
    return [
        f"Of {len(named)} views without a lesion {named.notna().sum()} are named ({counts or 'none'}).",
        "",
    ]


def real_section(rows: list[Row]) -> list[str]:
    lines = [
        "## Real",
        "",
        "Nothing here trained anything, but rules of the detector's training were settled with these sets in view"
        " (docs/LOG.md). Intervals: images drawn with replacement.",
        "",
    ]
    lines += ["| set | images | measure | value |", "|---|---|---|---|"]
    return lines + [f"| {row.dataset} | {row.images} | {row.measure} | {row.value} |" for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluations", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--out", type=Path, default=Path("docs/scores.md"))
    given = parser.parse_args()
    pipeline = Pipeline.from_pretrained(given.model)
    lines = [f"# Scores of the model `{given.model}`", "", f"{RESEARCH_USE} Made by `make scores`.", ""]
    lines += [
        f"One threshold for all sets, chosen on simulated images: {pipeline.config.confirm.threshold:.3f}.",
        "",
    ]
    lines += section(
        "Simulated", given.evaluations / "simulated", given.evaluations / "simulated-set", pipeline.config
    )
    if (given.evaluations / "semi_real").is_dir():
        lines += section(
            "Semi-real: simulated calcifications inside real outlines",
            given.evaluations / "semi_real",
            given.evaluations / "semi-real-set",
            pipeline.config,
        )
    data = os.environ.get("CALCIGRAPH_DATA")
    if data:
        lines += real_section(list(measure_all(pipeline, Path(data))))
    given.out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(given.out)


if __name__ == "__main__":
    main()
