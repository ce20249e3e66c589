"""The card of a trained model: what it is, what it was trained on, how well it did, and what it is not for."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch

from calcigraph.config import Config
from calcigraph.io import Dataset
from calcigraph.lexicon import RESEARCH_USE
from calcigraph.metrics import Scores
from calcigraph.training.detector import PASSING_PER_CM2

TRAINING = "## Training"
DETECTOR = "## Detector"
TEMPERATURE = "- Temperature of the distribution's logits"


@dataclass(frozen=True)
class HeldOut:
    """Scores on the patients who were held out; views that are not named are never right.

    Attributes:
        model: what the model reaches.
        constant: what always answering the most frequent class reaches.
    """

    model: Scores
    constant: Scores


def write_card(
    dataset: Dataset,
    config: Config,
    held_out: HeldOut | None,
    *,
    temperature: float,
    minutes: float,
    detector_card: str = "",
) -> str:
    """Return MODEL_CARD.md of a model as its training leaves it; an evaluation elsewhere says more.

    `detector_card` is that of the model whose detector was kept.
    """
    needed = config.confirm.at_least
    return "\n".join(
        [
            f"# calcigraph model, preset `{config.preset}`",
            "",
            f"**{RESEARCH_USE}**",
            "",
            "It finds microcalcifications on one mammogram, connects them to a graph and names the BI-RADS",
            "distribution: diffuse, regional, grouped, linear or segmental.",
            "",
            TRAINING,
            "",
            f"- Data set: {dataset.name} ({len(dataset)} images).",
            f"  Source: {dataset.source}. Licence: {dataset.licence}.",
            f"- It took {minutes:.0f} minutes with {torch.get_num_threads()} thread(s), without the simulation.",
            f"- Seed {config.seed}; every setting is in `config.toml`.",
            f"- Candidates are kept from a probability of {config.confirm.threshold:g}. A detector trained here aims",
            f"  at {PASSING_PER_CM2:g} false marks per cm² of breast on held-out images; a kept one is as it was.",
            f"{TEMPERATURE}: {temperature:.3f}.",
            "",
            *detector_lines(detector_card),
            "## Held-out patients",
            "",
            *_held_out(held_out, balanced=config.graph_training.balance_classes),
            "",
            "## Limits",
            "",
            "- A model trained on simulated mammograms has not been validated on patients.",
            "- Pixel pitches outside of 0.05 to 0.2 mm are not what the shipped simulator shows.",
            f"- Under {needed} calcifications `predict` names no distribution; nor where no three or more of them",
            "  lie closer together than by chance.",
            "- Probabilities are for the case that there is a lesion, and are given from one calcification on.",
            "",
        ]
    )


def detector_lines(card: str) -> list[str]:
    """Return what the card of a model says of how its detector was trained; nothing where it says nothing.

    That model may have kept its detector too, and then quotes another card.
    """
    quoted = [line for line in _section(card, DETECTOR) if line.startswith("> ")]
    if not quoted:
        told = _section(card, TRAINING)
        quoted = [f"> {line}" for line in told if line and not line.startswith(TEMPERATURE)]
    return [DETECTOR, "", "Kept from a model whose card says:", "", *quoted, ""] if quoted else []


def _section(card: str, heading: str) -> list[str]:
    _, _, after = card.partition(f"\n{heading}\n")
    return after.partition("\n## ")[0].splitlines()


def _held_out(held_out: HeldOut | None, *, balanced: bool) -> list[str]:
    if held_out is None:
        return ["Nobody was held out: what they would choose (threshold, epoch), the training images chose."]
    constant = asdict(held_out.constant)
    shares = "equal shares of the distributions" if balanced else "distributions as frequent as in training"
    expected = "as often as `prevalence` in `config.toml` says" if balanced else "so, too"
    return [
        "They chose the epoch, the threshold and the temperature, so these numbers flatter the model. They are for",
        f"{shares}; `predict` expects them {expected}.",
        "Precision, sensitivity, F1 and AUC are weighted by the classes' numbers of images. Views with too little",
        "evidence to be named count as wrong; AUC and calibration error go by their probabilities.",
        "",
        "| metric | value | always the same answer |",
        "|---|---|---|",
        *(
            f"| {name.replace('_', ' ')} | {value:.3g} | {constant[name]:.3g} |"
            for name, value in asdict(held_out.model).items()
        ),
    ]
