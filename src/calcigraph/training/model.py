"""Training of a whole model on a data set: detector, graphs, distribution, calibration; a run folder and a model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from calcigraph.checkpoint import load_model, read_card, save_model
from calcigraph.config import Config
from calcigraph.config_toml import to_toml
from calcigraph.encode import Encoding, encode_candidates
from calcigraph.errors import BadManifest
from calcigraph.evidence import Evidence
from calcigraph.familiar import Ranges, ranges_of, statistics
from calcigraph.graph import CalcificationGraph
from calcigraph.io import Case, Dataset
from calcigraph.io.tables import write_json
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.metrics import constant_answer, scores
from calcigraph.models import DistributionNet, Networks, build_networks, predict_logits
from calcigraph.processes import spread_inference
from calcigraph.training.candidates import detect_dataset, load_image, require_truth
from calcigraph.training.card import HeldOut, write_card
from calcigraph.training.detector import Road, train_detector
from calcigraph.training.graphs import classes_of, train_distribution_network
from calcigraph.training.parts import hold_out, note_images, read_parts, training_cases
from calcigraph.training.pretraining import pretrain
from calcigraph.training.run_folder import claim_folder, run_key, seconds_so_far
from calcigraph.training.state import Reporter
from calcigraph.training.temperature import expected_shares, fit_temperature


@dataclass(frozen=True)
class KeptDetector:
    """A model whose detector is kept.

    Attributes:
        config: its settings.
        networks: `confirm` and `describe` are used.
        card: what it says of itself, for the card of the new model.
        parts: what images were to it (`parts.read_parts`).
    """

    config: Config
    networks: Networks
    card: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> KeptDetector:
        """Read a model.

        Raises:
            BadModel: it is damaged.
        """
        config, networks, _ = load_model(folder)
        return cls(config, networks, read_card(folder), read_parts(folder))


@dataclass(frozen=True)
class TrainedModel:
    """What a training leaves.

    Attributes:
        folder: the model.
        config: with the threshold that was chosen.
        temperature: that calibrates the probabilities.
        held_out: scores on the held-out patients (which chose epoch, threshold and temperature), or None
            without any.
    """

    folder: Path
    config: Config
    temperature: float
    held_out: HeldOut | None


def train_model(
    dataset: Dataset,
    config: Config,
    run: Path,
    *,
    detector: KeptDetector | None = None,
    start: Networks | None = None,
    candidates: Path | None = None,
    pretraining: Path | None = None,
    held_out: frozenset[str] | None = None,
    device: str = "cpu",
    reporter: Reporter,
) -> TrainedModel:
    """Train every network on a data set of the contract; a killed run goes on when called again.

    Args:
        dataset: its `training_cases`; those marked `validation` are held out, or, where none are, a share of the
            patients of each class.
        config: settings, recipes and seed.
        run: folder for everything; `run/model` is the result.
        detector: of another model, which is kept; without it the data set must have truth tables, on which a detector
            is trained.
        start: networks to train on, in place of fresh ones; they are changed.
        candidates: folder of `detect_dataset`, where several runs share it; by default `run/candidates`.
        pretraining: folder of `pretrain`, where several runs share it; by default `run/pretraining`.
        held_out: the patients who are held out, in place of those that the manifest marks; none if it is empty.
        device: where to train.
        reporter: hears of the progress.

    Raises:
        BadManifest: nothing to train on.
        BadModel: `run` holds a run on other data, with other settings or other weights to start from.
    """
    cases = training_cases(dataset)
    if detector is not None:
        config = keep_detector(config, detector.config)
    held_out = hold_out(cases, config) if held_out is None else held_out
    _require_labels(cases, held_out)
    if detector is None:
        require_truth(dataset, cases, held_out)
    kept = None if detector is None else detector.networks
    key = run_key(dataset, config, *(networks for networks in (kept, start) if networks is not None))
    with claim_folder(run, dataset, key, settings=to_toml(config)):
        started = time.perf_counter()
        write_json(run / "splits.json", {"validation": sorted(held_out)})
        note_images(run, dataset, cases, held_out, earlier={} if detector is None else detector.parts)
        shown = replace(dataset, cases=tuple(cases))
        candidates = candidates or run / "candidates"
        detect_dataset(shown, config, candidates, report=lambda *n: reporter.stage("detect", *n))
        torch.manual_seed(config.seed)
        networks = start or build_networks(config)
        road = Road(
            config, cases, candidates, pretraining or run / "pretraining", held_out, run, device, reporter
        )
        if kept is None:
            known = [case for case in cases if dataset.truth(case) is not None]
            road = replace(road, config=train_detector(networks, replace(road, cases=known)))
        else:
            networks = replace(networks, confirm=kept.confirm, describe=kept.describe)
        graphs, ranges = _encode(networks, road)
        temperature, held_out_scores = _train_distribution(networks, graphs, road)
        minutes = (seconds_so_far(run) + time.perf_counter() - started) / 60
        trained = TrainedModel(run / "model", road.config, temperature, held_out_scores)
        card = write_card(
            dataset,
            road.config,
            held_out_scores,
            temperature=temperature,
            minutes=minutes,
            detector_card="" if detector is None else detector.card,
        )
        save_model(trained.folder, road.config, networks, temperature=temperature, ranges=ranges, card=card)
    return trained


def _require_labels(cases: Sequence[Case], held_out: frozenset[str]) -> None:
    """Refuse what a graph network cannot be trained on, before a detector is.

    Raises:
        BadManifest: no image of a training patient has a distribution.
    """
    if not any(case.distribution is not None and case.patient_id not in held_out for case in cases):
        raise BadManifest(
            "no image with a distribution that trains",
            allowed=f"images with one of {', '.join(DISTRIBUTIONS)}, not all of them marked test or validation",
            do="fill the distribution column of manifest.csv, or mark fewer of them",
        )


def keep_detector(config: Config, of: Config) -> Config:
    """Return `config` with everything up to the nodes as the detector was trained with; when to name stays its own."""
    return replace(
        config,
        breast=of.breast,
        candidates=of.candidates,
        patch=of.patch,
        confirm=replace(of.confirm, at_least=config.confirm.at_least),
        network=replace(config.network, visual_dim=of.network.visual_dim),
    )


def encode_cases(
    networks: Networks,
    config: Config,
    candidates: Path,
    cases: Sequence[Case],
    *,
    device: str,
    report: Callable[[int, int], None],
) -> Iterator[Encoding]:
    """Encode cases from their candidates, by several processes; the graphs have their distributions."""
    ready = networks.folded()
    work = partial(_encode_case, networks=ready, config=config, candidates=candidates, device=device)
    for done, encoding in enumerate(spread_inference(work, cases, device=device), start=1):
        yield encoding
        report(done, len(cases))


def _encode_case(
    case: Case, *, networks: Networks, config: Config, candidates: Path, device: str
) -> Encoding:
    image = load_image(candidates, case)
    return encode_candidates(
        image.breast,
        image.candidates,
        config,
        networks,
        extent_mm=image.extent_mm,
        distribution=case.distribution,
        member=image.member,
        device=device,
    )


def _encode(networks: Networks, road: Road) -> tuple[list[CalcificationGraph], Ranges]:
    """Return the graph of every case, and what their images are like."""
    graphs, seen = [], []
    for encoding in encode_cases(
        networks,
        road.config,
        road.candidates,
        road.cases,
        device=road.device,
        report=lambda *n: road.reporter.stage("graphs", *n),
    ):
        graphs.append(encoding.graph)
        seen.append(statistics(encoding))
    return graphs, ranges_of(seen)


def _train_distribution(
    networks: Networks, graphs: Sequence[CalcificationGraph], road: Road
) -> tuple[float, HeldOut | None]:
    """Train the graph network in place; return its temperature and its scores on the held-out patients.

    A single calcification is enough to train and to judge, as `predict` gives probabilities from one on.
    """
    config = road.config
    labelled = [
        (graph, case.patient_id)
        for graph, case in zip(graphs, road.cases, strict=True)
        if case.distribution is not None
    ]
    usable = [(graph, patient) for graph, patient in labelled if len(graph.pos)]
    if not any(patient not in road.held_out for _, patient in usable):
        raise BadManifest(
            "no image with a distribution and a calcification that is found",
            allowed=f"images with one of {', '.join(DISTRIBUTIONS)} and a found calcification",
            do="fill the distribution column of manifest.csv, or train the detector longer",
        )
    pretrain(
        networks.distribution,
        config,
        run_dir=road.pretraining,
        device=road.device,
        reporter=road.reporter,
    )
    train_distribution_network(
        networks.distribution,
        [graph for graph, _ in usable],
        [patient for _, patient in usable],
        held_out=road.held_out,
        graph_config=config.graph,
        recipe=config.graph_training,
        seed=config.seed,
        run_dir=road.run / "distribution",
        device=road.device,
        report=lambda epoch: road.reporter.epoch("distribution", epoch),
    )
    judges = [graph for graph, patient in labelled if patient in road.held_out]
    return hold_against(networks.distribution, judges, config, device=road.device)


def hold_against(
    network: DistributionNet, graphs: Sequence[CalcificationGraph], config: Config, *, device: str
) -> tuple[float, HeldOut | None]:
    """Return the temperature of a graph network and its scores, by labelled graphs of held-out patients.

    As by `predict`, those with little evidence are not named, and those without a calcification have no probabilities.
    """
    if not graphs:
        return 1.0, None
    labels, found = classes_of(graphs), np.array([len(graph.pos) > 0 for graph in graphs])
    logits = predict_logits(network, graphs, device=device)
    shares = expected_shares(labels[found], balanced=config.graph_training.balance_classes)
    temperature = fit_temperature(network, logits[found], labels[found], shares=shares)
    answers = network.probabilities(torch.as_tensor(logits), temperature=temperature).numpy()
    answers[~found] = np.nan
    needed = config.confirm.at_least
    named = np.array([not Evidence.of(network, graph, needed=needed).lacks for graph in graphs])
    return temperature, HeldOut(scores(labels, answers, named), constant_answer(labels))
