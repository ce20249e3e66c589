"""Every score of a model, on one page: simulated, semi-real and real sets apart. Run by `make scores`.

Takes a folder with the evaluations that `calcigraph evaluate` left (`simulated/`, and `semi_real/` where there is
one) and, where CALCIGRAPH_DATA names a folder with them, measures on the real sets itself. Writes Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
from real_sets import Row, measure_all

from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE
from calcigraph.pipeline import Pipeline

SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro one-vs-rest AUC",
    "kappa": "Cohen's κ",
    "ece": "expected calibration error",
}


def interval(found: dict[str, float]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def distribution_table(metrics: dict[str, Any]) -> list[str]:
    views, breasts, constant = metrics["distribution"], metrics["breasts"], metrics["constant"]
    lines = [
        f"| | one view (n = {views['n']['value']:.0f}) | CC and MLO fused (n = {breasts['n']['value']:.0f}) "
        "| always the same answer |",
        "|---|---|---|---|",
    ]
    for key, name in SHOWN.items():
        lines.append(f"| {name} | {interval(views[key])} | {interval(breasts[key])} | {constant[key]:.3f} |")
    return [
        *lines,
        "",
        f"{metrics['unanswered']} views got no answer; they count as five equal probabilities.",
    ]


def confusion_table(folder: Path) -> list[str]:
    table = pd.read_csv(folder / "predictions.csv").dropna(subset=["truth"])
    names = [str(name) for name in DISTRIBUTIONS]
    counts = pd.crosstab(table["truth"], table["distribution"].fillna("none"))
    counts = counts.reindex(index=names, columns=[*names, "none"], fill_value=0)
    lines = ["| truth \\ answer | " + " | ".join([*names, "none"]) + " |", "|---" * 7 + "|"]
    return lines + [f"| {name} | " + " | ".join(map(str, counts.loc[name])) + " |" for name in names]


def detection_lines(metrics: dict[str, Any]) -> list[str]:
    kept, curve = metrics["detection"], metrics["found_at"]
    return [
        f"Detection, {kept['targets']} visible calcifications on {kept['images']} images, matched within 0.5 mm:",
        f"{interval(curve)} found at {curve['false_per_cm2']} false marks per cm² of breast; at the model's own",
        f"threshold {kept['true_positive_rate']:.3f} found at {kept['false_per_cm2']:.3f} per cm².",
    ]


def section(title: str, folder: Path) -> list[str]:
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    data = metrics["dataset"]
    lines = [f"## {title}", "", f"{data['name']} ({data['source']}). {metrics['protocol']}.", ""]
    lines += [*distribution_table(metrics), "", *confusion_table(folder), ""]
    return [*lines, *detection_lines(metrics), ""]


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
    lines += section("Simulated", given.evaluations / "simulated")
    if (given.evaluations / "semi_real").is_dir():
        lines += section(
            "Semi-real: simulated calcifications inside real outlines", given.evaluations / "semi_real"
        )
    data = os.environ.get("CALCIGRAPH_DATA")
    if data:
        lines += real_section(list(measure_all(pipeline, Path(data))))
    given.out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(given.out)


if __name__ == "__main__":
    main()
