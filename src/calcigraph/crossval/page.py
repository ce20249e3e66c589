"""The page of a study: one HTML file with every table and figure, opened from disk, without scripts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from calcigraph.config import paper
from calcigraph.crossval.bench import Bench
from calcigraph.crossval.beside import Beside
from calcigraph.crossval.compare import Comparison
from calcigraph.crossval.contestants import CONTESTANTS
from calcigraph.crossval.options import StudyOptions
from calcigraph.crossval.results import Study
from calcigraph.crossval.table import OUR_METRICS, PAPER_METRICS, PAPER_TABLE, Share, Spread, paper_constant
from calcigraph.io.tables import write_text
from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE, Distribution
from calcigraph.metrics import Interval
from calcigraph.provenance import versions
from calcigraph.report import page_environment

PAGE = "report.html"

POOLED = ("accuracy", *OUR_METRICS)

WORDS = {
    "precision": "precision",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
    "accuracy": "accuracy",
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "macro_auc": "macro AUC",
    "kappa": "Cohen's κ",
}


def write_page(benches: Sequence[Bench], study: Study, *, left_out: Collection[Distribution]) -> Path:
    """Write `report.html` beside `figures/`, to which it links relatively; returns its path.

    Args:
        benches: of the folds.
        study: what was found.
        left_out: distributions of a single patient.
    """
    dataset, options = benches[0].dataset, benches[0].options
    labelled = [case for case in dataset.cases if case.distribution is not None]
    counts = Counter(case.distribution for case in labelled)
    took_part = {row.model for row in study.rows}
    held_out = {
        bench.fold.number: len({case.distribution for case in bench.labelled("validation")})
        for bench in benches
    }
    text = (
        page_environment(FILTERS)
        .get_template("study.html.j2")
        .render(
            notice=RESEARCH_USE,
            dataset=dataset,
            images=len(labelled),
            patients=len({case.patient_id for case in labelled}),
            classes=[(str(name), counts[name]) for name in DISTRIBUTIONS],
            options=options,
            answered=sum(len(bench.labelled("test")) for bench in benches),
            unchosen=[fold for fold, kinds in held_out.items() if kinds == 0],
            untempered=[fold for fold, kinds in held_out.items() if kinds == 1],
            absent=_absent(benches, left_out),
            left_out=sorted(map(str, left_out)),
            study=study,
            took_part=took_part,
            images_took_part=any(CONTESTANTS[name].kind == "image" for name in took_part),
            patch_epochs=paper().patch_training.epochs,
            moved=_moved(options, took_part),
            missing=_missing(study),
            pretraining=_pretraining(options, took_part),
            unlearnt=math.log(sum(counts[name] > 0 for name in DISTRIBUTIONS)),
            titles={name: contestant.title for name, contestant in CONTESTANTS.items()},
            kinds={name: contestant.kind for name, contestant in CONTESTANTS.items()},
            paper_metrics=PAPER_METRICS,
            pooled_metrics=POOLED,
            words=WORDS,
            paper_table=PAPER_TABLE,
            paper_constant=paper_constant(),
            differences=[each for each in study.comparisons if each.p_holm < 0.05],
            distributions=[str(name) for name in DISTRIBUTIONS],
            summary=_summary(study),
            versions=versions(),
        )
    )
    write_text(benches[0].run / PAGE, text)
    return benches[0].run / PAGE


def _number(value: float, decimals: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:.{decimals}f}"


def _spread(value: Spread) -> str:
    return f"{_number(value.mean)} ± {_number(value.sd)}"


def _interval(value: Interval) -> str:
    return f"{_number(value.value)} [{_number(value.low)}, {_number(value.high)}]"


def _share(value: Share) -> str:
    return "–" if value.n == 0 else f"{value.hits / value.n:.2f} ({value.hits} of {value.n})"


FILTERS: dict[str, Callable[..., str]] = {
    "spread": _spread,
    "interval": _interval,
    "share": _share,
    "number": _number,
    "minutes": lambda seconds: _number(seconds / 60, 1),
}
"""What the template calls its ways to show a value."""


def _pretraining(options: StudyOptions, took_part: Collection[str]) -> list[tuple[str, int]]:
    """Titles of the graph models that start on simulated graphs, with their number."""
    graphs = {"paper": options.paper.pretraining.graphs, "default": options.default.pretraining.graphs}
    return [(CONTESTANTS[name].title, n) for name, n in graphs.items() if n and name in took_part]


def _moved(options: StudyOptions, took_part: Collection[str]) -> dict[float, list[str]]:
    """How far answers are moved to the class shares of the training data → titles, but for those that stay."""
    moved: dict[float, list[str]] = {}
    for name in CONTESTANTS:
        if name in took_part and (shift := CONTESTANTS[name].shift(options)):
            moved.setdefault(shift, []).append(CONTESTANTS[name].title)
    return moved


def _missing(study: Study) -> list[str]:
    """Titles of the models without a row, with the number of folds that they have answered, if any."""
    shown = {row.model for row in study.rows}
    return [
        each.title + (f" ({study.partial[name]} of {study.of} folds)" if name in study.partial else "")
        for name, each in CONTESTANTS.items()
        if name not in shown
    ]


def _absent(benches: Sequence[Bench], left_out: Collection[Distribution]) -> list[tuple[int, list[str]]]:
    """Folds that test no image of some class that takes part, with these classes."""
    classes = [name for name in DISTRIBUTIONS if name not in left_out]
    tested = [(b.fold.number, Counter(case.distribution for case in b.labelled("test"))) for b in benches]
    missing = [(number, [str(name) for name in classes if not seen[name]]) for number, seen in tested]
    return [(number, names) for number, names in missing if names]


def _summary(study: Study) -> list[str]:
    """Say in words what the numbers say of the best model of every kind, and which networks were starved."""
    said = []
    best = {
        kind: max(rows, key=lambda row: row.pooled["macro_auc"].value)
        for kind in ("graph", "image", "geometry")
        if (rows := [row for row in study.rows if CONTESTANTS[row.model].kind == kind])
    }
    for row in best.values():
        said.append(f"{row.title}: macro AUC {_interval(row.pooled['macro_auc'])}.")
    if "graph" in best:
        graph = best.pop("graph").model
        said += [_difference(study.comparisons, graph, row.model) for row in best.values()]
    return said + [_starved(each) for each in study.beside if each.gain.low > 0]


def _starved(each: Beside) -> str:
    """Say what an image network gains elsewhere."""
    size = f"{each.image_size_px} × {each.image_size_px}"
    said = (
        f"{CONTESTANTS[each.model].title} was starved: at {size} pixels and {each.epochs} epochs it gains "
        f"{_interval(each.gain)} of macro AUC on {each.images} of these images."
    )
    if math.isnan(each.lead.value):
        return said
    return f"{said} {CONTESTANTS['default'].title} less it, on these images: {_interval(each.lead)}."


def _difference(comparisons: Sequence[Comparison], first: str, second: str) -> str:
    each = next(
        c for c in comparisons if c.statistic == "macro_auc" and {c.first, c.second} == {first, second}
    )
    value = each.difference if each.first == first else -each.difference
    verdict = "a difference" if each.p_holm < 0.05 else "no difference that the test can tell from chance"
    return (
        f"{CONTESTANTS[first].title} less {CONTESTANTS[second].title}: {value:+.3f} of macro AUC, "
        f"p = {each.p_holm:.3g} after Holm's correction: {verdict}."
    )
