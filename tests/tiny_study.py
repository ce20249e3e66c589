"""A study that takes seconds: two folds of the tiny cohort, two epochs of everything; also run as a program."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from calcigraph.config import TrainingConfig
from calcigraph.crossval import Study, StudyOptions, run_study
from calcigraph.io import read_dataset
from calcigraph.training import Workers
from inline_pool import InlinePool
from tiny_training import CONFIGS, Heard

MODELS = ("default", "mobilenetv2", "boosting", "rule", "constant")

OPTIONS = StudyOptions(
    folds=2,
    seed=3,
    image_size_px=64,
    image_training=TrainingConfig(
        epochs=2, batch_size=4, learning_rate=1e-3, focal_gamma=0.0, balance_classes=True, augment=True
    ),
    paper=CONFIGS["paper"],
    default=CONFIGS["default"],
    bootstraps=20,
    permutations=20,
    random_deletions=2,
)


@dataclass
class HeardStudy(Heard):
    """Hears of a study, and kills it at a word."""

    folds: list[tuple[int, str, bool]] = field(default_factory=list)

    def answered(self, fold: int, model: str, *, before: bool) -> None:
        self.folds.append((fold, model, before))
        self._hear(f"fold {fold}, {model}: answered")


def study(
    cohort: Path,
    run: Path,
    *,
    heard: HeardStudy | None = None,
    models: tuple[str, ...] = MODELS,
    options: StudyOptions = OPTIONS,
    workers: Workers | None = None,
    beside: tuple[Path, ...] = (),
) -> tuple[Study, HeardStudy]:
    """Run it in this process."""
    heard = heard or HeardStudy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("calcigraph.processes.ProcessPoolExecutor", InlinePool)
        result = run_study(
            read_dataset(cohort), models, options, run, workers=workers, beside=beside, reporter=heard
        )
        return result, heard


if __name__ == "__main__":
    study(Path(sys.argv[1]), Path(sys.argv[2]))
