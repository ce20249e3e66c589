"""Another study of the same folds beside this one: what a higher resolution or a larger budget changes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from calcigraph.checkpoint import CONFIG_FILE
from calcigraph.crossval.bench import PREDICTIONS, PROBABILITIES, Float
from calcigraph.crossval.budget import histories_in, last_loss
from calcigraph.crossval.contestants import CONTESTANTS
from calcigraph.crossval.options import StudyOptions
from calcigraph.crossval.table import labels, probabilities
from calcigraph.errors import BadModel
from calcigraph.io.tables import read_table
from calcigraph.metrics import Interval, Labels, bootstrap, multiclass_auc
from calcigraph.training.run_folder import read_record


@dataclass(frozen=True)
class OtherStudy:
    """What is shown of another study.

    Attributes:
        image_size_px: side of what its image networks saw.
        epochs: of their training.
        answers: image network → its out-of-fold answers.
        losses: image network → its training loss in the last epoch, mean over the folds.
    """

    image_size_px: int
    epochs: int
    answers: dict[str, pd.DataFrame]
    losses: dict[str, float]


@dataclass(frozen=True)
class Beside:
    """An image network in this study and in another one, on the images that both answered.

    Attributes:
        model: its name.
        image_size_px, epochs: in the other study.
        images: that both answered.
        training_loss: of the other study's last epoch.
        here, there, gain: macro AUC of this study, of the other, and there less here.
        default, lead: macro AUC of `default` in this study, and how far it is above the network there; NaN without it.
    """

    model: str
    image_size_px: int
    epochs: int
    images: int
    training_loss: float
    here: Interval
    there: Interval
    gain: Interval
    default: Interval
    lead: Interval


@dataclass(frozen=True)
class _Areas:
    here: float
    there: float
    gain: float
    default: float
    lead: float


def read_other(run: Path, *, key: str) -> OtherStudy:
    """Read a finished study.

    Args:
        run: its folder.
        key: of this study; the other must have the same.

    Raises:
        BadModel: no study there, or one of other data, folds or seed.
    """
    if read_record(run).get("key") != key:
        raise BadModel(
            f"{run} as a study to stand beside",
            allowed="the folder of a study of the same data, folds and seed",
            do="give another folder",
        )
    try:
        settings = tomllib.loads((run / CONFIG_FILE).read_text(encoding="utf-8"))
        table = read_table(run / PREDICTIONS)[["image_id", "model", *PROBABILITIES]]
        answers = {str(name): part for name, part in table.groupby("model")}
        images = {name: part for name, part in answers.items() if CONTESTANTS[name].kind == "image"}
        curves = {name: histories_in(sorted(run.glob(f"fold_*/{name}"))) for name in images}
        losses = {name: last_loss(tables) for name, tables in curves.items()}
        return OtherStudy(settings["image_size_px"], settings["image_training"]["epochs"], images, losses)
    except (OSError, ValueError, KeyError) as error:
        raise BadModel(
            f"{run} without a readable {CONFIG_FILE} or {PREDICTIONS} ({error!r})",
            allowed="the folder of a study that has ended",
            do="let it end, or give another folder",
        ) from None


def set_beside(
    answers: Mapping[str, pd.DataFrame], others: Sequence[OtherStudy], options: StudyOptions
) -> list[Beside]:
    """Compare every image network with itself in other studies, on the images that both answered."""
    found = []
    for other in others:
        for model, there in other.answers.items():
            if model in answers:
                here = answers[model][answers[model]["image_id"].isin(there["image_id"])]
                tables = [here, *(_on(here, table) for table in (there, answers.get("default")))]
                intervals = _compare(tables, options)
                loss = other.losses[model]
                found.append(Beside(model, other.image_size_px, other.epochs, len(here), loss, **intervals))
    return found


def _on(here: pd.DataFrame, table: pd.DataFrame | None) -> pd.DataFrame:
    """A table's answers to the images of `here`; NaN without a table."""
    known = pd.DataFrame(columns=["image_id", *PROBABILITIES]) if table is None else table
    return known.set_index("image_id").reindex(here["image_id"])


def _compare(tables: Sequence[pd.DataFrame], options: StudyOptions) -> dict[str, Interval]:
    """Judge answers to the same images: of this study, of the other, and of `default`."""
    return bootstrap(
        labels(tables[0]),
        *map(probabilities, tables),
        patients=list(tables[0]["patient_id"]),
        seed=options.seed,
        repeats=options.bootstraps,
        judge=_areas,
        over_classes=[field.name for field in fields(_Areas)],
    )


def _areas(y: Labels, *tables: Float) -> _Areas:
    here, there, default = (multiclass_auc(y, table, average="macro") for table in tables)
    return _Areas(here, there, there - here, default, default - there)
