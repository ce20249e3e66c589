"""Mammograms in, calcification graphs and BI-RADS distributions out.

    import calcigraph as cg

    mammogram = cg.read_mammogram("R_MLO.dcm")
    prediction = cg.Pipeline.from_pretrained().predict(mammogram)
    cg.figures.overlay(mammogram, prediction).savefig("overlay.png")

A name is imported when it is first used, so that `import calcigraph` costs next to nothing.
Research use only. Not a medical device.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calcigraph import figures
    from calcigraph.config import Config, load_preset
    from calcigraph.errors import (
        BadConfig,
        BadManifest,
        BadModel,
        CalcigraphError,
        MissingSpacing,
        UnreadableImage,
    )
    from calcigraph.io import find_inputs, read_dataset, read_mammogram
    from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE, Distribution, Laterality, View
    from calcigraph.pipeline import Pipeline
    from calcigraph.records import Breast, Candidates, Mammogram, Prediction

    __version__: str

__all__ = [
    "DISTRIBUTIONS",
    "RESEARCH_USE",
    "BadConfig",
    "BadManifest",
    "BadModel",
    "Breast",
    "CalcigraphError",
    "Candidates",
    "Config",
    "Distribution",
    "Laterality",
    "Mammogram",
    "MissingSpacing",
    "Pipeline",
    "Prediction",
    "UnreadableImage",
    "View",
    "__version__",
    "figures",
    "find_inputs",
    "load_preset",
    "read_dataset",
    "read_mammogram",
]

_HOMES = {
    "config": ("Config", "load_preset"),
    "errors": (
        "BadConfig",
        "BadManifest",
        "BadModel",
        "CalcigraphError",
        "MissingSpacing",
        "UnreadableImage",
    ),
    "io": ("find_inputs", "read_dataset", "read_mammogram"),
    "lexicon": ("DISTRIBUTIONS", "RESEARCH_USE", "Distribution", "Laterality", "View"),
    "pipeline": ("Pipeline",),
    "records": ("Breast", "Candidates", "Mammogram", "Prediction"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("calcigraph")
    if name == "figures":
        return import_module("calcigraph.figures")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'calcigraph' has no attribute {name!r}")
    value: object = getattr(import_module(f"calcigraph.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
