"""Who takes part in a study, by name; each answers the test cases of one fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from calcigraph.crossval.bench import Bench, Float
from calcigraph.crossval.boosting import answer_by_boosting
from calcigraph.crossval.cnn import answer_by_image
from calcigraph.crossval.geometry import DETECTOR
from calcigraph.crossval.graph_models import answer_by_graph, as_in_paper, by_default, fine_tuned
from calcigraph.crossval.rule import answer_by_constant, answer_by_rule
from calcigraph.errors import BadConfig


@dataclass(frozen=True)
class Contestant:
    """One row of the study.

    Attributes:
        title: as tables call it.
        kind: `graph`, `image`, `geometry` or `constant`.
        answer: takes the bench of a fold and the contestant's name; returns probabilities (n, 5) of its labelled
            test cases, NaN where there is no answer.
        after: contestants whose work it needs.
    """

    title: str
    kind: str
    answer: Callable[[Bench, str], Float]
    after: tuple[str, ...] = ()


CONTESTANTS: dict[str, Contestant] = {
    "paper": Contestant("graph, as in the paper", "graph", partial(answer_by_graph, recipe_of=as_in_paper)),
    "default": Contestant("graph, default", "graph", partial(answer_by_graph, recipe_of=by_default)),
    "default-finetuned": Contestant(
        "graph, shipped weights fine-tuned", "graph", partial(answer_by_graph, recipe_of=fine_tuned)
    ),
    "resnet50": Contestant("ResNet-50", "image", answer_by_image),
    "densenet121": Contestant("DenseNet-121", "image", answer_by_image),
    "mobilenetv2": Contestant("MobileNetV2", "image", answer_by_image),
    "efficientnet-b7": Contestant("EfficientNet-B7", "image", answer_by_image),
    "boosting": Contestant("boosting on geometry", "geometry", answer_by_boosting, (DETECTOR,)),
    "rule": Contestant("rule of thumb", "geometry", answer_by_rule, (DETECTOR,)),
    "constant": Contestant("constant answer", "constant", answer_by_constant),
}
"""Name → contestant, in the order of the tables."""


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
