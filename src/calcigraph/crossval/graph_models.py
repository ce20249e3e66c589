"""The graph models of a study: detector, features and graph network, trained inside of each fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from calcigraph.checkpoint import find_model, load_model
from calcigraph.config import Config
from calcigraph.crossval.bench import Bench, Float, shift
from calcigraph.crossval.deletion import deletion_table
from calcigraph.crossval.options import FINE_TUNED_RATE, StudyOptions
from calcigraph.crossval.saliency import write_nodes
from calcigraph.encode import Encoding
from calcigraph.io import Case
from calcigraph.io.tables import write_table
from calcigraph.metrics import is_known
from calcigraph.models import Networks, predict_probabilities
from calcigraph.provenance import fingerprint
from calcigraph.training import train_model
from calcigraph.training.candidates import detect_dataset, require_truth
from calcigraph.training.model import KeptDetector, encode_cases, keep_detector
from calcigraph.training.run_folder import made_of

SHIPPED = "default"
"""The model whose weights are trained on."""

DETECTOR = "default"
"""The contestant whose detector, in the same fold, also serves those that train none."""

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
        return cls(*load_model(bench.folder / name / "model", device=bench.device))

    def encode(self, bench: Bench, cases: Sequence[Case], name: str) -> list[Encoding]:
        """Encode cases from their candidates."""
        return list(
            encode_cases(
                self.networks,
                self.config,
                bench.candidates(self.config),
                cases,
                device=bench.device,
                report=lambda *n: bench.hear(name).stage("encode", *n),
            )
        )

    def answer(self, encodings: Sequence[Encoding], *, device: str = "cpu") -> Float:
        """Probabilities (n, 5), also where `predict` would name none; NaN where nothing was found."""
        graphs = [each.graph for each in encodings]
        return predict_probabilities(
            self.networks.distribution, graphs, temperature=self.temperature, device=device
        )


@dataclass(frozen=True)
class Recipe:
    """How a graph model is made.

    Attributes:
        config: its settings.
        kept: the detector that is kept; without it one is trained.
        start: weights to train on, in place of fresh ones.
        detector_of: contestant whose detector is kept where there is no `kept`; "" for none.
    """

    config: Config
    kept: KeptDetector | None = None
    start: Networks | None = None
    detector_of: str = ""

    def detector(self, bench: Bench) -> KeptDetector | None:
        """Return the detector that is kept; None where one is trained."""
        if self.kept is None and self.detector_of:
            return KeptDetector.load(bench.folder / self.detector_of / "model")
        return self.kept


def graph_key(options: StudyOptions, name: str, *, recipe_of: Callable[[StudyOptions], Recipe]) -> str:
    """Return a fingerprint of all that makes a graph model but data, folds and seed.

    Raises:
        BadModel: a model to start from or to keep cannot be read.
    """
    recipe = recipe_of(options)
    given = [] if recipe.kept is None else [recipe.kept.networks]
    return fingerprint(name, made_of(recipe.config, *given), options.random_deletions)


def graph_shift(options: StudyOptions, *, recipe_of: Callable[[StudyOptions], Recipe]) -> float:
    """Return how far a graph model's answers are moved (`bench.shift`); raises as `graph_key`."""
    return _shift(recipe_of(options).config)


def _shift(config: Config) -> float:
    return shift(config, balanced=config.graph_training.balance_classes)


def answer_by_graph(bench: Bench, name: str, *, recipe_of: Callable[[StudyOptions], Recipe]) -> Float:
    """Train a graph model on the fold, answer its test cases (n, 5) and test its saliency by deletion.

    Args:
        bench: of the fold.
        name: of the model.
        recipe_of: how it is made, by the options of the study.

    Raises:
        BadManifest: no truth to train a detector on, or no distribution.
    """
    recipe = recipe_of(bench.options)
    config, candidates, detector = recipe.config, bench.candidates(recipe.config), recipe.detector(bench)
    if detector is None:  # before hours of detection
        require_truth(bench.dataset, bench.dataset.cases, bench.fold.test | bench.fold.validation)
    detect_dataset(bench.dataset, config, candidates, report=lambda *n: bench.hear(name).stage("detect", *n))
    train_model(
        bench.dataset,
        config,
        bench.folder / name,
        detector=detector,
        start=recipe.start,
        candidates=candidates,
        pretraining=bench.pretraining(config),
        held_out=bench.fold.validation,
        device=bench.device,
        reporter=bench.hear(name),
    )
    model, cases = FoldModel.load(bench, name), bench.labelled("test")
    encodings = model.encode(bench, cases, name)
    answers = bench.expect(model.answer(encodings, device=bench.device), _shift(config))
    net = model.networks.distribution
    rows = zip(cases, encodings, answers, is_known(answers), strict=True)
    shown = [(case, encoding, answer) for case, encoding, answer, known in rows if known]
    expected = bench.expected(_shift(config))
    write_nodes(bench, name, net, shown, temperature=model.temperature, expected=expected)
    table = deletion_table(
        net,
        shown,
        temperature=model.temperature,
        expected=expected,
        config=model.config.graph,
        orders=bench.options.random_deletions,
        seed=bench.options.seed + bench.fold.number,
    )
    write_table(bench.folder / name / DELETION, table)
    return answers


def as_in_paper(options: StudyOptions) -> Recipe:
    """Train everything by the settings of `paper`."""
    return _anew(options.paper, options)


def by_default(options: StudyOptions) -> Recipe:
    """Train everything by the settings of `default`."""
    return _anew(options.default, options)


def from_scratch(options: StudyOptions) -> Recipe:
    """Train the graph network of `default` on the fold alone, behind the detector of `default`.

    It begins at the rate of the pretraining that it lacks, and is given as many epochs as in the paper.
    """
    recipe = by_default(options)
    lacking = recipe.config.pretraining
    longer = replace(
        recipe.config.graph_training,
        epochs=options.paper.graph_training.epochs,
        learning_rate=lacking.recipe.learning_rate,
    )
    config = replace(recipe.config, pretraining=replace(lacking, graphs=0), graph_training=longer)
    return replace(recipe, config=config, detector_of=DETECTOR)


def fine_tuned(options: StudyOptions) -> Recipe:
    """Keep the shipped detector, which has seen no image of the data set, and train the graph network on."""
    kept = KeptDetector.load(find_model(SHIPPED))
    recipe = options.default.graph_training
    gently = replace(
        recipe,
        learning_rate=recipe.learning_rate * FINE_TUNED_RATE,
        final_learning_rate=recipe.final_learning_rate * FINE_TUNED_RATE,
    )
    started = replace(kept.config.pretraining, graphs=0)
    config = replace(kept.config, seed=options.seed, pretraining=started, graph_training=gently)
    return Recipe(config, kept, kept.networks)


def _anew(config: Config, options: StudyOptions) -> Recipe:
    config = replace(config, seed=options.seed)
    if not options.detector:
        return Recipe(config)
    kept = KeptDetector.load(find_model(options.detector))
    return Recipe(keep_detector(config, kept.config), kept)
