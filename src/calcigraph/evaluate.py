"""A model against a data set with known answers: predictions, scores with intervals, figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calcigraph.ask import Failed, ask_all
from calcigraph.breasts import any_view, breasts_of, fuse_views
from calcigraph.figures import confusion_matrix, reliability, roc_curves, write_figure
from calcigraph.froc import Detection, FoundAt, MarkedImage, detection_at, found_at, froc
from calcigraph.io import Case, Dataset, labels_of
from calcigraph.io.output import alone_in
from calcigraph.io.tables import write_json, write_table
from calcigraph.judge import Judged, judge, judged
from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE
from calcigraph.metrics import (
    Interval,
    Scores,
    answers_of,
    bootstrap,
    constant_answer,
    count_confusions,
    fill_unknown,
    is_known,
    scores,
)
from calcigraph.pipeline import Pipeline
from calcigraph.provenance import versions
from calcigraph.training.run_folder import made_of

PREDICTION_COLUMNS = (
    "image_id",
    "patient_id",
    "truth",
    "distribution",
    *(f"p_{name}" for name in DISTRIBUTIONS),
    "n_calcifications",
)
COMPARED_AT_PER_CM2 = 0.4
"""Rate of false marks at which detectors are compared."""

FROC = "froc.csv"
FIGURES = ("confusion_matrix", "roc_curves", "reliability")
"""In `figures/`, as PNG."""

UNFINISHED = "judged.jsonl"
"""What a killed evaluation has judged; gone at the end."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on a data set.

    Attributes:
        distribution: metrics with bootstrap intervals by patient; None where no label is known.
        breasts: the same for breasts (`breasts.breasts_of`), whose views are fused; None where no label is known.
        constant: the same metrics of always answering the most frequent class.
        unnamed: labelled images with too little evidence to name a distribution; see `metrics.Scores`.
        detection: of the calcifications that the model keeps; None where no truth is known.
        found_at: share found where `COMPARED_AT_PER_CM2` false marks pass; None where no truth is known.
        failures: image id → why it could not be read.
    """

    distribution: dict[str, Interval] | None
    breasts: dict[str, Interval] | None
    constant: Scores | None
    unnamed: int
    detection: Detection | None
    found_at: FoundAt | None
    failures: dict[str, str]


def evaluate_model(
    pipeline: Pipeline,
    dataset: Dataset,
    out: Path,
    *,
    seed: int = 0,
    workers: int | None = 1,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Predict every image of a data set and write `predictions.csv`, `metrics.json`, `froc.csv` and `figures/`.

    A killed evaluation goes on when it is started again: images that it has judged are not predicted twice.

    Args:
        pipeline: the model.
        dataset: where its manifest marks images `test`, only these.
        out: folder for the results.
        seed: of the bootstrap.
        workers: processes at most, None for one per core; see `ask_all`.
        report: called with images done and images in all.

    Raises:
        LostProcess: a process ended before its work was done.
        BadModel: another process is at work in `out`.
    """
    cases = scored_cases(dataset)
    out.mkdir(parents=True, exist_ok=True)
    every, failures = [], {}
    unfinished = out / UNFINISHED
    asked = ask_all(judge, pipeline, dataset, cases, unfinished, workers=workers)
    with alone_in(out), closing(asked) as answers:
        for done, (case, said) in enumerate(zip(cases, answers, strict=True), start=1):
            if isinstance(said, Failed):
                failures[case.image_id] = said.why
            else:
                every.append(judged(case, said))
            report(done, len(cases))
    write_table(out / "predictions.csv", _table(every))
    labelled = [one for one in every if one.case.distribution is not None]
    kept = [one.kept for one in every if one.kept is not None]
    proposed = [one.proposed for one in every if one.proposed is not None]
    evaluation = Evaluation(
        distribution=_score(labelled, pipeline.expected, seed) if labelled else None,
        breasts=_score_breasts(labelled, pipeline.expected, seed) if labelled else None,
        constant=constant_answer(_labels(labelled)) if labelled else None,
        unnamed=sum(one.distribution is None for one in labelled),
        detection=detection_at(kept, 0.0) if kept else None,
        found_at=_found_at(every, seed),
        failures=failures,
    )
    _write(out, evaluation, labelled, proposed, pipeline.expected, _source(pipeline, dataset, seed))
    unfinished.unlink(missing_ok=True)
    return evaluation


