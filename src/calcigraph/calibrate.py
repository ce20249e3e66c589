"""A model whose probabilities are made honest on images that did not train it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from calcigraph.ask import Failed, ask_all
from calcigraph.checkpoint import find_model, read_card, save_model
from calcigraph.errors import BadManifest, BadModel
from calcigraph.io import Case, Dataset, labels_of
from calcigraph.lexicon import DISTRIBUTIONS
from calcigraph.metrics import Interval, Labels, Scores, bootstrap, constant_answer, scores
from calcigraph.pipeline import Pipeline
from calcigraph.prevalence import expect
from calcigraph.training.card import TEMPERATURE
from calcigraph.training.parts import note_images, read_parts
from calcigraph.training.run_folder import RUN_FILE
from calcigraph.training.temperature import expected_shares, fit_temperature

UNFINISHED = "logits.jsonl"
"""What a killed calibration has asked; gone at the end."""

SECTION = "## Calibration"

DRAWS = 200
"""Draws of patients for the interval of the temperature."""


@dataclass(frozen=True)
class Calibration:
    """What a calibration finds.

    Scores are of the images with a calcification, each named by its likeliest class, expecting the classes as they
    have them (where the model was trained on classes drawn equally often; else as it gives them).

    Attributes:
        folder: the model with its new temperature.
        temperature: by which the logits are divided now, with 95 % by drawing patients with replacement; draws
            without a patient of some distribution do not count, and where each has one patient there is no interval.
        before: scores with the model's own temperature.
        after: scores with the new one, which flatter it a little.
        constant: scores of always answering the most frequent class.
        empty: images on which no calcification was found.
        failures: image id → why it could not be read.
    """

    folder: Path
    temperature: Interval
    before: Scores
    after: Scores
    constant: Scores
    empty: int
    failures: dict[str, str]


@dataclass(frozen=True)
class _Asked:
    """Logits (n, 5), labels (n,) and patients of images with a calcification, how many have none, which failed."""

    logits: NDArray[np.float32]
    labels: Labels
    patients: list[str]
    empty: int
    failures: dict[str, str]


def calibrate_model(
    model: str | Path,
    dataset: Dataset,
    out: Path,
    *,
    device: str = "cpu",
    workers: int | None = 1,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Fit the temperature of a model (Guo et al. 2017) on labelled images, and write the model with it to `out/model`.

    A killed calibration goes on when it is started again.

    Args:
        model: a shipped name or a folder; everything but its temperature stays.
        dataset: of images that did not train it (`calibrating_cases`).
        out: folder for the results.
        device: where the networks run.
        workers: processes at most, None for one per core; see `ask_all`.
        report: called with images done and images in all.

    Raises:
        BadModel: no such model, a damaged one, or `out` holds another run.
        BadManifest: not two distributions among the images on which something is found.
        LostProcess: a process ended before its work was done.
    """
    pipeline, card = Pipeline.from_pretrained(model, device=device), read_card(find_model(model))
    cases = calibrating_cases(dataset)
    _require_two({case.distribution for case in cases}, dataset, "labelled")
    if (out / RUN_FILE).exists():
        raise BadModel(
            f"{out}, which holds another run", allowed="a folder of its own", do="choose another --out"
        )
    out.mkdir(parents=True, exist_ok=True)
    said, unfinished = [], out / UNFINISHED
    with closing(ask_all(_ask, pipeline, dataset, cases, unfinished, workers=workers)) as answers:
        for answer in answers:
            said.append(answer)
            report(len(said), len(cases))
    asked = _sort(cases, said)
    why = next(iter(asked.failures.values()), "no calcification found")
    _require_two(
        asked.labels.tolist(), dataset, f"on images with a calcification (of the others the first: {why})"
    )
    result = _fit(pipeline, asked, out / "model")
    save_model(
        result.folder,
        pipeline.config,
        pipeline.networks,
        temperature=result.temperature.value,
        ranges=pipeline.ranges,
        card=_card(card, dataset, cases, pipeline.temperature, result),
    )
    patients = {case.patient_id for case in cases}
    note_images(out, dataset, cases, patients, earlier=read_parts(find_model(model)))
    unfinished.unlink(missing_ok=True)
    return result


