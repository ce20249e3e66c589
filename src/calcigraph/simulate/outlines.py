"""Outlines of real lesions from a file, and the cases that they plan.

The file is a JSON list of objects with `case`, `laterality`, `view`, `distribution` and `outline_mm`, the vertices as
(x, y) in mm from the film's first pixel; other keys are ignored.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from calcigraph.errors import BadManifest
from calcigraph.lexicon import DISTRIBUTIONS, Distribution, Laterality, View
from calcigraph.simulate.plan import BOTH_VIEWS, Outline, Plan, PlannedCase

KEYS = ("case", "laterality", "view", "distribution", "outline_mm")
LARGEST_MM = 400.0
"""No film is longer."""


def read_outlines(path: Path) -> tuple[Outline, ...]:
    """Read a file of outlines.

    Raises:
        BadManifest: no such file, no list of such objects, or an object with a wrong value.
    """
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise BadManifest(f"no JSON at {path}", allowed="a JSON file of outlines", do="check it") from None
    if not isinstance(listed, list) or not listed:
        raise BadManifest(
            f"no outlines in {path}", allowed="a list of one or more objects", do="mend the file"
        )
    return tuple(_outline(entry, f"{path}, outline {number}") for number, entry in enumerate(listed, start=1))


def plan_outlined(outlines: tuple[Outline, ...]) -> Plan:
    """Return a case for each lesion: outlines of one breast and label, one in each view, go together."""
    lesions: dict[tuple[str, Laterality, Distribution, int], dict[View, Outline]] = defaultdict(dict)
    seen: dict[tuple[str, Laterality, Distribution, View], int] = defaultdict(int)
    for one in outlines:
        place = seen[one.patient, one.laterality, one.distribution, one.view]
        seen[one.patient, one.laterality, one.distribution, one.view] += 1
        lesions[one.patient, one.laterality, one.distribution, place][one.view] = one
    return tuple(
        PlannedCase(number, label, tuple(views), tuple(views.values()))
        for number, ((_, _, label, _), views) in enumerate(lesions.items(), start=1)
    )


def _outline(entry: Any, where: str) -> Outline:
    if not isinstance(entry, dict) or any(key not in entry for key in KEYS):
        raise BadManifest(where, allowed=f"an object with {', '.join(KEYS)}", do="add what is missing")
    patient, sides, views = str(entry["case"]), tuple(Laterality), BOTH_VIEWS
    _require(bool(re.fullmatch(r"[\w-]{1,40}", patient, re.ASCII)), where, "case", "letters, digits, - and _")
    _require(entry["laterality"] in sides, where, "laterality", "L or R")
    _require(entry["view"] in views, where, "view", "CC or MLO")
    _require(entry["distribution"] in DISTRIBUTIONS, where, "distribution", ", ".join(DISTRIBUTIONS))
    vertices = entry["outline_mm"]
    _require(_is_polygon(vertices), where, "outline_mm", "three or more (x, y) from 0 to 400 mm with an area")
    return Outline(
        patient=patient,
        laterality=Laterality(entry["laterality"]),
        view=View(entry["view"]),
        distribution=Distribution(entry["distribution"]),
        film_mm=tuple((float(y), float(x)) for x, y in vertices),
    )


def _is_polygon(vertices: Any) -> bool:
    pairs = isinstance(vertices, list) and all(isinstance(v, list) and len(v) == 2 for v in vertices)
    if not pairs or not all(_is_length(number) for vertex in vertices for number in vertex):
        return False
    turned = vertices[1:] + vertices[:1]
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(vertices, turned, strict=True))) > 0.5


def _is_length(number: Any) -> bool:
    known = isinstance(number, int | float) and not isinstance(number, bool)
    return known and 0 <= number <= LARGEST_MM


def _require(holds: bool, where: str, key: str, allowed: str) -> None:
    if not holds:
        raise BadManifest(f"{where}: a wrong {key}", allowed=allowed, do="mend the file")
