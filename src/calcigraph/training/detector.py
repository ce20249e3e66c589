"""Training of the detector: both patch networks on true and false candidates, and the threshold between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from calcigraph.config import Config
from calcigraph.detect.matching import Label
from calcigraph.encode import confirm_candidates, select_nodes
from calcigraph.errors import BadManifest
from calcigraph.io import Case
from calcigraph.models import Networks
from calcigraph.training.candidates import LabelledImage, load_image, load_windows
from calcigraph.training.patches import Patches, train_patch_network
from calcigraph.training.state import Reporter

STRONGEST_FALSE = 60
"""False candidates of each image that train: so many of the strongest ..."""

RANDOM_FALSE = 60
"""... and so many of the others. More of the hardest make the networks better on simulated images and worse on real
ones (docs/LOG.md)."""

BESIDE_MM = 1.8
"""All that lie so near a true one, as far as a patch sees, train too. As every true candidate trains, a few of these
would say that what has a calcification beside it is one."""

PASSING_PER_CM2 = 0.025
"""False marks per cm² of breast that the threshold lets pass on held-out images: enough for lesions of few marks to be
named, few enough for normal breasts to show no group (docs/LOG.md)."""

TRUE_SHARE = 0.25
"""Least share of the true marks that pass there."""


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
        pretraining: folder of `pretrain`.
        held_out: patients who do not train; epoch, threshold and temperature are chosen on them.
        run: folder for checkpoints and histories.
        device: where to train.
        reporter: hears of the progress.
    """

    config: Config
    cases: Sequence[Case]
    candidates: Path
    pretraining: Path
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

    chosen = choose_patches(road.cases, road.candidates, seed=config.seed)
    _require_both(chosen, road.held_out)
    train("confirm", chosen)
    train("describe", chosen)
    judges = [case for case in road.cases if case.patient_id in road.held_out] or road.cases
    threshold = choose_threshold(networks.folded(), judges, road)
    return replace(config, confirm=replace(config.confirm, threshold=threshold))


def _require_both(chosen: PatchSet, held_out: frozenset[str]) -> None:
    """Refuse patches of which one kind is missing.

    Raises:
        BadManifest: no true or no false candidate on an image of a training patient.
    """
    trains = np.array([patient not in held_out for patient in chosen.patients], bool)
    for label, words in ((1, "a known calcification"), (0, "anything else")):
        if not (chosen.labels[trains] == label).any():
            raise BadManifest(
                f"no candidate that lies on {words}, on the images that train",
                allowed="truth/<image_id>.csv with visible calcifications, positions in pixels of the image",
                do="check rows and columns, or keep a shipped detector with --detector",
            )


def choose_patches(cases: Sequence[Case], candidates: Path, *, seed: int) -> PatchSet:
    """Take every true candidate and some false ones of each image and its windows; doubtful ones are left out."""
    patches, labels, patients = [], [], []
    for number, case in enumerate(cases):
        rng = np.random.default_rng([seed, number])
        for image in (load_image(candidates, case), *load_windows(candidates, case)):
            chosen = _choose(image, rng)
            patches.append(image.candidates.patches[chosen])
            labels.append(image.labels[chosen])
            patients += [case.patient_id] * len(chosen)
    return PatchSet(np.concatenate(patches), np.concatenate(labels).astype(np.int64), patients)


def _choose(image: LabelledImage, rng: np.random.Generator) -> NDArray[np.int64]:
    """Candidates come strongest first, so the first false ones are the strongest."""
    true, false = (np.flatnonzero(image.labels == label) for label in (Label.TRUE, Label.FALSE))
    strongest, others = false[:STRONGEST_FALSE], false[STRONGEST_FALSE:]
    some = rng.choice(others, size=min(len(others), RANDOM_FALSE), replace=False)
    places_mm = image.candidates.table[["row_mm", "col_mm"]].to_numpy()
    to_true, _ = cKDTree(places_mm[true]).query(places_mm[false])
    return np.unique(np.concatenate([true, strongest, some, false[to_true < BESIDE_MM]]))


def choose_threshold(networks: Networks, cases: Sequence[Case], road: Road) -> float:
    """Return the probability from which candidates are kept.

    `PASSING_PER_CM2` false marks pass on these images, or more where otherwise less than `TRUE_SHARE` of the true
    ones would: a weak detector still has to give the graph its nodes. A mark is what would be a node.
    """
    config, beliefs, labels, area_cm2 = road.config, [], [], 0.0
    every = replace(config.confirm, threshold=0.0)
    for number, case in enumerate(cases, start=1):
        image = load_image(road.candidates, case)
        belief = confirm_candidates(image.candidates, config, networks, device=road.device)
        marks = select_nodes(image.candidates.table.assign(probability=belief), every)
        beliefs.append(belief[marks])
        labels.append(image.labels[marks])
        area_cm2 += image.breast.area_cm2
        road.reporter.stage("threshold", number, len(cases))
    return _threshold(np.concatenate(beliefs), np.concatenate(labels), area_cm2)


def _threshold(belief: NDArray[np.float64], label: NDArray[np.int8], area_cm2: float) -> float:
    """Return the threshold for marks (n,) in so many cm² of breast; 0.5 where all false ones may pass."""
    true, false = belief[label == Label.TRUE], np.sort(belief[label == Label.FALSE])[::-1]
    allowed = round(PASSING_PER_CM2 * area_cm2)
    if not len(true) or len(false) <= allowed:
        return 0.5
    strict = (np.floor(false[allowed] * 1e4) + 1) / 1e4
    lenient = np.floor(np.quantile(true, 1 - TRUE_SHARE) * 1e4) / 1e4
    return float(min(strict, lenient))
