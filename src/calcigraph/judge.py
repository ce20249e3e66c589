"""What a model says of an image of a data set, beside its truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calcigraph.encode import centre_on_objects, select_nodes
from calcigraph.froc import MarkedImage, match_marks
from calcigraph.io import Case, Dataset
from calcigraph.lexicon import DISTRIBUTIONS, Distribution
from calcigraph.pipeline import Pipeline


@dataclass(frozen=True)
class Judged:
    """What is kept of an image: little, as a data set may have many.

    Attributes:
        case: the image.
        distribution: the answer; None where there is too little evidence.
        probabilities: of the five distributions; NaN where no calcification was found.
        calcifications: how many the model keeps.
        kept: these beside the truth; None where no truth is known.
        proposed: all candidates beside the truth, whatever their probability; None where no truth is known.
    """

    case: Case
    distribution: Distribution | None
    probabilities: dict[Distribution, float]
    calcifications: int
    kept: MarkedImage | None
    proposed: MarkedImage | None


def judge(pipeline: Pipeline, dataset: Dataset, case: Case) -> dict[str, Any]:
    """Predict an image and set it beside its truth: what `judged` reads.

    Raises:
        CalcigraphError: the image or its truth cannot be read.
    """
    mammogram = dataset.read(case)
    prediction = pipeline.predict(mammogram)
    truth, given = dataset.truth(case), prediction.probabilities
    said: dict[str, Any] = {
        "distribution": prediction.distribution,
        "probabilities": [given[name] for name in DISTRIBUTIONS],
        "calcifications": len(prediction.calcifications),
        "kept": None,
        "proposed": None,
    }
    if truth is not None:
        every = select_nodes(prediction.candidates, replace(pipeline.config.confirm, threshold=0.0))
        proposals = centre_on_objects(prediction.candidates, every)
        for name, marks in (("kept", prediction.calcifications), ("proposed", proposals)):
            area_cm2 = prediction.breast.area_cm2
            marked = match_marks(marks, truth, spacing_mm=mammogram.spacing_mm, area_cm2=area_cm2)
            said[name] = {
                "found": marked.found.tolist(),
                "false": marked.false.tolist(),
                "area_cm2": marked.area_cm2,
            }
    return said


def judged(case: Case, said: dict[str, Any]) -> Judged:
    """Read what `judge` said of a case."""
    named = said["distribution"]
    return Judged(
        case,
        None if named is None else Distribution(named),
        dict(zip(DISTRIBUTIONS, said["probabilities"], strict=True)),
        said["calcifications"],
        _marks_from_plain(said["kept"]),
        _marks_from_plain(said["proposed"]),
    )


def _marks_from_plain(said: dict[str, Any] | None) -> MarkedImage | None:
    if said is None:
        return None
    return MarkedImage(np.array(said["found"]), np.array(said["false"]), said["area_cm2"])
