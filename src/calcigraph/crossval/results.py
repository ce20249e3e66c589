"""What a study leaves on disk once every fold is answered: tables, numbers, figures, card and page."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import pandas as pd

from calcigraph.crossval.bench import ANSWER_COLUMNS, PREDICTIONS, Bench, read_left
from calcigraph.crossval.beside import Beside, OtherStudy, set_beside
from calcigraph.crossval.budget import Budget, budget_of, histories
from calcigraph.crossval.compare import Comparison, compare_models
from calcigraph.crossval.contestants import CONTESTANTS
from calcigraph.crossval.deletion import deletion_curve
from calcigraph.crossval.figure5 import make_examples
from calcigraph.crossval.graph_models import DELETION
from calcigraph.crossval.table import PAPER_TABLE, Row, labels, make_row, probabilities
from calcigraph.figures import (
    confusion_matrix,
    deletion_curves,
    examples,
    learning_curves,
    roc_curves,
    write_figure,
)
from calcigraph.io.tables import write_json, write_table, write_text
from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE
from calcigraph.metrics import NONE, count_confusions

METRICS_FILE = "metrics.json"
CARD_FILE = "MODEL_CARD.md"


@dataclass(frozen=True)
class Study:
    """A finished study.

    Attributes:
        rows: one for each model, in the order of `CONTESTANTS`.
        comparisons: of every pair.
        deletions: graph model → curve of the deletion test.
        budgets: one for each model.
        beside: image networks in other studies of the same folds.
        folds: how many these answers are of.
        of: how many there are.
        partial: models without a row, as they have answered some of the folds only, with the number of these.
        figures: names of the files in `figures/`.
    """

    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    deletions: dict[str, pd.DataFrame]
    budgets: tuple[Budget, ...]
    beside: tuple[Beside, ...]
    folds: int
    of: int
    partial: dict[str, int]
    figures: tuple[str, ...]


def gather(benches: Sequence[Bench], models: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Read the out-of-fold answers, model → table with every labelled image once, in the same order.

    Raises:
        BadModel: a file of answers is damaged.
    """
    return {
        model: pd.concat(
            [read_left(bench.folder / model / PREDICTIONS, ANSWER_COLUMNS) for bench in benches],
            ignore_index=True,
        )
        for model in models
    }


def write_results(
    benches: Sequence[Bench],
    models: Sequence[str],
    *,
    of: int,
    partial: Mapping[str, int],
    others: Sequence[OtherStudy] = (),
) -> Study:
    """Judge all answers and write predictions.csv, metrics.json, figures and card; the page is `page.write_page`.

    Args:
        benches: of the folds.
        models: that have answered all of them.
        of: how many folds there are.
        partial: other models and how many folds they have answered.
        others: studies to set beside.
    """
    run, options = benches[0].run, benches[0].options
    answers = gather(benches, models)
    write_table(run / PREDICTIONS, pd.concat(answers.values(), ignore_index=True))
    first = next(iter(answers.values()))
    comparisons = compare_models(
        labels(first),
        {model: probabilities(table) for model, table in answers.items()},
        list(first["patient_id"]),
        permutations=options.permutations,
        seed=options.seed,
    )
    deletions = {model: _deletion(benches, model) for model in models if CONTESTANTS[model].kind == "graph"}
    study = Study(
        rows=tuple(
            make_row(model, table, bootstraps=options.bootstraps, seed=options.seed)
            for model, table in answers.items()
        ),
        comparisons=tuple(comparisons),
        deletions={model: curve for model, curve in deletions.items() if len(curve)},
        budgets=tuple(budget_of(benches, model) for model in models),
        beside=tuple(set_beside(answers, others, options)),
        folds=len(benches),
        of=of,
        partial=dict(partial),
        figures=(),
    )
    write_json(run / METRICS_FILE, _numbers(study, benches))
    write_text(run / CARD_FILE, _card(study, benches))
    return replace(study, figures=_draw(benches, answers, study))


def _deletion(benches: Sequence[Bench], model: str) -> pd.DataFrame:
    tables = [read_left(bench.folder / model / DELETION) for bench in benches]
    options = benches[0].options
    whole = pd.concat([each for each in tables if len(each)] or tables[:1], ignore_index=True)
    return deletion_curve(whole, bootstraps=options.bootstraps, seed=options.seed)


def _numbers(study: Study, benches: Sequence[Bench]) -> dict[str, object]:
    dataset = benches[0].dataset
    return {
        "notice": RESEARCH_USE,
        "dataset": {"name": dataset.name, "source": dataset.source, "images": len(dataset)},
        "protocol": f"{study.folds} of {study.of} folds by patient; pooled: out-of-fold answers, 95 % bootstrap by "
        "patient",
        "models": [asdict(row) for row in study.rows],
        "comparisons": [asdict(each) for each in study.comparisons],
        "beside": [asdict(each) for each in study.beside],
        "some folds only": study.partial,
        "deletion": {model: curve.to_dict("list") for model, curve in study.deletions.items()},
        "paper, another data set": [asdict(row) for row in PAPER_TABLE],
    }


def _draw(benches: Sequence[Bench], answers: Mapping[str, pd.DataFrame], study: Study) -> tuple[str, ...]:
    """Draw what there is to draw, in place of what an earlier call drew; returns the files' names."""
    folder = benches[0].run / "figures"
    shutil.rmtree(folder, ignore_errors=True)
    drawn = {}
    for model, table in answers.items():
        y, p = labels(table), probabilities(table)
        counts = count_confusions(y, p.argmax(axis=1))
        drawn[f"confusion_{model}.png"] = confusion_matrix(counts[:, :NONE], DISTRIBUTIONS)
        drawn[f"roc_{model}.png"] = roc_curves(y, p, DISTRIBUTIONS)
    curves = {CONTESTANTS[m].title: histories(benches, m) for m in answers}
    curves = {title: tables for title, tables in curves.items() if tables}
    if curves:
        drawn["learning_curves.png"] = learning_curves(curves)
    if study.deletions:
        titled = {CONTESTANTS[model].title: curve for model, curve in study.deletions.items()}
        drawn["deletion.png"] = deletion_curves(titled)
    if rows := make_examples(benches, answers):
        drawn["examples.jpg"] = examples(rows)
    for name, figure in drawn.items():
        write_figure(folder / name, figure)
    return tuple(drawn)


def _card(study: Study, benches: Sequence[Bench]) -> str:
    dataset = benches[0].dataset
    return "\n".join(
        [
            "# A study by cross-validation",
            "",
            f"**{RESEARCH_USE}**",
            "",
            f"The models in `fold_k/` were trained on parts of {dataset.name} ({len(dataset)} images) to judge a",
            "method, and are not for use: `calcigraph train` makes a model from all of the data.",
            "",
            f"- Source of the data: {dataset.source}. Licence: {dataset.licence}.",
            f"- {study.folds} of {study.of} folds by patient (`splits.json`), every setting in `config.toml`.",
            "- Macro one-vs-rest AUC over all out-of-fold answers, 95 % bootstrap interval by patient:",
            *(f"  - {row.title}: {at}" for row in study.rows for at in (row.pooled["macro_auc"],)),
            "",
        ]
    )