def _require_two(distributions: Iterable[object], dataset: Dataset, which: str) -> None:
    """Refuse a data set with fewer than two distributions: any temperature would do."""
    number = len(set(distributions))
    if number < 2:
        raise BadManifest(
            f"data set {dataset.folder} with {number} distributions {which}",
            allowed=f"two or more of {', '.join(DISTRIBUTIONS)}",
            do="fill the distribution column of manifest.csv, mark fewer images train or more validation, "
            "add patients, or look at the images with check --images",
        )


def calibrating_cases(dataset: Dataset) -> list[Case]:
    """Return the images that may say how sure to be: labelled, and `validation`, or where none is so, not `train`.

    Those marked `test` are left to `evaluate`, which would judge what they had chosen, unless all are.
    """
    labelled = [case for case in dataset.cases if case.distribution is not None]
    if {case.split for case in dataset.cases} == {"test"}:
        return labelled
    return [case for case in labelled if case.split == "validation"] or [
        case for case in labelled if case.split is None
    ]


def _sort(cases: Sequence[Case], said: Sequence[list[float] | Failed]) -> _Asked:
    """Sort the answers: with logits, without, and failures."""
    known = [
        (case, logits)
        for case, logits in zip(cases, said, strict=True)
        if logits and isinstance(logits, list)
    ]
    return _Asked(
        np.array([logits for _, logits in known], np.float32),
        labels_of(case for case, _ in known),
        [case.patient_id for case, _ in known],
        said.count([]),
        {case.image_id: one.why for case, one in zip(cases, said, strict=True) if isinstance(one, Failed)},
    )


def _ask(pipeline: Pipeline, dataset: Dataset, case: Case) -> list[float]:
    """Return the logits of an image; nothing where no calcification was found."""
    logits = pipeline.logits(dataset.read(case))
    return [] if logits is None else list(map(float, logits))


@dataclass(frozen=True)
class _Fitted:
    """What is fitted to a draw of images."""

    temperature: float


def _fit(pipeline: Pipeline, asked: _Asked, folder: Path) -> Calibration:
    """Find the temperature at which the labels are likeliest."""
    network, logits, labels = pipeline.networks.distribution, asked.logits, asked.labels
    balanced = pipeline.config.graph_training.balance_classes

    def fit(labels: Labels, logits: NDArray[np.float32]) -> _Fitted:
        shares = expected_shares(labels, balanced=balanced)
        return _Fitted(fit_temperature(network, logits, labels, shares=shares))

    drawn = bootstrap(
        labels,
        logits,
        patients=asked.patients,
        seed=0,
        repeats=DRAWS,
        judge=fit,
        over_classes=("temperature",),
    )
    temperature, shares = drawn["temperature"], expected_shares(labels, balanced=balanced)

    def judge(temperature: float) -> Scores:
        p = network.probabilities(torch.as_tensor(logits), temperature=temperature)
        return scores(labels, expect(p.numpy().astype(np.float64), shares, 1.0))

    return Calibration(
        folder=folder,
        temperature=temperature,
        before=judge(pipeline.temperature),
        after=judge(temperature.value),
        constant=constant_answer(labels),
        empty=asked.empty,
        failures=asked.failures,
    )


def _card(card: str, dataset: Dataset, cases: Sequence[Case], before: float, result: Calibration) -> str:
    """Say on a model's card on what it was calibrated, in place of what was said before."""
    splits = ", ".join(sorted({case.split or "of no split" for case in cases}))
    told, _, _ = card.partition(f"\n{SECTION}")
    ece = f"{result.before.ece:.3f} with {before:.3f}, {result.after.ece:.3f} with {result.temperature.value:.3f}"
    return "\n".join(
        [
            told.rstrip("\n"),
            "",
            SECTION,
            "",
            f"{TEMPERATURE}, in place of what is said above: {result.temperature} "
            "(95 % by drawing patients with replacement).",
            f"- Data set: {dataset.name}. Source: {dataset.source}. It must not have trained the model.",
            f"- {result.after.n} images with a calcification ({splits}); on {result.empty} more none was found.",
            f"- Expected calibration error on these images, which chose it, with their class shares: {ece}.",
            f"- Macro AUC {result.after.macro_auc:.3f}, accuracy {result.after.accuracy:.3f} (always the same answer: "
            f"{result.constant.accuracy:.3f}), each named by its likeliest class.",
            "",
        ]
    )
