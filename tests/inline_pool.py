"""A process pool that works in this process: starting others costs seconds, which most tests need not spend."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from calcigraph import processes


class InlinePool:
    """Stands in for `ProcessPoolExecutor`; work is done when its result is asked for."""

    def __init__(self, workers: int, *, initargs: tuple[Any, ...], **_: Any) -> None:
        assert workers >= 1
        processes._work = pickle.loads(initargs[0].get())

    def submit(self, work: Callable[[Any], Any], item: Any) -> SimpleNamespace:
        return SimpleNamespace(result=partial(work, item))

    def shutdown(self, *, cancel_futures: bool) -> None:
        assert cancel_futures
