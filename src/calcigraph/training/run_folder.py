"""What a run folder says of itself: which data and settings it belongs to, with which versions, how long it took."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from calcigraph.checkpoint import CONFIG_FILE
from calcigraph.config import Config, to_toml
from calcigraph.errors import BadModel
from calcigraph.io import Case, Dataset
from calcigraph.io.tables import write_text
from calcigraph.io.truth import truth_path
from calcigraph.models import Networks
from calcigraph.provenance import file_stamp, fingerprint, versions

RUN_FILE = "run.json"


@contextmanager
def claim_run(run: Path, dataset: Dataset, config: Config, detector: Networks | None) -> Iterator[None]:
    """Note what a run is made of and, at the end, its seconds; refuse to go on with anything else.

    Raises:
        BadModel: the folder holds a run on other data, with other settings or another version.
    """
    key = run_key(dataset, config, detector)
    path = run / RUN_FILE
    held = _read(path)
    if held and held.get("key") != key:
        raise BadModel(
            f"{run} with a run on other data or settings, or of another version",
            allowed="a new folder, or the same data and settings",
            do="choose another --out",
        )
    write_text(run / CONFIG_FILE, to_toml(config))
    started, before = time.perf_counter(), float(held.get("seconds", 0.0))
    try:
        _write(path, key, dataset, before)
        yield
    finally:
        _write(path, key, dataset, before + time.perf_counter() - started)


def seconds_so_far(run: Path) -> float:
    """Seconds of the calls that have ended; a call that was killed outright is not counted."""
    return float(_read(run / RUN_FILE).get("seconds", 0.0))


def run_key(dataset: Dataset, config: Config, detector: Networks | None) -> str:
    """Return a fingerprint of all that decides a run."""
    kept = "" if detector is None else [_digest(detector.confirm), _digest(detector.describe)]
    cases = [_stamp(dataset, case) for case in dataset.cases]
    return fingerprint(to_toml(config), cases, kept, versions()["calcigraph"])


def _digest(network: nn.Module) -> list[float]:
    """Sums of the tensors of a network, which no other weights share."""
    return [float(tensor.detach().double().sum()) for tensor in network.state_dict().values()]


def _stamp(dataset: Dataset, case: Case) -> list[str]:
    files = (dataset.folder / case.path, truth_path(dataset.folder, case.image_id))
    return [repr(case), *(repr(file_stamp(file)) for file in files)]


def _write(path: Path, key: str, dataset: Dataset, seconds: float) -> None:
    record = {
        "key": key,
        "dataset": {"name": dataset.name, "source": dataset.source, "images": len(dataset)},
        "seconds": round(seconds, 1),
        "versions": versions(),
    }
    write_text(path, json.dumps(record, indent=2) + "\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
