"""Settings that train a whole model on a tiny cohort within seconds, and a reporter that can kill the training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from calcigraph.config import Config, PretrainingConfig, TrainingConfig, default, paper
from calcigraph.training import EpochReport

WEIGHTS = ("confirm", "describe", "distribution")


def quick(config: Config) -> Config:
    """Two epochs of everything on few candidates, at the cohort's own pitch; one calcification will do for a graph."""
    recipe = TrainingConfig(epochs=2, batch_size=64, learning_rate=2e-3, augment=True)
    return replace(
        config,
        seed=3,
        validation_share=0.5,
        candidates=replace(config.candidates, working_spacing_mm=0.0, at_most=60),
        confirm=replace(config.confirm, at_least=1),
        patch_training=recipe,
        pretraining=PretrainingConfig(
            graphs=10 if config.preset == "default" else 0, judges=5, recipe=replace(recipe, batch_size=5)
        ),
        graph_training=replace(recipe, batch_size=4, balance_classes=config.preset == "default"),
    )


CONFIGS = {"default": quick(default()), "paper": quick(paper())}


class Killed(BaseException):
    """As a signal does, it passes whatever catches errors."""


@dataclass
class Heard:
    """Hears of a training, and kills it at a word."""

    kill_at: str = ""
    words: list[str] = field(default_factory=list)

    def _hear(self, word: str) -> None:
        self.words.append(word)
        if word == self.kill_at:
            raise Killed

    def stage(self, name: str, done: int, total: int) -> None:
        self._hear(f"{name} {done}/{total}")

    def epoch(self, network: str, report: EpochReport) -> None:
        self._hear(f"{network} epoch {report.epoch}")

    @property
    def epochs(self) -> list[str]:
        return [word for word in self.words if "epoch" in word]
