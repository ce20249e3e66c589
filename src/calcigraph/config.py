"""Every setting, one frozen dataclass per stage; presets `paper` and `default`."""

from __future__ import annotations

from dataclasses import dataclass, field

from calcigraph.config_rules import (
    BELOW_ONE,
    COARSE_PITCH,
    COUNT,
    EVEN_SIDE,
    NOT_NEGATIVE,
    PITCH,
    POSITIVE,
    SCALES,
    SHARE,
    WIDTH,
    one_of,
    require_each,
)
from calcigraph.errors import BadConfig
from calcigraph.prevalence import shares_of
from calcigraph.seed import require_seed


@dataclass(frozen=True)
class BreastConfig:
    """Otsu's separation of breast and background."""

    spacing_mm: float = 0.8
    """Pixel pitch at which the breast is segmented."""
    tissue_margin_mm: float = 2.0
    """Width of the skin rim in which nothing is sought."""
    metal_margin_mm: float = 3.0
    """Distance kept from metal parts, markers, paddle edges and the border of burnt-in graphics."""

    def __post_init__(self) -> None:
        require_each(self, COARSE_PITCH, "spacing_mm")
        require_each(self, NOT_NEGATIVE, "tissue_margin_mm", "metal_margin_mm")


@dataclass(frozen=True)
class CandidateConfig:
    """Top-hat and threshold (equation 1), or what the default preset puts in the top-hat's place."""

    working_spacing_mm: float = 0.085
    """Pitch to which an image is resampled unless it is within 20 % of it; 0 keeps the image's own."""
    opening_mm: float = 0.9
    """Diameter of the structuring element: the largest calcification that passes whole."""
    bottom_hat: bool = False
    """Add the top-hat to the image and subtract its bottom-hat first, which enhances contrast."""
    response: str = "blob"
    """`tophat`: equation 1; `blob`: Laplacian of Gaussian at the scale of the smallest calcifications."""
    blob_sigma_mm: float = 0.09
    """Standard deviation of that Gaussian."""
    rule: str = "peaks"
    """`peaks`: local maxima above the threshold; `components`: connected components, as in the paper."""
    threshold: float = 3.0
    """T of equation 1, in units of the response's local mean."""
    at_most: int = 4000
    """Only the strongest candidates are kept."""
    object_reach_mm: float = 1.5
    """Candidates this close to each other may be found to lie on one bright object, such as a coarse calcification,
    which then becomes one node; 0 takes each for its own object."""

    def __post_init__(self) -> None:
        require_each(self, one_of("tophat", "blob"), "response")
        require_each(self, one_of("peaks", "components"), "rule")
        require_each(self, POSITIVE, "opening_mm", "blob_sigma_mm")
        require_each(self, PITCH, "working_spacing_mm")
        require_each(self, NOT_NEGATIVE, "threshold", "object_reach_mm", "at_most")


@dataclass(frozen=True)
class PatchConfig:
    """The patches on which both patch networks look."""

    size_px: int = 14
    """Side D of a patch."""
    scales: tuple[int, ...] = (1, 3)
    """One channel per scale: 1 at the working pitch, 3 at three times that (the surroundings)."""

    def __post_init__(self) -> None:
        require_each(self, EVEN_SIDE, "size_px")
        require_each(self, SCALES, "scales")


@dataclass(frozen=True)
class ConfirmConfig:
    """Which candidates become nodes (equation 2)."""

    members: int = 6
    """Networks whose logits are averaged; the paper has one."""
    describe_votes: bool = True
    """The logit that trains the describing network counts as much as theirs together; not so in the paper."""
    all_sides: bool = True
    """Likely candidates are looked at turned and mirrored, too, and what becomes a node is described so: an image may
    lie on any side. Not so in the paper."""
    threshold: float = 0.5
    """Least probability of a calcification. A detector's training chooses it anew; a kept detector keeps its own."""
    separation_mm: float = 0.35
    """Of two marks closer than this only the likelier is kept; 0 keeps both."""
    at_least: int = 5
    """With fewer calcifications there is no distribution (BI-RADS: a group has at least five), with a single one never
    (`evidence`)."""

    def __post_init__(self) -> None:
        require_each(self, WIDTH, "members")
        require_each(self, COUNT, "at_least")
        require_each(self, SHARE, "threshold")
        require_each(self, NOT_NEGATIVE, "separation_mm")


@dataclass(frozen=True)
class GraphConfig:
    """k-nearest-neighbour graph."""

    neighbours: int = 8
    edge_labels: str = "mm"
    """`offset`: row and column offset as shares of the image (paper); `mm`: offset, distance and direction."""

    def __post_init__(self) -> None:
        require_each(self, COUNT, "neighbours")
        require_each(self, one_of("offset", "mm"), "edge_labels")


