"""Every case of a data set put to a model: by several processes, and kept on disk, so that a killed run goes on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calcigraph.errors import CalcigraphError
from calcigraph.io import Case, Dataset
from calcigraph.io.answers import add_answer, read_answers
from calcigraph.pipeline import Pipeline
from calcigraph.processes import spread_inference
from calcigraph.provenance import code_digest, fingerprint
from calcigraph.training.run_folder import case_stamp, made_of

Question = Callable[[Pipeline, Dataset, Case], Any]
"""What is asked about a case; can be pickled. The answer is something that JSON can hold."""


@dataclass(frozen=True)
class Failed:
    """What stands for the answer where an image or its truth cannot be read.

    Attributes:
        why: in one line.
    """

    why: str


def ask_all(
    question: Question,
    pipeline: Pipeline,
    dataset: Dataset,
    cases: Sequence[Case],
    path: Path,
    *,
    workers: int | None = 1,
) -> Generator[Any]:
    """Yield the answer to each case, in their order; what was answered before is not asked again.

    Args:
        question: what is asked.
        pipeline: the model.
        dataset: of the cases.
        cases: some of its cases.
        path: file of the answers. What it says of another model, image or truth, or by other code, is not used.
        workers: processes at most, None for one per core (`processes.spread_inference`). A script that asks for
            several must do so under `if __name__ == "__main__":`.

    Yields:
        What the question returns, or `Failed`.

    Raises:
        LostProcess: a process ended before its work was done.
    """
    said = read_answers(path)
    made = made_of(pipeline.config, pipeline.networks)
    model = fingerprint(made, pipeline.temperature, code_digest())
    asker = _Asker(question, pipeline, dataset, model, frozenset(said))
    for key, answer in spread_inference(asker, cases, device=pipeline.device, workers=workers):
        if isinstance(answer, Failed):
            yield answer
            continue
        if key not in said:
            add_answer(path, key, answer)
            said[key] = answer
        yield said[key]


@dataclass(frozen=True)
class _Asker:
    """A question about cases, which processes are sent.

    Attributes:
        question, pipeline, dataset: as in `ask_all`.
        model: what tells the model from any other.
        known: keys that are not asked for again.
    """

    question: Question
    pipeline: Pipeline
    dataset: Dataset
    model: str
    known: frozenset[str]

    def __call__(self, case: Case) -> tuple[str, Any]:
        """Return the key of a case and its answer, None where that is known, or `Failed`."""
        try:
            key = fingerprint(self.model, case_stamp(self.dataset, case))
            return key, None if key in self.known else self.question(self.pipeline, self.dataset, case)
        except CalcigraphError as error:
            return "", Failed(str(error))
