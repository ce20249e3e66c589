"""One image of a batch: from its file to its folder of results, or to one line that says why not."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from calcigraph.errors import DISK_FULL, BadConfig, CalcigraphError, UnreadableImage
from calcigraph.io import Source
from calcigraph.provenance import StageClock, code_digest, fingerprint, versions
from calcigraph.records import no_probabilities
from calcigraph.report import REPORT
from calcigraph.results import (
    PREDICTIONS,
    RUN,
    ImageResult,
    discard,
    printable,
    read_record,
    summarise,
    take_back,
    write_overlay,
    write_record,
    write_tables,
)

if TYPE_CHECKING:  # torch takes seconds, and whoever gives a pipeline has it
    from calcigraph.pipeline import Pipeline

RESERVED = frozenset({PREDICTIONS, RUN, REPORT})
"""Names in the output folder that no image's folder can have."""


@dataclass(frozen=True)
class Job:
    """What is the same for every image of a run.

    Attributes:
        pipeline: the model.
        out: the folder in which every image has its own.
        spacing_mm: pixel pitch of files that state none.
        write_candidates: also write `candidates.csv`.
        model_digest: changes with the model's weights.
    """

    pipeline: Pipeline
    out: Path
    spacing_mm: float | None
    write_candidates: bool
    model_digest: str = ""

    def fingerprint(self, source: Source) -> str:
        """Return what changes with the input, the model, the settings or the code."""
        settings = asdict(self.pipeline.config)
        model = (self.pipeline.model_name, self.model_digest, code_digest(), settings)
        return fingerprint(source.real_path, source.digest(), self.spacing_mm, model)

    def earlier(self, source: Source) -> ImageResult | None:
        """Return what an earlier run left of the same input, model, settings and code."""
        record = read_record(self.out / source.image_id, write_candidates=self.write_candidates)
        return record if record is not None and record.fingerprint == self.fingerprint(source) else None

    def run(self, source: Source) -> ImageResult:
        """Read, predict and write one image; whatever goes wrong becomes one line of its result.

        Raises:
            OSError: the disk is full, or a quota is used up.
        """
        clock = StageClock()
        try:
            return self._attempt(source, clock)
        except CalcigraphError as error:
            line = str(error)
        # The one border at which everything is caught: a batch runs for hours over files that nobody has seen,
        # and what one of them brings to light (no memory, a defect of ours or of a library) must
        # not cost the results of the others. It is not hidden: it stands in every output and in the exit code.
        except Exception as error:
            # A full disk is not the image's fault, and stops the next one, too.
            if getattr(error, "errno", None) in DISK_FULL:
                raise
            line = " ".join(f"{type(error).__name__}: {error}".split())[:400]
        return self._failed(source, clock, line)

    def _attempt(self, source: Source, clock: StageClock) -> ImageResult:
        if source.image_id in RESERVED:
            raise UnreadableImage(f"an image named {source.image_id}", allowed="other names", do="rename it")
        folder = self.out / source.image_id
        if folder.exists() and not folder.is_dir():
            raise BadConfig(
                f"{folder}, which is a file",
                allowed="no file where the folder of an image's results goes",
                do="choose another folder with --out",
            )
        input_fingerprint = self.fingerprint(source)
        with clock.stage("read"):
            mammogram = source.open(self.spacing_mm)
        with clock.stage("predict"):
            prediction = self.pipeline.predict(mammogram)
        discard(folder)
        folder.mkdir(exist_ok=True)
        try:
            with clock.stage("write"):
                write_tables(folder, prediction, write_candidates=self.write_candidates)
            with clock.stage("draw"):
                write_overlay(folder, mammogram, prediction)
        except Exception:
            take_back(folder)
            raise
        result = replace(
            summarise(mammogram, prediction, image_id=source.image_id, path=printable(source.label)),
            seconds=clock.seconds,
            predict_seconds=prediction.seconds,
            peak_rss_mb=clock.peak_rss_mb,
            model=self.pipeline.model_name,
            version=versions()["calcigraph"],
            fingerprint=input_fingerprint,
            real_path=printable(source.real_path),
        )
        write_record(folder, result)
        return result

    def _failed(self, source: Source, clock: StageClock, line: str) -> ImageResult:
        # A result of other settings must not stand where these settings failed.
        with suppress(OSError):
            discard(self.out / source.image_id)
        return ImageResult(
            image_id=source.image_id,
            path=printable(source.label),
            status="failed",
            distribution=None,
            probabilities=no_probabilities(),
            n_calcifications=0,
            error=printable(line),
            seconds=clock.seconds,
            peak_rss_mb=clock.peak_rss_mb,
            model=self.pipeline.model_name,
        )
