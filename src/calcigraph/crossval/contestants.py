"""Who takes part in a study, by name; each answers the test cases of one fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from calcigraph.crossval.bench import Bench, Float
from calcigraph.crossval.boosting import answer_by_boosting, boosting_shift
from calcigraph.crossval.cnn import answer_by_image, image_key, image_shift
from calcigraph.crossval.graph_models import (
    DETECTOR,
    Recipe,
    answer_by_graph,
    as_in_paper,
    by_default,
    fine_tuned,
    from_scratch,
    graph_key,
    graph_shift,
)
from calcigraph.crossval.options import StudyOptions
from calcigraph.crossval.rule import answer_by_constant, answer_by_rule
from calcigraph.errors import BadConfig
from calcigraph.provenance import fingerprint


def _unmoved(_: StudyOptions) -> float:
    return 0.0


@dataclass(frozen=True)
class Contestant:
    """One row of the study.

    Attributes:
        title: as tables call it.
        kind: `graph`, `image`, `geometry` or `constant`.
        answer: takes the bench of a fold and the contestant's name; returns probabilities (n, 5) of its labelled
            test cases, NaN where there is no answer.
        key: takes the options and the name; returns a fingerprint of what of the options the answers depend on, next
            to data, folds, seed, `after` and `shift`.
        after: contestants whose work it needs.
        shift: takes the options; returns how far the answers are moved to the class shares of the training data,
            in [0, 1].
    """

    title: str
    kind: str
    answer: Callable[[Bench, str], Float]
    key: Callable[[StudyOptions, str], str]
    after: tuple[str, ...] = ()
    shift: Callable[[StudyOptions], float] = _unmoved


def _graph(
    title: str, recipe_of: Callable[[StudyOptions], Recipe], after: tuple[str, ...] = ()
) -> Contestant:
    answer, key = partial(answer_by_graph, recipe_of=recipe_of), partial(graph_key, recipe_of=recipe_of)
    return Contestant(title, "graph", answer, key, after, partial(graph_shift, recipe_of=recipe_of))


def _image(title: str) -> Contestant:
    return Contestant(title, "image", answer_by_image, image_key, shift=image_shift)


def _name(_: StudyOptions, name: str) -> str:
    return name


CONTESTANTS: dict[str, Contestant] = {
    "paper": _graph("graph, as in the paper", as_in_paper),
    "default": _graph("graph, default", by_default),
    "default-scratch": _graph("graph, default without pretraining", from_scratch, (DETECTOR,)),
    "default-finetuned": _graph("graph, shipped weights fine-tuned", fine_tuned),
    "resnet50": _image("ResNet-50"),
    "densenet121": _image("DenseNet-121"),
    "mobilenetv2": _image("MobileNetV2"),
    "efficientnet-b7": _image("EfficientNet-B7"),
    "boosting": Contestant(
        "boosting on geometry", "geometry", answer_by_boosting, _name, (DETECTOR,), boosting_shift
    ),
    "rule": Contestant("rule of thumb", "geometry", answer_by_rule, _name, (DETECTOR,)),
    "constant": Contestant("constant answer", "constant", answer_by_constant, _name),
}
"""Name → contestant, in the order of the tables."""


def contestant_key(options: StudyOptions, name: str) -> str:
    """Return a fingerprint of all that decides a contestant's answers but data, folds and seed.

    Raises:
        BadModel: a model to start from or to keep cannot be read.
    """
    contestant = CONTESTANTS[name]
    before = [contestant_key(options, other) for other in contestant.after]
    return fingerprint(contestant.key(options, name), contestant.shift(options), before)


def line_up(names: Iterable[str]) -> tuple[str, ...]:
    """Return the contestants in the order of `CONTESTANTS`, with those whose work others need.

    Raises:
        BadConfig: a name that is none of them, or no name.
    """
    wanted = set(names)
    unknown = sorted(wanted - CONTESTANTS.keys())
    if unknown or not wanted:
        got = f"model {unknown[0]!r}" if unknown else "no model"
        raise BadConfig(got, allowed=", ".join(CONTESTANTS), do="choose some of these with --models")
    wanted |= {needed for name in wanted for needed in CONTESTANTS[name].after}
    return tuple(name for name in CONTESTANTS if name in wanted)
