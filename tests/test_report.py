from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

import hand_made
from calcigraph.lexicon import RESEARCH_USE, Distribution
from calcigraph.records import no_probabilities
from calcigraph.report import RunFacts, write_report
from calcigraph.results import (
    ImageResult,
    is_own_output,
    read_record,
    summarise,
    write_overlay,
    write_record,
    write_tables,
)

FACTS = RunFacts(
    model="<i>default</i>",
    versions={"calcigraph": "0.1.0"},
    finished="2026-01-01 12:00 UTC",
    seconds=12.0,
    options={"spacing": "as in the files"},
)
NASTY = '<script>alert("x")</script> & [b]'


class Page(HTMLParser):
    """Everything in a page that can be counted or followed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.links += [found[name] for name in ("href", "src") if name in found]
        self.ids += [found["id"]] if "id" in found else []
        self.images += [found] if tag == "img" else []

    def handle_data(self, data):
        self.words.append(data)


def result(image_id: str = "image", **changes: Any) -> ImageResult:
    image = hand_made.mammogram(rows=60, cols=40, image_id=image_id)
    answer = summarise(image, hand_made.prediction(image), image_id=image_id, path=f"{image_id}.dcm")
    return replace(answer, **changes)


def failure(image_id: str, error: str) -> ImageResult:
    return ImageResult(image_id, f"{image_id}.dcm", "failed", None, no_probabilities(), 0, error=error)


def page(folder: Path, results: list[ImageResult]) -> Page:
    return Page(write_report(folder, results, FACTS).read_text(encoding="utf-8"))


@pytest.mark.parametrize("count", [0, 1, 500])
def test_any_number_of_images(tmp_path, count):
    one = result()
    shown = page(tmp_path, [replace(one, image_id=f"image{number}") for number in range(count)])
    assert " ".join(shown.words).count(RESEARCH_USE) == 2
    assert shown.tags.count("section") == count
    assert len(shown.ids) == len(set(shown.ids))
    assert (tmp_path / "report.html").stat().st_size < 20_000 + count * 12_000
    anchors = [link[1:] for link in shown.links if link.startswith("#")]
    assert set(anchors) <= set(shown.ids)


def test_probabilities_are_shown_where_too_little_was_found_to_name_one(tmp_path):
    named, thin = (
        write_report(tmp_path, [replace(result(), distribution=distribution)], FACTS).read_text("utf-8")
        for distribution in (Distribution.GROUPED, None)
    )
    assert named.count('title="segmental') == thin.count('title="segmental') == 2
    assert named.count('class="chosen"') == 2 and 'class="chosen"' not in thin


def test_nothing_comes_from_elsewhere_and_nothing_runs(tmp_path):
    text = write_report(tmp_path, [result()], FACTS).read_text(encoding="utf-8")
    shown = Page(text)
    assert "script" not in shown.tags and "link" not in shown.tags
    assert "http" not in text and "@import" not in text and "url(" not in text


def test_what_users_name_is_escaped(tmp_path):
    nasty = result(path=NASTY, warnings=(NASTY,), transforms=(NASTY,))
    shown = page(tmp_path, [nasty, failure("other", NASTY)])
    assert "script" not in shown.tags and "i" not in shown.tags
    assert "".join(shown.words).count(NASTY) >= 5  # path, warning twice, transform, error twice
    assert FACTS.model in "".join(shown.words)


def test_links_lead_to_the_files_that_exist(tmp_path):
    image_id = "50% of #1: é乳"
    image = hand_made.mammogram(rows=60, cols=40, image_id=image_id)
    answer = hand_made.prediction(image)
    folder = tmp_path / image_id
    folder.mkdir()
    write_tables(folder, answer, write_candidates=True)
    write_overlay(folder, image, answer)
    record = summarise(image, answer, image_id=image_id, path="x.dcm")
    write_record(folder, record)
    shown = page(tmp_path, [record])
    relative = [link for link in shown.links if not link.startswith("#")]
    of_image = [link for link in relative if link not in ("./predictions.csv", "./run.json")]
    assert len(of_image) == 7  # overlay linked and shown, and five files
    assert all((tmp_path / unquote(link)).is_file() for link in of_image)
    (drawn,) = shown.images
    assert drawn["loading"] == "lazy" and "24 calcifications" in str(drawn["alt"])


def test_no_distribution_and_no_saliency_are_said_in_words(tmp_path):
    image = hand_made.mammogram(rows=60, cols=40)
    few = hand_made.prediction(image, np.full((2, 2), 9.0), saliency=np.full(2, np.nan), distribution=None)
    none = hand_made.prediction(image, np.empty((0, 2)), distribution=None)
    records = [summarise(image, answer, image_id=f"i{n}", path="") for n, answer in enumerate((few, none))]
    text = write_report(tmp_path, records, FACTS).read_text(encoding="utf-8")
    assert "nan" not in text.lower() and "Most salient" not in text
    assert text.count("none: too little evidence") >= 2
    assert "No calcification was kept." in text


def test_interrupted_run_says_so(tmp_path):
    facts = RunFacts("default", {}, "now", 1.0, {}, not_reached=3)
    assert "3 images were not reached" in write_report(tmp_path, [], facts).read_text(encoding="utf-8")


@pytest.mark.parametrize("known", [True, False])
def test_record_comes_back_as_it_went(tmp_path, known):
    image = hand_made.mammogram(rows=60, cols=40)
    answer = hand_made.prediction(image, warnings=("detect: dark",))
    if not known:
        answer = hand_made.prediction(
            image, np.full((2, 2), 9.0), saliency=np.full(2, np.nan), distribution=None
        )
    write_tables(tmp_path, answer, write_candidates=False)
    write_overlay(tmp_path, image, answer)
    assert read_record(tmp_path, write_candidates=False) is None
    record = summarise(image, answer, image_id="image", path="x")
    write_record(tmp_path, record)
    back = read_record(tmp_path, write_candidates=False)
    assert back is not None and repr(back) == repr(record)  # NaN is not equal to itself
    assert read_record(tmp_path, write_candidates=True) is None


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"notice": 1}', '{"notice": 1, "image_id": "x"}'])
def test_damaged_record_is_no_record(tmp_path, damage):
    for name in ("calcifications.csv", "overlay.png"):
        (tmp_path / name).touch()
    (tmp_path / "prediction.json").write_text(damage)
    assert read_record(tmp_path, write_candidates=False) is None


def test_overlay_of_an_earlier_run_is_no_input(tmp_path):
    assert not is_own_output(tmp_path / "overlay.png")
    (tmp_path / "calcifications.csv").touch()
    assert is_own_output(tmp_path / "overlay.png")
    assert not is_own_output(tmp_path / "mammogram.png")


def test_what_is_listed_as_most_salient_is_that(tmp_path):
    image = hand_made.mammogram()
    said = hand_made.prediction(image, saliency=np.linspace(0, 1, 24))
    listed = [row["saliency"] for row in summarise(image, said, image_id="image", path="x").most_salient]
    assert listed == sorted(said.calcifications["saliency"], reverse=True)[:10]


def test_edges_are_written_as_rows_of_neighbour_and_node(tmp_path):
    said = hand_made.prediction(hand_made.mammogram())
    write_tables(tmp_path, said, write_candidates=False)
    edges = pd.read_csv(tmp_path / "edges.csv")
    assert edges["neighbour"].tolist() == said.edge_index[0].tolist()
    assert edges["node"].tolist() == said.edge_index[1].tolist()