@dataclass(frozen=True)
class NetworkConfig:
    """Node features, edge-conditioned convolutions and readout (equations 3 to 8)."""

    visual_dim: int = 64
    position_dim: int = 16
    hidden_dim: int = 32
    edge_hidden_dim: int = 16
    convolutions: int = 3
    residual: bool = True
    """Add what a node knows to each convolution's answer, normalised; the paper has ReLU between, no more."""
    visual_dropout: float = 0.3
    """Share of the graphs whose visual features are taken away in training; above 0 they are standardised, and NaN
    is unknown. 0 takes them as they are (paper)."""
    readout: str = "members"
    """`flatten`: the node matrix, cut or padded to `flatten_nodes` (paper); `members`: the lesion's shape."""
    flatten_nodes: int = 128
    readout_dim: int = 64
    dropout: float = 0.2
    """Between convolutions where they are `residual`, and in the readout of `members`."""
    output: str = "softmax"
    """`sigmoid`: five independent outputs (paper), normalised to sum to 1; `softmax`."""

    def __post_init__(self) -> None:
        widths = ("visual_dim", "position_dim", "hidden_dim", "edge_hidden_dim", "readout_dim")
        require_each(self, WIDTH, *widths, "convolutions", "flatten_nodes")
        require_each(self, BELOW_ONE, "visual_dropout", "dropout")
        require_each(self, one_of("flatten", "members"), "readout")
        require_each(self, one_of("sigmoid", "softmax"), "output")


@dataclass(frozen=True)
class TrainingConfig:
    """One recipe for a network."""

    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 3e-4
    final_learning_rate: float = 3e-6
    """The rate is decayed to this along a cosine."""
    weight_decay: float = 0.0
    focal_gamma: float = 2.0
    """γ of equation 9; 0 is cross-entropy."""
    balance_classes: bool = False
    augment: bool = False
    """Random rotations, flips and dropped nodes (graphs) or rotations, flips and contrast (patches)."""

    def __post_init__(self) -> None:
        require_each(self, COUNT, "epochs", "batch_size")
        require_each(self, POSITIVE, "learning_rate")
        require_each(self, NOT_NEGATIVE, "final_learning_rate", "weight_decay", "focal_gamma")


@dataclass(frozen=True)
class PretrainingConfig:
    """How the graph network starts, on simulated marks without pixels."""

    graphs: int = 10_000
    """Graphs that are drawn, and varied anew in every epoch; 0 starts from nothing (paper)."""
    judges: int = 1000
    """Graphs that choose the epoch."""
    label_softness: float = 0.5
    """Share of a label that is what lesions of the most similar shape are called (`training.soft_labels`); 0 gives
    every graph its one label."""
    recipe: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=10, batch_size=64, learning_rate=2e-3, weight_decay=0.05, focal_gamma=0.0, augment=True
        )
    )

    def __post_init__(self) -> None:
        require_each(self, NOT_NEGATIVE, "graphs", "judges")
        require_each(self, SHARE, "label_softness")


@dataclass(frozen=True)
class Config:
    """The whole road from pixels to a descriptor."""

    preset: str = "default"
    """That it started from. `load_preset` gives a preset's settings; its name alone does not change the others."""
    seed: int = 0
    prevalence: str = "cbis-ddsm"
    """How frequent `predict` expects each distribution to be: `equal`, `cbis-ddsm` or five shares, as "2,8,66,8,16"."""
    prevalence_weight: float = 0.5
    """0: all equally; 1: as frequent as that, as `--prevalence` has it; between, a compromise for a population that is
    not known."""
    validation_share: float = 0.15
    """Share of the training patients of each class held out, where none are marked: they choose the epoch that is kept
    of every network, the threshold and the temperature."""
    breast: BreastConfig = field(default_factory=BreastConfig)
    candidates: CandidateConfig = field(default_factory=CandidateConfig)
    patch: PatchConfig = field(default_factory=PatchConfig)
    confirm: ConfirmConfig = field(default_factory=ConfirmConfig)
    graph: GraphConfig = field(default_factory=GraphConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    patch_training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=5, batch_size=256, learning_rate=2e-3, focal_gamma=0.0, augment=True
        )
    )
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    graph_training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            epochs=40,
            learning_rate=5e-4,
            weight_decay=0.05,
            focal_gamma=0.0,
            augment=True,
            balance_classes=True,
        )
    )

    def __post_init__(self) -> None:
        require_preset(self.preset)
        require_seed(self.seed)
        shares_of(self.prevalence)
        require_each(self, SHARE, "prevalence_weight")
        require_each(self, BELOW_ONE, "validation_share")


def paper() -> Config:
    """Return the method as the paper states it (sections 2.4, 2.5 and 3.1)."""
    return Config(
        preset="paper",
        prevalence="equal",
        candidates=CandidateConfig(
            response="tophat",
            rule="components",
            working_spacing_mm=0.0,
            opening_mm=1.2,
            bottom_hat=True,
            threshold=4.0,
            object_reach_mm=0.0,
        ),
        patch=PatchConfig(scales=(1,)),
        confirm=ConfirmConfig(members=1, describe_votes=False, all_sides=False, separation_mm=0.0),
        graph=GraphConfig(edge_labels="offset"),
        network=NetworkConfig(
            residual=False, visual_dropout=0.0, readout="flatten", output="sigmoid", dropout=0.0
        ),
        patch_training=TrainingConfig(batch_size=256, focal_gamma=0.0),
        pretraining=PretrainingConfig(graphs=0),
        graph_training=TrainingConfig(),
    )


def default() -> Config:
    """Return the settings of the shipped model."""
    return Config()


PRESETS = {"paper": paper, "default": default}


def load_preset(name: str) -> Config:
    """Return a preset by its name.

    Raises:
        BadConfig: no such preset.
    """
    require_preset(name)
    return PRESETS[name]()


def require_preset(name: str) -> None:
    """Refuse what is no preset's name.

    Raises:
        BadConfig: no such preset.
    """
    if name not in PRESETS:
        raise BadConfig(f"preset {name!r}", allowed=", ".join(PRESETS), do="choose one of these")
