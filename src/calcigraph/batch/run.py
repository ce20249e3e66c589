"""The run over all images: goes on past failures, and from where a killed run stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from calcigraph.batch.job import Job
from calcigraph.batch.summary import BatchResult, append_prediction, write_predictions, write_summary
from calcigraph.io import Source, prepare_folder, with_unique_ids
from calcigraph.io.output import alone_in
from calcigraph.results import ImageResult, printable, read_record

if TYPE_CHECKING:
    from calcigraph.pipeline import Pipeline

OF_OTHERS = ("metrics.json", "splits.json")
"""What evaluations, trainings and studies leave: their predictions and records are not written over."""


def predict_batch(
    sources: Sequence[Source],
    pipeline: Pipeline,
    *,
    out: Path,
    spacing_mm: float | None = None,
    write_candidates: bool = False,
    on_done: Callable[[ImageResult], None] | None = None,
    model_digest: str = "",
    model_seconds: float = 0.0,
) -> BatchResult:
    """Predict every input and write `predictions.csv`, a folder per image, `run.json` and the HTML report.

    A run with the same folder, inputs, model and settings keeps the images that are complete and computes the
    rest. Where the folder holds results of another file of that name, an image gets the next free `image_id`. After
    Ctrl-C the tables and the report hold what was done.

    Args:
        sources: inputs in order, with different `image_id`.
        pipeline: the model.
        out: the folder; made where it does not exist.
        spacing_mm: pixel pitch of files that state none.
        write_candidates: also write `candidates.csv` of every image.
        on_done: called with each result, in order.
        model_digest: changes with the weights, so that results of a model trained anew are not kept.
        model_seconds: time that loading the model took, for `run.json`.

    Raises:
        BadConfig: `out` is a file, holds the results of another command, or cannot be written.
        BadModel: another process is at work in it.
        ValueError: two inputs share an `image_id`.
    """
    if len({source.image_id for source in sources}) < len(sources):
        raise ValueError("inputs of one batch must have different image_id, which name their folders")
    prepare_folder(out, refused=OF_OTHERS)
    job = Job(pipeline, out, spacing_mm, write_candidates, model_digest)
    with alone_in(out):
        sources = with_unique_ids(sources, is_free=partial(_is_free, out))
        return _run(job, sources, on_done, model_seconds)


def _run(
    job: Job, sources: Sequence[Source], on_done: Callable[[ImageResult], None] | None, model_seconds: float
) -> BatchResult:
    out, started = job.out, datetime.now().astimezone()
    earlier = ((source.image_id, job.earlier(source)) for source in sources)
    results = {image_id: result for image_id, result in earlier if result is not None}
    reused = frozenset(results)
    write_predictions(out, results.values())
    try:
        for source in sources:
            if source.image_id not in reused:
                results[source.image_id] = job.run(source)
                append_prediction(out, results[source.image_id])
            if on_done is not None:
                on_done(results[source.image_id])
    finally:
        # Also after Ctrl-C: what is done is listed, in order, and reported.
        ids = [source.image_id for source in sources]
        ordered = tuple(results[image_id] for image_id in ids if image_id in results)
        missing = tuple(image_id for image_id in ids if image_id not in results)
        batch = BatchResult(ordered, out, reused, missing)
        write_summary(job, batch, started=started, model_seconds=model_seconds)
    return batch


def _is_free(out: Path, source: Source, image_id: str) -> bool:
    """Tell whether an image's folder holds no result of another file, of the same name in another folder."""
    record = read_record(out / image_id, write_candidates=False)
    return record is None or record.real_path == printable(source.real_path)
