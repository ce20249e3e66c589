"""What every model was given: epochs, seconds, and whether it had converged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from calcigraph.checkpoint import CONFIG_FILE
from calcigraph.config_toml import read_config
from calcigraph.crossval.bench import Bench, read_left
from calcigraph.training.state import EpochReport, best_epoch

HISTORY_COLUMNS = tuple(field.name for field in fields(EpochReport))


@dataclass(frozen=True)
class Budget:
    """Training of a model over the folds; NaN where it has no epochs.

    Attributes:
        model: its name.
        seconds: of training in all folds, with the pretraining that they share, without detection.
        epochs: of each of its last trainings.
        best_epoch: median of the epochs that were kept, from 1.
        late_gain: mean rise of the validation score from the first half of the epochs to the second, best to
            best: what is well above 0 had not converged.
        training_loss: mean over the folds of that of the last epoch.
    """

    model: str
    seconds: float
    epochs: float
    best_epoch: float
    late_gain: float
    training_loss: float


def histories(benches: Sequence[Bench], model: str) -> list[pd.DataFrame]:
    """The learning curves of a model, one of each fold: of the network that answers."""
    return histories_in([bench.folder / model for bench in benches])


def histories_in(folders: Sequence[Path]) -> list[pd.DataFrame]:
    """The same of its folders, one in each fold."""
    paths = [next(iter(_answering(folder)), None) for folder in folders]
    return [read_left(path, HISTORY_COLUMNS) for path in paths if path is not None]


def last_loss(curves: Sequence[pd.DataFrame]) -> float:
    """Training loss of the last epoch, the mean over the folds; NaN without any."""
    return float(np.mean([table["training_loss"].iloc[-1] for table in curves])) if curves else float("nan")


def _answering(folder: Path) -> list[Path]:
    return [p for p in (folder / "distribution" / "history.csv", folder / "history.csv") if p.exists()]


def budget_of(benches: Sequence[Bench], model: str) -> Budget:
    """Sum up the `history.csv` files that a model left, whatever killed and resumed it."""
    folders = [bench.folder / model for bench in benches] + _pretraining(benches, model)
    paths = [path for folder in folders for path in sorted(folder.rglob("history.csv"))]
    everything = [read_left(path, HISTORY_COLUMNS) for path in paths]
    curves = histories(benches, model)
    nothing = float("nan")
    seconds = float(sum(table["seconds"].sum() for table in everything)) if everything else nothing
    if not curves:
        return Budget(model, seconds, nothing, nothing, nothing, nothing)
    return Budget(
        model=model,
        seconds=seconds,
        epochs=float(np.mean([len(table) for table in curves])),
        best_epoch=float(np.median([_best(table) for table in curves])),
        late_gain=float(np.mean([_late_gain(table) for table in curves])),
        training_loss=last_loss(curves),
    )


def _pretraining(benches: Sequence[Bench], model: str) -> list[Path]:
    """Folders of the pretraining that the folds of a graph model share; none for others."""
    settings = ((bench, bench.folder / model / CONFIG_FILE) for bench in benches)
    return sorted({bench.pretraining(read_config(path)) for bench, path in settings if path.exists()})


def _best(history: pd.DataFrame) -> int:
    rows = history.itertuples(index=False, name=None)
    return best_epoch([EpochReport(*row) for row in rows]).epoch + 1


def _late_gain(history: pd.DataFrame) -> float:
    score, half = history["validation_score"].to_numpy(np.float64), len(history) // 2
    if half == 0 or np.isnan(score).any():
        return float("nan")
    return float(score[half:].max() - score[:half].max())
