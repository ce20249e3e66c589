"""Training of the detector: both patch networks, with a second round on what the first took for calcifications."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calcigraph.config import Config
from calcigraph.detect.matching import Label
from calcigraph.io import Case
from calcigraph.models import Networks, predict_patches
from calcigraph.training.candidates import load_image
from calcigraph.training.patches import Patches, train_patch_network
from calcigraph.training.state import Reporter

FIRST_FALSE = 120
"""False candidates per image in the first round, half of them the strongest, half at random."""

MINED_FALSE = 80
"""False candidates per image that the second round adds: those the first round believes in the most."""

FALSE_PER_IMAGE = 0.25
"""False candidates that the threshold lets pass on held-out images. Strict, because real mammograms hold more that
looks like a calcification than simulated ones do, and because a false node bends the graph more than a missing one."""

TRUE_SHARE = 0.25
"""Least share of the true candidates that pass there."""


@dataclass(frozen=True)
class PatchSet:
    """Patches chosen to train on: (n, channels, size, size) float16, 0 or 1, and the patient of each."""

    patches: Patches
    labels: NDArray[np.int64]
    patients: list[str]


@dataclass(frozen=True)
class Road:
    """What every step of a training is given.

    Attributes:
        config: settings, recipes and seed.
        cases: images of training and held-out patients.
        candidates: folder of `detect_dataset`.
        held_out: patients who do not train; epoch, threshold and temperature are chosen on them.
        run: folder for checkpoints and histories.
        device: where to train.
        reporter: hears of the progress.
    """

    config: Config
    cases: Sequence[Case]
    candidates: Path
    held_out: frozenset[str]
    run: Path
    device: str
    reporter: Reporter


def train_detector(networks: Networks, road: Road) -> Config:
    """Train `confirm` and `describe` in place, on cases whose calcifications are known.

    Returns:
        the settings with the threshold of `choose_threshold`.
    """
    config, reporter = road.config, road.reporter

    def train(name: str, chosen: PatchSet) -> None:
        train_patch_network(
            networks.describe if name == "describe" else networks.confirm,
            chosen.patches,
            chosen.labels,
            chosen.patients,
            held_out=road.held_out,
            recipe=config.patch_training,
            seed=config.seed,
            run_dir=road.run / name,
            device=road.device,
            report=lambda epoch: reporter.epoch(name, epoch),
        )

    train("confirm-first", choose_patches(road.cases, road.candidates, seed=config.seed))
    beliefs = believe(networks, road.cases, road, lambda *n: reporter.stage("mine", *n))
    chosen = choose_patches(road.cases, road.candidates, seed=config.seed, beliefs=beliefs)
    train("confirm", chosen)
    train("describe", chosen)
    judges = [case for case in road.cases if case.patient_id in road.held_out] or road.cases
    threshold = choose_threshold(networks, judges, road)
    return replace(config, confirm=replace(config.confirm, threshold=threshold))


def believe(
    networks: Networks,
    cases: Sequence[Case],
    road: Road,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, NDArray[np.float32]]:
    """Return the confirming network's probability of every candidate, by image id."""
    beliefs = {}
    for done, case in enumerate(cases, start=1):
        patches = load_image(road.candidates, case).candidates.patches
        beliefs[case.image_id] = predict_patches(networks.confirm, patches, device=road.device)
        report(done, len(cases))
    return beliefs


def choose_patches(
    cases: Sequence[Case],
    candidates: Path,
    *,
    seed: int,
    beliefs: dict[str, NDArray[np.float32]] | None = None,
) -> PatchSet:
    """Take every true candidate and some false ones of each image; doubtful ones are left out."""
    patches, labels, patients = [], [], []
    for number, case in enumerate(cases):
        image = load_image(candidates, case)
        rng = np.random.default_rng([seed, number])
        belief = None if beliefs is None else beliefs[case.image_id]
        chosen = _choose(image.labels, belief, rng)
        patches.append(image.candidates.patches[chosen])
        labels.append(image.labels[chosen])
        patients += [case.patient_id] * len(chosen)
    return PatchSet(np.concatenate(patches), np.concatenate(labels).astype(np.int64), patients)


def _choose(
    labels: NDArray[np.int8], belief: NDArray[np.float32] | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Candidates come strongest first, so the first false ones are the strongest."""
    false = np.flatnonzero(labels == Label.FALSE)
    strongest, others = false[: FIRST_FALSE // 2], false[FIRST_FALSE // 2 :]
    some = rng.choice(others, size=min(len(others), FIRST_FALSE // 2), replace=False)
    parts = [np.flatnonzero(labels == Label.TRUE), strongest, some]
    if belief is not None:
        parts.append(false[np.argsort(-belief[false], kind="stable")[:MINED_FALSE]])
    return np.unique(np.concatenate(parts))


def choose_threshold(networks: Networks, cases: Sequence[Case], road: Road) -> float:
    """Return the probability from which candidates are kept.

    `FALSE_PER_IMAGE` false ones pass on these images, or more where otherwise less than `TRUE_SHARE` of the true
    ones would: a weak detector still has to give the graph its nodes.
    """
    beliefs = believe(networks, cases, road)
    belief = np.concatenate([beliefs[case.image_id] for case in cases])
    labels = np.concatenate([load_image(road.candidates, case).labels for case in cases])
    true, false = belief[labels == Label.TRUE], np.sort(belief[labels == Label.FALSE])[::-1]
    allowed = round(FALSE_PER_IMAGE * len(cases))
    if not len(true) or len(false) <= allowed:
        return 0.5
    strict = np.ceil(false[allowed] * 1e4) / 1e4
    lenient = np.floor(np.quantile(true, 1 - TRUE_SHARE) * 1e4) / 1e4
    return float(min(strict, lenient))
