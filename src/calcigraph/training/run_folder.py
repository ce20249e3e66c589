"""What a run folder says of itself: which data and settings it belongs to, with which versions, how long it took."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from calcigraph.checkpoint import CONFIG_FILE
from calcigraph.config import Config
from calcigraph.config_toml import to_toml
from calcigraph.errors import BadModel
from calcigraph.io import Case, Dataset
from calcigraph.io.output import alone_in, refuse_others
from calcigraph.io.tables import read_json, write_json, write_text
from calcigraph.io.truth import truth_path
from calcigraph.models import Networks
from calcigraph.provenance import code_digest, file_digest, fingerprint, versions

RUN_FILE = "run.json"
OWN = (
    CONFIG_FILE,
    "splits.json",
    "images.json",
    "predictions.csv",
    "metrics.json",
    "MODEL_CARD.md",
    "report.html",
    "figures",
    "model",
)
"""What a training or a study writes, and would write over; what else it writes has names of its own."""


@contextmanager
def claim_folder(
    run: Path, dataset: Dataset, key: str, *, settings: str, notes: Mapping[str, object] | None = None
) -> Iterator[None]:
    """Note what a run is made of and, at the end, its seconds; refuse to go on with anything else, or beside another.

    Args:
        run: the folder.
        dataset: on which it is.
        key: a fingerprint of all that decides it.
        settings: all of them, as TOML.
        notes: what else `run.json` says.

    Raises:
        BadModel: the folder holds a run on other data, with other settings or by other code, or another process
            is at work in it.
        BadConfig: it holds no run, but files that a run would write over.
    """
    with alone_in(run):
        held = read_record(run)
        if not held:
            refuse_others(run, OWN, what="holds a file that is of no run")
        if held and held.get("key") != key:
            raise BadModel(
                f"{run} with a run on other data, settings or weights, or by another version of calcigraph",
                allowed="a new folder, or what it was made with",
                do="choose another --out",
            )
        started, before = time.perf_counter(), float(held.get("seconds", 0.0))
        record = {
            "key": key,
            "dataset": {"name": dataset.name, "source": dataset.source, "images": len(dataset)},
            **(notes or {}),
            "versions": versions(),
        }
        try:
            _write(run, record, before)  # first: it says that the others are of this run
            write_text(run / CONFIG_FILE, settings)
            yield
        finally:
            _write(run, record, before + time.perf_counter() - started)


def seconds_so_far(run: Path) -> float:
    """Seconds of the calls that have ended; a call that was killed outright is not counted."""
    return float(read_record(run).get("seconds", 0.0))


def run_key(dataset: Dataset, config: Config, *given: Networks) -> str:
    """Return a fingerprint of all that decides a run; `given` are networks that it does not make itself.

    Images count by what is in them, so that a run goes on with the same data set elsewhere or simulated again.
    """
    return fingerprint(made_of(config, *given), data_key(dataset))


def data_key(dataset: Dataset) -> str:
    """Return a fingerprint of a data set's images, truth and manifest, and of the code that reads them."""
    return fingerprint([case_stamp(dataset, case) for case in dataset.cases], code_digest())


def made_of(config: Config, *given: Networks) -> str:
    """Return a fingerprint of settings and of networks that are given."""
    weights = [[_digest(n.confirm), _digest(n.describe), _digest(n.distribution)] for n in given]
    return fingerprint(to_toml(config), weights)


def _digest(network: nn.Module) -> str:
    """SHA-256 of the tensors of a network."""
    every = hashlib.sha256()
    for tensor in network.state_dict().values():
        every.update(tensor.cpu().contiguous().numpy().tobytes())
    return every.hexdigest()


def case_stamp(dataset: Dataset, case: Case) -> list[str]:
    """Return what tells an image of a data set from any other: its row, and digests of its file and truth."""
    files = (dataset.folder / case.path, truth_path(dataset.folder, case.image_id))
    return [repr(case), *(str(file_digest(file)) for file in files)]


def _write(run: Path, record: Mapping[str, object], seconds: float) -> None:
    write_json(run / RUN_FILE, {**record, "seconds": round(seconds, 1)})


def read_record(run: Path) -> dict[str, Any]:
    """Read what a run folder says of itself; nothing where it says nothing."""
    return read_json(run / RUN_FILE)
