"""Training of a whole model on a data set: detector, graphs, distribution, calibration; a run folder and a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from calcigraph.checkpoint import CONFIG_FILE, save_model
from calcigraph.config import Config, to_toml
from calcigraph.encode import encode_candidates
from calcigraph.errors import BadManifest, BadModel
from calcigraph.graph import CalcificationGraph
from calcigraph.io import Case, Dataset
from calcigraph.io.tables import write_text
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.metrics import Scores, scores
from calcigraph.models import Networks, build_networks, predict_logits
from calcigraph.training.candidates import detect_dataset, load_image, require_truth
from calcigraph.training.card import write_card
from calcigraph.training.detector import train_detector
from calcigraph.training.graphs import labels_of, train_distribution_network
from calcigraph.training.sampling import split_by_patient
from calcigraph.training.state import Reporter
from calcigraph.training.temperature import fit_temperature


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
    held_out: Scores | None


def train_model(
    dataset: Dataset,
    config: Config,
    run: Path,
    *,
    detector: tuple[Config, Networks] | None = None,
    device: str = "cpu",
    reporter: Reporter,
) -> TrainedModel:
    """Train every network on a data set of the contract; a killed run goes on when called again.

    Args:
        dataset: images marked `test` in its manifest are left alone; those marked `validation` are held out,
            or, where none are, a share of the patients of each class.
        config: settings, recipes and seed.
        run: folder for everything; `run/model` is the result.
        detector: settings and networks of a model whose detector is kept; without it the data set must have
            truth tables, on which a detector is trained.
        device: where to train.
        reporter: hears of the progress.

    Raises:
        BadManifest: nothing to train on.
        BadModel: `run` holds a run with other settings.
    """
    cases = [case for case in dataset.cases if case.split != "test"]
    if detector is not None:
        config = replace(
            detector[0],
            network=config.network,
            graph=config.graph,
            graph_training=config.graph_training,
            seed=config.seed,
        )
    else:
        require_truth(dataset)
    _claim(run, dataset, config)
    held_out = hold_out(cases, config)
    write_text(run / "splits.json", json.dumps({"validation": sorted(held_out)}, indent=2) + "\n")
    candidates = run / "candidates"
    detect_dataset(
        replace(dataset, cases=tuple(cases)),
        config,
        candidates,
        report=lambda *n: reporter.stage("detect", *n),
    )
    torch.manual_seed(config.seed)
    networks = build_networks(config)
    if detector is None:
        known = [case for case in cases if dataset.truth(case) is not None]
        config = train_detector(
            networks,
            config,
            known,
            candidates,
            held_out=held_out,
            run=run,
            device=device,
            reporter=reporter,
        )
    else:
        networks = replace(networks, confirm=detector[1].confirm, describe=detector[1].describe)
    temperature, held_out_scores = _train_distribution(
        networks, config, cases, candidates, held_out=held_out, run=run, device=device, reporter=reporter
    )
    trained = TrainedModel(run / "model", config, temperature, held_out_scores)
    save_model(
        trained.folder,
        config,
        networks,
        temperature=temperature,
        card=write_card(dataset, config, held_out_scores, temperature=temperature),
    )
    return trained


def hold_out(cases: Sequence[Case], config: Config) -> frozenset[str]:
    """Return the patients who choose instead of training: those of the manifest, or a share of each class."""
    marked = frozenset(case.patient_id for case in cases if case.split == "validation")
    if marked:
        return marked
    classes = np.array([-1 if case.distribution is None else case.distribution.place for case in cases]) + 1
    patients = [case.patient_id for case in cases]
    share = config.graph_training.validation_share
    split = split_by_patient(patients, classes, share=share, seed=config.seed)
    return frozenset(patients[i] for i in split.validation)


def _claim(run: Path, dataset: Dataset, config: Config) -> None:
    """Note the settings of a run; refuse to go on with others."""
    text = to_toml(config)
    path = run / CONFIG_FILE
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise BadModel(
            f"{run} with a run of other settings",
            allowed="a new folder or the same settings",
            do="choose another --out",
        )
    write_text(path, text)
    write_text(
        run / "dataset.json", json.dumps({"name": dataset.name, "source": dataset.source}, indent=2) + "\n"
    )


def encode_cases(
    networks: Networks,
    config: Config,
    cases: Sequence[Case],
    candidates: Path,
    *,
    device: str,
    report: Callable[[int, int], None],
) -> list[CalcificationGraph]:
    """Return the graph of every case, with its distribution."""
    graphs = []
    for case in cases:
        image = load_image(candidates, case)
        encoding = encode_candidates(
            image.breast,
            image.candidates,
            config,
            networks,
            extent_mm=image.extent_mm,
            distribution=case.distribution,
            device=device,
        )
        graphs.append(encoding.graph)
        report(len(graphs), len(cases))
    return graphs


def _train_distribution(
    networks: Networks,
    config: Config,
    cases: Sequence[Case],
    candidates: Path,
    *,
    held_out: frozenset[str],
    run: Path,
    device: str,
    reporter: Reporter,
) -> tuple[float, Scores | None]:
    """Train the graph network in place; return its temperature and its scores on the held-out patients.

    Graphs with fewer calcifications than a distribution needs do not train: `predict` names none for them.
    """
    labelled = [case for case in cases if case.distribution is not None]
    graphs = encode_cases(
        networks, config, labelled, candidates, device=device, report=lambda *n: reporter.stage("graphs", *n)
    )
    usable = [
        (g, c.patient_id)
        for g, c in zip(graphs, labelled, strict=True)
        if len(g.pos) >= config.confirm.at_least
    ]
    if not usable:
        raise BadManifest(
            "no image with a distribution and enough calcifications",
            allowed=f"images with one of {', '.join(DISTRIBUTIONS)} and {config.confirm.at_least} found calcifications",
            do="fill the distribution column of manifest.csv, or train the detector longer",
        )
    train_distribution_network(
        networks.distribution,
        [graph for graph, _ in usable],
        [patient for _, patient in usable],
        held_out=held_out,
        graph_config=config.graph,
        recipe=config.graph_training,
        seed=config.seed,
        run_dir=run / "distribution",
        device=device,
        report=lambda epoch: reporter.epoch("distribution", epoch),
    )
    judges = [graph for graph, patient in usable if patient in held_out]
    if not judges:
        return 1.0, None
    logits, labels = predict_logits(networks.distribution, judges), labels_of(judges)
    temperature = fit_temperature(networks.distribution, logits, labels)
    probabilities = networks.distribution.probabilities(torch.as_tensor(logits), temperature=temperature)
    return temperature, scores(labels, probabilities.numpy())
