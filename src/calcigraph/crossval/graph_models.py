"""The graph models of a study: detector, features and graph network, trained inside of each fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from calcigraph.checkpoint import find_model, load_model
from calcigraph.config import Config
from calcigraph.crossval.bench import Bench, Float
from calcigraph.crossval.deletion import deletion_table
from calcigraph.crossval.options import FINE_TUNED_RATE
from calcigraph.encode import Encoding, encode_candidates
from calcigraph.io import Case
from calcigraph.io.tables import write_table
from calcigraph.models import Networks, predict_logits
from calcigraph.training import train_model
from calcigraph.training.candidates import detect_dataset, load_image
from calcigraph.training.model import keep_detector

SHIPPED = "default"
"""The model whose weights are trained on."""

DELETION = "deletion.csv"


@dataclass(frozen=True)
class FoldModel:
    """A graph model that was trained in a fold.

    Attributes:
        config: its settings.
        networks: in inference mode.
        temperature: by which the logits are divided.
    """

    config: Config
    networks: Networks
    temperature: float

    @classmethod
    def load(cls, bench: Bench, name: str) -> FoldModel:
        """Read what `answer_by_graph` left."""
        config, networks, temperature = load_model(bench.folder / name / "model")
        for network in (networks.confirm, networks.describe, networks.distribution):
            network.to(bench.device)
        return cls(config, networks, temperature)

    def encode(self, bench: Bench, cases: Sequence[Case], name: str) -> list[Encoding]:
        """Encode cases from their candidates."""
        encodings = []
        for case in cases:
            image = load_image(bench.candidates(self.config), case)
            encodings.append(
                encode_candidates(
                    image.breast,
                    image.candidates,
                    self.config,
                    self.networks,
                    extent_mm=image.extent_mm,
                    distribution=case.distribution,
                    device=bench.device,
                )
            )
            bench.hear(name).stage("encode", len(encodings), len(cases))
        return encodings

    def answer(self, encodings: Sequence[Encoding], *, device: str = "cpu") -> Float:
        """Probabilities (n, 5); NaN where too little was found to name a distribution."""
        network = self.networks.distribution
        logits = predict_logits(network, [each.graph for each in encodings], device=device)
        probabilities = network.probabilities(torch.as_tensor(logits), temperature=self.temperature)
        answers: Float = probabilities.numpy().astype(np.float64)
        few = np.array([len(e.calcifications) < self.config.confirm.at_least for e in encodings], np.bool_)
        answers[few] = np.nan
        return answers


def answer_by_graph(bench: Bench, name: str) -> Float:
    """Train a graph model on the fold, answer its test cases (n, 5) and test its saliency by deletion.

    Raises:
        BadManifest: no truth to train a detector on, or no distribution.
    """
    config, kept, start = _recipe(bench, name)
    candidates = bench.candidates(config)
    detect_dataset(bench.dataset, config, candidates, report=lambda *n: bench.hear(name).stage("detect", *n))
    train_model(
        bench.dataset,
        config,
        bench.folder / name,
        detector=kept,
        start=start,
        candidates=candidates,
        device=bench.device,
        reporter=bench.hear(name),
    )
    model, cases = FoldModel.load(bench, name), bench.labelled("test")
    encodings = model.encode(bench, cases, name)
    answers = model.answer(encodings, device=bench.device)
    named = [(c, e) for c, e, a in zip(cases, encodings, answers, strict=True) if not np.isnan(a).any()]
    table = deletion_table(
        model.networks.distribution,
        named,
        temperature=model.temperature,
        config=model.config.graph,
        orders=bench.options.random_deletions,
        seed=bench.options.seed + bench.fold.number,
    )
    write_table(bench.folder / name / DELETION, table)
    return answers


def _recipe(bench: Bench, name: str) -> tuple[Config, tuple[Config, Networks] | None, Networks | None]:
    """Settings, the detector that is kept, and the weights to start from."""
    options = bench.options
    if name.endswith("-finetuned"):
        shipped, networks, _ = load_model(find_model(SHIPPED))
        config = replace(_gently(shipped, options.default), seed=options.seed)
        return config, (shipped, networks) if options.detector else None, networks
    config = replace(options.paper if name == "paper" else options.default, seed=options.seed)
    if not options.detector:
        return config, None, None
    kept = load_model(find_model(options.detector))[:2]
    return keep_detector(config, kept[0]), kept, None


def _gently(shipped: Config, recipe: Config) -> Config:
    """Return the shipped settings with the recipes of `default`, at a share of their rates and without pretraining."""
    patches, graphs = (
        replace(
            training,
            learning_rate=training.learning_rate * FINE_TUNED_RATE,
            final_learning_rate=training.final_learning_rate * FINE_TUNED_RATE,
        )
        for training in (recipe.patch_training, recipe.graph_training)
    )
    started = replace(shipped.pretraining, graphs=0)
    return replace(shipped, pretraining=started, patch_training=patches, graph_training=graphs)
