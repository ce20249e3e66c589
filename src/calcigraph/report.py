"""The HTML report of a batch: one page, opened from disk, without scripts, fonts or anything from elsewhere."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from calcigraph.io import write_text
from calcigraph.lexicon import DISTRIBUTIONS, RESEARCH_USE
from calcigraph.results import CALCIFICATIONS, CANDIDATES, EDGES, OVERLAY, RECORD, ImageResult

REPORT = "report.html"


@dataclass(frozen=True)
class RunFacts:
    """What the head of a report says about the run.

    Attributes:
        model: its name.
        versions: package → version.
        finished: date and time, for a reader.
        seconds: of the whole run.
        options: option → value, in words.
        not_reached: images that an interrupted run did not come to.
    """

    model: str
    versions: Mapping[str, str]
    finished: str
    seconds: float
    options: Mapping[str, str]
    not_reached: int = 0


@dataclass(frozen=True)
class _Bar:
    """One probability: its name, its value and the length of its bar in percent."""

    name: str
    text: str
    percent: float
    chosen: bool


@dataclass(frozen=True)
class _Section:
    """One image as the template shows it."""

    anchor: str
    result: ImageResult
    bars: tuple[_Bar, ...]
    overlay: str
    files: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]

    @property
    def answer(self) -> str:
        """The distribution, or why there is none."""
        return str(self.result.distribution or "none: too little evidence")


def write_report(folder: Path, results: Sequence[ImageResult], facts: RunFacts) -> Path:
    """Write `report.html` beside the images' folders, to which it links relatively.

    Args:
        folder: the output folder of a batch.
        results: in the order in which they are shown; none is an ordinary case.
        facts: what the head says.

    Returns:
        The path of the report.
    """
    sections = [_section(folder, number, result) for number, result in enumerate(results, start=1)]
    text = _template().render(
        notice=RESEARCH_USE,
        facts=facts,
        sections=sections,
        failures=[section for section in sections if section.result.status != "ok"],
        distributions=[str(distribution) for distribution in DISTRIBUTIONS],
        counts=_counts(results),
    )
    write_text(folder / REPORT, text)
    return folder / REPORT


def page_environment(filters: Mapping[str, Callable[..., str]]) -> Environment:
    """Return what renders the pages of this package, with filters of their own."""
    # Names of files, data sets and warnings come from outside: everything is escaped.
    environment = Environment(
        loader=PackageLoader("calcigraph"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment


@cache
def _template() -> Template:
    return page_environment({"shown": _shown}).get_template("report.html.j2")


def _shown(value: float, decimals: int = 2) -> str:
    return "–" if math.isnan(value) else f"{value:.{decimals}f}"


def _counts(results: Sequence[ImageResult]) -> list[tuple[str, int]]:
    """Count images by answer, the distributions in their usual order."""
    answers = Counter(str(result.distribution or "") for result in results if result.status == "ok")
    named = [(str(distribution), answers[distribution]) for distribution in DISTRIBUTIONS]
    return [*named, ("none", answers[""])]


def _section(folder: Path, number: int, result: ImageResult) -> _Section:
    # A leading "./" keeps a colon in a name from being taken for a protocol.
    base = f"./{quote(result.image_id)}"
    own = folder / result.image_id
    ok = result.status == "ok"
    written = (CALCIFICATIONS, EDGES, CANDIDATES, RECORD, OVERLAY) if ok else ()
    names = [name for name in written if (own / name).is_file()]
    return _Section(
        anchor=f"image-{number}",
        result=result,
        bars=_bars(result),
        overlay=f"{base}/{OVERLAY}" if OVERLAY in names else "",
        files=tuple((name, f"{base}/{name}") for name in names),
        facts=_facts(result) if ok else (),
    )


def _bars(result: ImageResult) -> tuple[_Bar, ...]:
    """A bar for each probability, named or not; none where nothing was found or reading failed."""
    if any(math.isnan(value) for value in result.probabilities.values()):
        return ()
    values = [(distribution, result.probabilities[distribution]) for distribution in DISTRIBUTIONS]
    return tuple(
        _Bar(str(d), f"{value:.2f}", round(100 * min(max(value, 0.0), 1.0), 1), d is result.distribution)
        for d, value in values
    )


def _facts(result: ImageResult) -> tuple[tuple[str, str], ...]:
    """Name and value of what is known of the image, without what is not."""
    seen = " ".join(part for part in (result.laterality, result.view) if part)
    shape = " × ".join(str(side) for side in result.shape_px or ())
    pitch = " × ".join(f"{side:.4g}" for side in dict.fromkeys(result.spacing_mm or ()))
    area = "" if math.isnan(result.breast_area_cm2) else f"{result.breast_area_cm2:.0f} cm²"
    pairs = (
        ("view", seen),
        ("image", f"{shape} px (rows × columns)" if shape else ""),
        ("pixel pitch", f"{pitch} mm" if pitch else ""),
        ("breast area", area),
        ("candidates judged", f"{result.n_candidates:,}"),
        ("time", f"{sum(result.seconds.values()):.1f} s" if result.seconds else ""),
    )
    return tuple((name, value) for name, value in pairs if value)
