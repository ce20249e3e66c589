"""`calcigraph calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calcigraph.cli.terminal import (
    SOME_FAILED,
    Device,
    Interrupted,
    RunOrModel,
    Workers,
    app,
    check_workers,
    progress,
)
from calcigraph.devices import check_device
from calcigraph.lexicon import RESEARCH_USE, count


@app.command()
def calibrate(
    model: RunOrModel,
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET",
            help="A data set's folder; it must not have trained the model.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; a killed calibration goes on there.")],
    device: Device = "cpu",
    workers: Workers = None,
) -> None:
    """Make a model's probabilities honest on labelled images; the model is OUT/model.

    Only its temperature changes, and so how sure it is of its answers, and, where the expected shares of the
    distributions then weigh more or less, what it names. Images that the manifest marks validation
    are used, or, where it marks none, all but those marked train (and then test, which are left to evaluate). Exit
    codes: 0 all done, 2 wrong usage, 3 some images failed (they are listed).
    """
    check_device(device)
    check_workers(workers)
    from calcigraph.calibrate import calibrate_model, calibrating_cases
    from calcigraph.checkpoint import find_model
    from calcigraph.io import prepare_folder, read_dataset
    from calcigraph.training.parts import parts_of

    data = read_dataset(dataset)
    prepare_folder(out)
    try:
        cases = calibrating_cases(data)
        with progress(len(cases)) as move:
            done = calibrate_model(
                model,
                data,
                out,
                device=device,
                workers=workers,
                report=lambda number, total: move(number, "images"),
            )
    except KeyboardInterrupt:
        raise Interrupted(f"what was asked is kept in {out}; the same command goes on from there") from None
    for image_id, why in done.failures.items():
        print(f"{image_id}: failed: {why}")
    if trained := parts_of(find_model(model), data, cases).count("train"):
        print(f"{count(trained, 'image')} trained this model: it is too sure of them, and will be of others")
    print(f"{count(done.after.n, 'image')} with a calcification; on {done.empty} more none was found")
    print(f"temperature {done.temperature} (95 %, by drawing patients with replacement)")
    print(
        f"expected calibration error {done.before.ece:.3f} before, {done.after.ece:.3f} after (on the images that "
        "chose it, with their class shares; `calcigraph evaluate` on others says more)"
    )
    print(f"model: {done.folder}")
    print(RESEARCH_USE)
    if done.failures:
        raise typer.Exit(SOME_FAILED)
