"""What a study is made of: models, folds, seed and the budget of the image networks."""

from __future__ import annotations

from dataclasses import dataclass, field

from calcigraph.config import Config, TrainingConfig, default, paper
from calcigraph.errors import BadConfig
from calcigraph.seed import require_seed
from calcigraph.training.epoch import require_precision

IMAGE_TRAINING = TrainingConfig(
    epochs=30,
    batch_size=8,
    learning_rate=3e-4,
    weight_decay=0.05,
    focal_gamma=0.0,
    balance_classes=True,
    augment=True,
)
"""The paper balances the classes and trains for 100 epochs; it names neither augmentation nor input size."""

FINE_TUNED_RATE = 0.1
"""Share of the learning rate with which the shipped graph network is trained on."""


@dataclass(frozen=True)
class StudyOptions:
    """Everything that decides the numbers of a study.

    Attributes:
        folds: by patient.
        first_folds: run only so many of them, to try something dear on a part; 0 runs all. The rest can follow in
            the same run folder.
        seed: of folds, weights, training, bootstrap and permutations.
        image_size_px: side S of the small images that the image networks see.
        image_training: their recipe, the same for all.
        image_precision: of their training, one of `epoch.PRECISIONS`; `bf16-mixed` takes half the time where the
            machine computes in bfloat16.
        paper: settings of the model `paper`.
        default: settings of the model `default`, whose detector also serves rule and boosting.
        detector: model whose detector is kept in place of one trained in each fold (`default-finetuned` always keeps
            that of the weights from which it starts); "" trains.
        pretrained: image network → safetensors file with its ImageNet weights.
        bootstraps: draws of patients for each interval.
        permutations: draws of swapped patients for each pair of models.
        random_deletions: random orders with which the salient one is compared.
    """

    folds: int = 5
    first_folds: int = 0
    seed: int = 0
    image_size_px: int = 256
    image_training: TrainingConfig = IMAGE_TRAINING
    image_precision: str = "32-true"
    paper: Config = field(default_factory=paper)
    default: Config = field(default_factory=default)
    detector: str = ""
    pretrained: dict[str, str] = field(default_factory=dict)
    bootstraps: int = 1000
    permutations: int = 10_000
    random_deletions: int = 5

    def __post_init__(self) -> None:
        _require(self.folds >= 2, "folds", self.folds, "2 or more")
        _require(0 <= self.first_folds <= self.folds, "first folds", self.first_folds, "0 to the folds")
        require_seed(self.seed)
        # All four networks halve an image five times; one pixel alone cannot be normalised.
        _require(64 <= self.image_size_px <= 2048, "image size", self.image_size_px, "64 to 2048 pixels")
        require_precision(self.image_precision)
        for name in ("bootstraps", "permutations", "random_deletions"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise BadConfig(f"{name} {value}", allowed=allowed, do="change the option")
