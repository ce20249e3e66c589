"""`calcigraph crossval`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calcigraph.cli.terminal import DatasetFolder, Device, Interrupted, TrainingLines, app
from calcigraph.devices import check_device
from calcigraph.errors import BadConfig
from calcigraph.lexicon import RESEARCH_USE, count

if TYPE_CHECKING:
    from calcigraph.config import Config
    from calcigraph.crossval import Study

ALL = "all"


@app.command()
def crossval(
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option(help="Run folder; a killed study goes on when started again.")],
    models: Annotated[
        str,
        typer.Option(
            help="Comma-separated, or `all`: paper, default, default-scratch, default-finetuned, "
            "resnet50, densenet121, mobilenetv2, efficientnet-b7, boosting, rule, constant."
        ),
    ] = "paper,default,default-finetuned,boosting,rule,constant",
    folds: Annotated[int, typer.Option(help="By patient.")] = 5,
    first_folds: Annotated[
        int, typer.Option(help="Run only so many folds, to try something dear on a part; 0 runs all.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Same seed, same numbers.")] = 0,
    image_size: Annotated[int, typer.Option(help="Side in pixels of what image networks see.")] = 256,
    image_epochs: Annotated[int, typer.Option(help="Epochs of the image networks.")] = 30,
    batch: Annotated[int, typer.Option(help="Images in a batch of the image networks.")] = 8,
    precision: Annotated[
        str,
        typer.Option(
            help="Of the image networks' training: `32-true`, or `bf16-mixed` in half the time where the machine "
            "computes in bfloat16."
        ),
    ] = "32-true",
    pretrained: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="ImageNet weights of an image network, as safetensors."),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            help="Keep the detector of this model; for data sets whose calcifications are not known. "
            "default-finetuned always keeps that of the shipped model."
        ),
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option(
            help="TOML file with settings of `default` or `paper`, as its `preset` says; the seed is --seed."
        ),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of another study of the same data, folds and seed, say at another --image-size: the page "
            "shows its image networks beside those of this one."
        ),
    ] = None,
    device: Device = "cpu",
    devices: Annotated[int, typer.Option(help="Devices that share the training of an image network.")] = 1,
    strategy: Annotated[str, typer.Option(help="How they share it: `ddp`.")] = "ddp",
) -> None:
    """Reproduce the paper's study on a data set: folds by patient, every model on the same ones.

    Writes splits.json, predictions.csv (out of fold), metrics.json, figures and report.html into the run folder.
    Models can be added by a later call with the same options; what others have answered stays.
    """
    check_device(device)
    from calcigraph.crossval import CONTESTANTS, IMAGE_TRAINING, StudyOptions, line_up, run_study
    from calcigraph.crossval.folds import lone_classes
    from calcigraph.io import prepare_folder, read_dataset
    from calcigraph.training import Workers

    names = line_up(CONTESTANTS if models == ALL else (n.strip() for n in models.split(",") if n.strip()))
    settings = _settings(config or [])
    options = StudyOptions(
        folds=folds,
        first_folds=first_folds,
        seed=seed,
        image_size_px=image_size,
        image_training=replace(IMAGE_TRAINING, epochs=image_epochs, batch_size=batch),
        image_precision=precision,
        detector=detector or "",
        pretrained=_files(pretrained or []),
        paper=settings["paper"],
        default=settings["default"],
    )
    workers = Workers.on(device, devices, strategy)
    data = read_dataset(dataset)
    prepare_folder(out)
    try:
        study = run_study(
            data,
            names,
            options,
            out,
            device=device,
            workers=workers,
            beside=beside or [],
            reporter=_StudyLines((first_folds or folds) * len(names)),
        )
    except KeyboardInterrupt:
        raise Interrupted(f"finished folds are in {out}; the same command goes on from there") from None
    _show(study)
    for name in sorted(lone_classes(data.cases)):
        print(f"{name}: left out, as a single patient has it, who cannot both train and be tested")
    print(f"{out / 'report.html'}")
    print(RESEARCH_USE)


def _settings(files: list[Path]) -> dict[str, Config]:
    """Read files of settings, by their presets; those without a file are as they come.

    Raises:
        BadConfig: a file is not valid, or two have one preset.
    """
    from calcigraph.config import PRESETS
    from calcigraph.config_toml import read_config

    given: dict[str, Config] = {}
    for file in files:
        read = read_config(file)
        if read.preset in given:
            raise BadConfig(
                f"a second --config of preset {read.preset!r} ({file})",
                allowed="one file for each preset",
                do="leave one out, or mend its preset",
            )
        given[read.preset] = read
    return {name: make() for name, make in PRESETS.items()} | given


def _files(given: list[str]) -> dict[str, str]:
    """Read NAME=FILE.

    Raises:
        BadConfig: no such network, or no file is named.
    """
    from calcigraph.models.baselines import IMAGE_NETWORKS

    files = {}
    for each in given:
        name, _, file = each.partition("=")
        if name not in IMAGE_NETWORKS or not file:
            raise BadConfig(
                f"--pretrained {each!r}",
                allowed=f"NAME=FILE, NAME one of {', '.join(IMAGE_NETWORKS)}",
                do="mend it",
            )
        files[name] = file
    return files


class _StudyLines(TrainingLines):
    """Progress of a study on standard error: a line for each answer, nothing in a pipe."""

    def __init__(self, total: int) -> None:
        self.done, self.total = 0, total

    def answered(self, fold: int, model: str, *, before: bool) -> None:
        """A model has answered a fold, now or in an earlier run."""
        self.done += 1
        how = "kept from before" if before else "answered"
        self.show(f"[{self.done} of {self.total}] fold {fold}, {model}: {how}", end=True)


def _show(study: Study) -> None:
    shown = ("balanced_accuracy", "macro_f1", "kappa", "accuracy")
    print(f"{'':<36} {'macro AUC':<22}  balanced accuracy  macro F1  κ       accuracy")
    for row in study.rows:
        auc, values = row.pooled["macro_auc"], [row.pooled[name].value for name in shown]
        balanced, f1, kappa, accuracy = (f"{value:.3f}" for value in values)
        print(f"{row.title:<36} {auc!s:<22}  {balanced:<17}  {f1:<8}  {kappa:<6}  {accuracy}")
    for name, folds in study.partial.items():
        print(
            f"{name}: {count(folds, 'fold')} answered, and shown once it has answered all that are shown here"
        )
    tested = sum(share.n for share in study.rows[0].sensitivity.values())
    print(f"{count(tested, 'image')}, each answered by models that did not see its patient")
