"""A trained model as one object: a mammogram in, a prediction out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calcigraph.checkpoint import find_model, load_model, load_ranges
from calcigraph.config import Config
from calcigraph.devices import check_device
from calcigraph.encode import Encoding, encode
from calcigraph.errors import BadConfig, UnreadableImage
from calcigraph.evidence import Evidence
from calcigraph.explain import node_saliency
from calcigraph.familiar import Ranges, statistics, unlike
from calcigraph.lexicon import DISTRIBUTIONS, Distribution
from calcigraph.models import Networks, predict_logits, predict_probabilities
from calcigraph.prevalence import expect, expected_of
from calcigraph.provenance import StageClock
from calcigraph.records import Mammogram, Prediction

MAX_TRAINED_PITCH_MM = 0.205
"""Digitised films of 0.2 mm are the coarsest that the simulator shows."""

MUCH_BLACK = 0.1
"""Share of the tissue; where more of it is black, the answer comes with a warning."""

CLOSE_CALL = 0.1
"""Where the two likeliest distributions differ by less, the answer comes with a warning."""


@dataclass(frozen=True)
class Pipeline:
    """A model that is ready to predict.

    Attributes:
        config: its settings.
        networks: its networks, in inference mode on `device`.
        temperature: by which the distribution's logits are divided.
        model_name: as given to `from_pretrained`.
        device: where the networks run.
        ranges: what the training images were like; empty where that is not known.
    """

    config: Config
    networks: Networks
    temperature: float = 1.0
    model_name: str = ""
    device: str = "cpu"
    ranges: Ranges = field(default_factory=dict)

    @classmethod
    def from_pretrained(cls, name_or_folder: str | Path = "default", *, device: str = "cpu") -> Pipeline:
        """Load a shipped model by its name, or any model folder; nothing comes from the network.

        Raises:
            BadModel: no such model, or a damaged one.
            BadConfig: a device that is not here.
        """
        check_device(device)
        folder = find_model(name_or_folder)
        config, networks, temperature = load_model(folder, device=device)
        return cls(config, networks, temperature, str(name_or_folder), device, load_ranges(folder))

    @cached_property
    def _ready(self) -> Networks:
        """The networks as every image asks them."""
        return self.networks.folded()

    @property
    def prevalence_weight(self) -> float:
        """How far the answers are moved to `config.prevalence`.

        Not at all where training did not draw the distributions equally often: it then learnt how frequent they are.
        """
        return self.config.prevalence_weight if self.config.graph_training.balance_classes else 0.0

    @property
    def expected(self) -> NDArray[np.float64]:
        """Probabilities of an image that says nothing, (5,)."""
        return expected_of(self.config.prevalence, self.prevalence_weight)

    def expecting(self, prevalence: str) -> Pipeline:
        """Return this pipeline for a population in which the distributions are as frequent as is said.

        Args:
            prevalence: `equal`, `cbis-ddsm` or five shares (`prevalence.shares_of`).

        Raises:
            BadConfig: none of these, or the model has learnt how frequent they are (`balance_classes`).
        """
        if not self.config.graph_training.balance_classes:
            raise BadConfig(
                f"prevalence {prevalence!r} beside a model that has learnt how frequent the distributions are",
                allowed="a model whose training drew them equally often (balance_classes)",
                do="leave the prevalence out",
            )
        return replace(self, config=replace(self.config, prevalence=prevalence, prevalence_weight=1.0))

    def predict(self, mammogram: Mammogram) -> Prediction:
        """Find the calcifications of one view, name their distribution and say which of them decided it.

        Without enough calcifications (`config.confirm.at_least`), some closer together than by chance (`evidence`),
        there is no distribution, and a warning; probabilities are given wherever there is a calcification.

        Raises:
            UnreadableImage: not a `Mammogram`.
        """
        if not isinstance(mammogram, Mammogram):
            raise UnreadableImage(
                f"a {type(mammogram).__name__}", allowed="a Mammogram", do="read it: read_mammogram(path)"
            )
        encoding = encode(mammogram, self.config, self._ready, device=self.device)
        clock = StageClock()
        with clock.stage("classify"):
            needed = self.config.confirm.at_least
            evidence = Evidence.of(self.networks.distribution, encoding.graph, needed=needed)
            probabilities = self._ask(encoding)
            named = None if evidence.lacks else max(probabilities, key=lambda name: probabilities[name])
        with clock.stage("explain"):
            saliency = self._explain(encoding, named)
        return Prediction(
            image_id=mammogram.image_id,
            distribution=named,
            probabilities=probabilities,
            calcifications=encoding.calcifications.assign(saliency=saliency.astype(np.float64)),
            candidates=encoding.candidates,
            edge_index=encoding.graph.edge_index.numpy(),
            breast=encoding.breast,
            warnings=self._warnings(mammogram, encoding, evidence, probabilities),
            seconds=encoding.seconds | clock.seconds,
        )

    def logits(self, mammogram: Mammogram) -> NDArray[np.float32] | None:
        """Return what the graph network says of one view, (5,), before temperature and prevalence.

        None where no calcification was found.
        """
        encoding = encode(mammogram, self.config, self._ready, device=self.device)
        if not len(encoding.calcifications):
            return None
        return predict_logits(self.networks.distribution, [encoding.graph], device=self.device)[0]

    def _ask(self, encoding: Encoding) -> dict[Distribution, float]:
        given = predict_probabilities(
            self.networks.distribution, [encoding.graph], temperature=self.temperature, device=self.device
        )
        (probabilities,) = expect(given.astype(np.float64), self.expected, 1.0)
        return dict(zip(DISTRIBUTIONS, probabilities.tolist(), strict=True))

    def _explain(self, encoding: Encoding, named: Distribution | None) -> NDArray[np.float32]:
        if named is None:
            return np.zeros(len(encoding.calcifications), dtype=np.float32)
        return node_saliency(
            self.networks.distribution,
            encoding.graph,
            target=named.place,
            temperature=self.temperature,
            expected=self.expected,
        )

    def _warnings(
        self,
        mammogram: Mammogram,
        encoding: Encoding,
        evidence: Evidence,
        probabilities: dict[Distribution, float],
    ) -> tuple[str, ...]:
        said = []
        if np.ptp(mammogram.pixels) == 0:
            said.append("breast: the image has a single grey value")
        elif encoding.breast.negative:
            said.append(
                "breast: what is around the breast is bright, as on a negative; dense tissue must be bright: "
                "invert the image"
            )
        elif encoding.breast.fills_image:
            said.append("breast: no background found; the whole image was searched")
        if encoding.breast.black > MUCH_BLACK:
            said.append(
                f"breast: {100 * encoding.breast.black:.0f} % of the breast is black and was not searched"
            )
        if evidence.lacks:
            said.append(f"distribution: {evidence.lacks}")
        else:
            first, second = sorted(probabilities, key=lambda name: -probabilities[name])[:2]
            if probabilities[first] - probabilities[second] < CLOSE_CALL:
                said.append(f"distribution: a close call between {first} and {second}")
            if evidence.thin:
                said.append(f"distribution: {evidence.thin}")
        if max(mammogram.spacing_mm) > MAX_TRAINED_PITCH_MM:
            pitch = max(mammogram.spacing_mm)
            said.append(f"detector: pixel pitch {pitch:.3g} mm is coarser than any it was trained on")
        outside = unlike(statistics(encoding), self.ranges)
        if outside:
            said.append(f"detector: unlike the training images: {outside}")
        return tuple(said)