def scored_cases(dataset: Dataset) -> list[Case]:
    """Return the images that are scored: those marked `test`, or all where none is."""
    return [case for case in dataset.cases if case.split == "test"] or list(dataset.cases)


def _found_at(judged: Sequence[Judged], seed: int) -> FoundAt | None:
    known = [(one.proposed, one.case.patient_id) for one in judged if one.proposed is not None]
    if not known:
        return None
    images, patients = zip(*known, strict=True)
    return found_at(images, patients, false_per_cm2=COMPARED_AT_PER_CM2, seed=seed)


def _labels(labelled: Sequence[Judged]) -> NDArray[np.int64]:
    return labels_of(one.case for one in labelled)


def _probabilities(labelled: Sequence[Judged]) -> NDArray[np.float64]:
    return np.array([[one.probabilities[name] for name in DISTRIBUTIONS] for one in labelled])


def _named(labelled: Sequence[Judged]) -> NDArray[np.bool_]:
    return np.array([one.distribution is not None for one in labelled], dtype=bool)


def _score(labelled: Sequence[Judged], unknown: NDArray[np.float64], seed: int) -> dict[str, Interval]:
    patients = [one.case.patient_id for one in labelled]
    given = _labels(labelled), _probabilities(labelled), _named(labelled)
    return bootstrap(*given, patients=patients, seed=seed, judge=partial(scores, unknown=unknown))


def _score_breasts(
    labelled: Sequence[Judged], unknown: NDArray[np.float64], seed: int
) -> dict[str, Interval]:
    """Score breasts, whose views are fused (`breasts_of`); one is named where one of its views is."""
    breasts = breasts_of([one.case for one in labelled])
    first, fused = fuse_views(_probabilities(labelled), breasts)
    patients = [labelled[i].case.patient_id for i in first]
    named = any_view(_named(labelled), breasts)
    given = _labels(labelled)[first], fused, named
    return bootstrap(*given, patients=patients, seed=seed, judge=partial(scores, unknown=unknown))


def _table(judged: Sequence[Judged]) -> pd.DataFrame:
    rows = [
        (
            one.case.image_id,
            one.case.patient_id,
            one.case.distribution,
            one.distribution,
            *(one.probabilities[name] for name in DISTRIBUTIONS),
            one.calcifications,
        )
        for one in judged
    ]
    return pd.DataFrame(rows, columns=PREDICTION_COLUMNS)


def _source(pipeline: Pipeline, dataset: Dataset, seed: int) -> dict[str, object]:
    """What the scores come from: enough to make them again."""
    config = pipeline.config
    return {
        "model": pipeline.model_name,
        "fingerprint": made_of(config, pipeline.networks),
        "temperature": pipeline.temperature,
        "prevalence": {"name": config.prevalence, "weight": pipeline.prevalence_weight},
        "dataset": {"name": dataset.name, "source": dataset.source, "images": len(scored_cases(dataset))},
        "protocol": "every image predicted once; breasts: mean log-probability of their views, "
        "named where one of these is; "
        "95 % bootstrap intervals, patients drawn with replacement",
        "seed": seed,
        "versions": versions(),
    }


def _write(
    out: Path,
    evaluation: Evaluation,
    labelled: Sequence[Judged],
    proposed: Sequence[MarkedImage],
    unknown: NDArray[np.float64],
    source: dict[str, object],
) -> None:
    for path in (out / FROC, *(_figure_path(out, name) for name in FIGURES)):
        path.unlink(missing_ok=True)  # of an earlier evaluation, which may have known more
    write_json(out / "metrics.json", {"notice": RESEARCH_USE, **source, **asdict(evaluation)})
    if proposed:
        write_table(out / FROC, froc(proposed))
    if labelled:
        labels, given = _labels(labelled), _probabilities(labelled)
        counts, known = count_confusions(labels, answers_of(given, _named(labelled))), is_known(given)
        drawn = (
            confusion_matrix(counts, [*DISTRIBUTIONS, "none"]),
            roc_curves(labels, fill_unknown(given, unknown), DISTRIBUTIONS),
            reliability(labels[known], given[known]),
        )
        for name, figure in zip(FIGURES, drawn, strict=True):
            write_figure(_figure_path(out, name), figure)


def _figure_path(out: Path, name: str) -> Path:
    return out / "figures" / f"{name}.png"
