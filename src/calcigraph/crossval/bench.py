"""The bench of one fold: what every contestant is given, and where it leaves its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calcigraph.config import Config
from calcigraph.crossval.folds import Fold
from calcigraph.crossval.options import StudyOptions
from calcigraph.errors import BadModel
from calcigraph.io import Case, Dataset, labels_of
from calcigraph.io.tables import read_table, write_table
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.metrics import class_shares, fill_unknown, is_known
from calcigraph.prevalence import EQUAL, expect, shares_of
from calcigraph.provenance import fingerprint
from calcigraph.training import EpochReport, Reporter, Workers

Float = NDArray[np.float64]

PROBABILITIES = tuple(f"p_{name}" for name in DISTRIBUTIONS)
ANSWER_COLUMNS = (
    "image_id",
    "patient_id",
    "fold",
    "model",
    "truth",
    "distribution",
    "answered",
    *PROBABILITIES,
)
PREDICTIONS = "predictions.csv"


class StudyReporter(Reporter, Protocol):
    """Hears how a study goes on."""

    def answered(self, fold: int, model: str, *, before: bool) -> None:
        """A model has answered a fold, now or in an earlier run."""
        ...


@dataclass(frozen=True)
class FoldReporter:
    """Says of everything heard to which fold and model it belongs."""

    reporter: Reporter
    prefix: str

    def stage(self, name: str, done: int, total: int) -> None:
        """So many images of a stage are done."""
        self.reporter.stage(f"{self.prefix}: {name}", done, total)

    def epoch(self, network: str, report: EpochReport) -> None:
        """An epoch of a network has ended."""
        self.reporter.epoch(f"{self.prefix}: {network}", report)


@dataclass(frozen=True)
class Bench:
    """One fold.

    Attributes:
        run: folder of the study.
        fold: who is tested.
        dataset: its cases marked `train`, `validation` and `test`.
        options: of the study.
        device: where to train and predict.
        workers: devices that share the training of an image network.
        reporter: hears of the progress.
    """

    run: Path
    fold: Fold
    dataset: Dataset
    options: StudyOptions
    device: str
    workers: Workers
    reporter: StudyReporter

    @property
    def folder(self) -> Path:
        """Folder of the fold."""
        return self.run / f"fold_{self.fold.number}"

    @property
    def images(self) -> Path:
        """Folder of the small images, which all folds share; cut out by these settings of the breast."""
        cut = fingerprint(self.options.default.breast)[:8]
        return self.run / "images" / f"{self.options.image_size_px}-{cut}"

    def candidates(self, config: Config) -> Path:
        """Folder of the candidates that these settings give, which all folds and models of them share."""
        return self.run / "candidates" / fingerprint(config.breast, config.candidates, config.patch)[:8]

    def pretraining(self, config: Config) -> Path:
        """Folder of the pretraining by these settings, which sees no image and is the same in every fold."""
        # The patch networks draw their first weights before the graph network does.
        drawn_before = (config.patch, config.confirm)
        marks = (config.seed, *drawn_before, config.graph, config.network, config.pretraining)
        return self.run / "pretraining" / fingerprint(*marks)[:8]

    def labelled(self, part: str) -> list[Case]:
        """Cases of a part whose distribution is known; of `test`, these are the ones to answer."""
        return [c for c in self.dataset.cases if c.split == part and c.distribution is not None]

    def hear(self, model: str) -> FoldReporter:
        """A reporter for a model on this fold."""
        return FoldReporter(self.reporter, f"fold {self.fold.number}, {model}")

    def shares(self) -> Float:
        """Share of each class among the images that do not belong to test patients, (5,)."""
        return class_shares(labels_of(self.labelled("train") + self.labelled("validation")))

    def expect(self, probabilities: Float, weight: float) -> Float:
        """Move answers (n, 5) for equal shares towards those of the training data, so far (`shift`); NaN stays."""
        return expect(probabilities, self.shares(), weight)

    def expected(self, weight: float) -> Float:
        """Probabilities (5,) of an image that says nothing, moved so."""
        return np.asarray(self.expect(EQUAL[None], weight)[0])

    def write_answers(self, model: str, probabilities: Float) -> None:
        """Write the answers (n, 5) to the test cases; rows of NaN are images without an answer.

        They count as answered with the class shares of the training data.
        """
        cases = self.labelled("test")
        filled = fill_unknown(probabilities, self.shares())
        table = pd.DataFrame(
            {
                "image_id": [case.image_id for case in cases],
                "patient_id": [case.patient_id for case in cases],
                "fold": self.fold.number,
                "model": model,
                "truth": [str(case.distribution) for case in cases],
                "distribution": [str(DISTRIBUTIONS[k]) for k in filled.argmax(axis=1)],
                "answered": is_known(probabilities).astype(int),
            }
        )
        table[list(PROBABILITIES)] = filled
        write_table(self.folder / model / PREDICTIONS, table[list(ANSWER_COLUMNS)])


def shift(config: Config, *, balanced: bool) -> float:
    """How far answers are moved from equal shares to those of the training data (`prevalence.expect`), in [0, 1].

    As far as `predict` moves its own by these settings; not at all where training did not weigh classes equally.
    """
    is_equal = np.allclose(shares_of(config.prevalence), EQUAL)
    return config.prevalence_weight if balanced and not is_equal else 0.0


def read_left(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table that a contestant left, these of its columns or all.

    Raises:
        BadModel: it is damaged.
    """
    try:
        table = read_table(path)
        return table[list(columns)] if columns else table
    except (OSError, ValueError, KeyError) as error:
        raise BadModel(
            f"{path} that cannot be read ({type(error).__name__})",
            allowed="the file that crossval wrote",
            do="delete the folder of its model in that fold, which is then trained again",
        ) from None
