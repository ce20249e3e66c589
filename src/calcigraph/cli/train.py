"""`calcigraph train`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from calcigraph.cli.terminal import DatasetFolder, Device, Interrupted, TrainingLines, app
from calcigraph.devices import check_device
from calcigraph.errors import BadConfig
from calcigraph.lexicon import RESEARCH_USE


@app.command()
def train(
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option(help="Run folder; a killed run goes on when started again.")],
    preset: Annotated[
        str | None, typer.Option(help="`default` (unless given) or `paper`.", show_default=False)
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with settings, which names its own preset.")
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            help="Keep the detector of this model: where calcifications are not known, or to train the graph network "
            "on images that the detector has not seen."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Same seed and number of threads, same weights; replaces that of --config."),
    ] = None,
    device: Device = "cpu",
) -> None:
    """Train detector and graph network on a data set; the model is OUT/model.

    Loss and score of every epoch are in the run folder's history.csv files.
    """
    check_device(device)
    if preset is not None and config is not None:
        raise BadConfig(
            f"--preset {preset} beside --config {config}",
            allowed="one of the two",
            do="write `preset = ...` into the file",
        )
    from calcigraph.checkpoint import find_model
    from calcigraph.config import load_preset
    from calcigraph.config_toml import read_config
    from calcigraph.io import prepare_folder, read_dataset
    from calcigraph.training import KeptDetector, train_model

    settings = read_config(config) if config is not None else load_preset(preset or "default")
    if seed is not None:
        settings = replace(settings, seed=seed)
    data = read_dataset(dataset)
    kept = KeptDetector.load(find_model(detector)) if detector is not None else None
    prepare_folder(out)
    try:
        trained = train_model(data, settings, out, detector=kept, device=device, reporter=TrainingLines())
    except KeyboardInterrupt:
        raise Interrupted(f"finished epochs are in {out}; the same command goes on from there") from None
    if trained.held_out is None:
        print("held-out patients: none to judge by; nothing says how good the model is")
    else:
        held = trained.held_out.model
        auc = "no macro AUC (one class)" if math.isnan(held.macro_auc) else f"macro AUC {held.macro_auc:.3f}"
        print(f"held-out patients: {auc}, balanced accuracy {held.balanced_accuracy:.3f}")
        print("(they chose epoch, threshold and temperature; `calcigraph evaluate` on other data says more)")
    print(f"model: {trained.folder}")
    print(RESEARCH_USE)
