"""What looks over a whole batch: `predictions.csv`, `run.json` and the HTML report."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from calcigraph.batch.job import Job
from calcigraph.io.tables import CsvText, write_json, write_text
from calcigraph.lexicon import RESEARCH_USE
from calcigraph.provenance import peak_rss_mb, versions
from calcigraph.report import REPORT, RunFacts, write_report
from calcigraph.results import PREDICTION_COLUMNS, PREDICTIONS, RECORD, RUN, ImageResult

ALL_DONE, SOME_FAILED, NOTHING_PROCESSED = 0, 3, 4


@dataclass(frozen=True)
class BatchResult:
    """What a batch left.

    Attributes:
        results: one per input that was reached, in input order.
        out: the folder.
        reused: ids of the images whose results an earlier run had left.
        not_reached: ids of the images that an interrupted run did not come to.
    """

    results: tuple[ImageResult, ...]
    out: Path
    reused: frozenset[str] = frozenset()
    not_reached: tuple[str, ...] = ()

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.out / REPORT

    @property
    def failures(self) -> tuple[ImageResult, ...]:
        """Those that failed."""
        return tuple(result for result in self.results if result.status != "ok")

    @property
    def unlisted(self) -> tuple[str, ...]:
        """Ids of other images, whose results earlier runs left in the folder; tables and report do not list them."""
        listed = {*(result.image_id for result in self.results), *self.not_reached}
        return tuple(sorted({record.parent.name for record in self.out.glob(f"*/{RECORD}")} - listed))

    @property
    def exit_code(self) -> int:
        """0 all done, 3 some inputs failed, 4 nothing processed."""
        if len(self.failures) == len(self.results):
            return NOTHING_PROCESSED
        return SOME_FAILED if self.failures else ALL_DONE


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = CsvText()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def write_predictions(out: Path, results: Iterable[ImageResult]) -> None:
    """Write `predictions.csv` anew."""
    write_text(out / PREDICTIONS, _csv([PREDICTION_COLUMNS, *(result.row() for result in results)]))


def append_prediction(out: Path, result: ImageResult) -> None:
    """Add a line to `predictions.csv`, so that a killed run has listed what it did."""
    with (out / PREDICTIONS).open("a", encoding="utf-8", newline="") as table:
        table.write(_csv([result.row()]))


def write_summary(job: Job, batch: BatchResult, *, started: datetime, model_seconds: float) -> None:
    """Write what looks over the whole run: `predictions.csv` in input order, `run.json`, the report.

    Args:
        job: settings of the run.
        batch: its results.
        started: when it began.
        model_seconds: time that loading the model took before.
    """
    finished = datetime.now().astimezone()
    seconds = (finished - started).total_seconds() + model_seconds
    weight = job.pipeline.prevalence_weight
    options = {
        "spacing": "as in the files"
        if job.spacing_mm is None
        else f"{job.spacing_mm:g} mm where a file has none",
        "prevalence": f"{job.pipeline.config.prevalence}, weight {weight:g}"
        if weight
        else "as it was learnt",
        "candidates": "written" if job.write_candidates else "not written",
    }
    write_predictions(batch.out, batch.results)
    run = {
        "notice": RESEARCH_USE,
        "started": started.isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        "seconds": seconds,
        "peak_rss_mb": peak_rss_mb(),
        "interrupted": bool(batch.not_reached),
        "versions": versions(),
        "model": {
            "name": job.pipeline.model_name,
            "weights": job.model_digest,
            "settings": asdict(job.pipeline.config),
        },
        "options": {"spacing_mm": job.spacing_mm, "candidates": job.write_candidates},
        "stages": _stages(batch, model_seconds),
        "images": [_image(result, batch) for result in batch.results],
        "not_reached": batch.not_reached,
    }
    write_json(batch.out / RUN, run)
    facts = RunFacts(
        model=job.pipeline.model_name,
        versions=versions(),
        finished=finished.strftime("%Y-%m-%d %H:%M %Z"),
        seconds=seconds,
        options=options,
        not_reached=len(batch.not_reached),
    )
    write_report(batch.out, batch.results, facts)


def _stages(batch: BatchResult, model_seconds: float) -> dict[str, dict[str, float]]:
    """Sum time and take the highest memory mark of each stage over the images computed in this run."""
    stages = {"load model": {"seconds": model_seconds}}
    for result in batch.results:
        if result.image_id in batch.reused:
            continue
        for name, seconds in result.seconds.items():
            stage = stages.setdefault(name, {"seconds": 0.0, "peak_rss_mb": 0.0})
            stage["seconds"] += seconds
            stage["peak_rss_mb"] = max(stage["peak_rss_mb"], result.peak_rss_mb[name])
    return stages


def _image(result: ImageResult, batch: BatchResult) -> dict[str, object]:
    return {
        "image_id": result.image_id,
        "path": result.path,
        "status": result.status,
        "error": result.error,
        "reused": result.image_id in batch.reused,
        "warnings": result.warnings,
        "transforms": result.transforms,
        "seconds": result.seconds,
    }
