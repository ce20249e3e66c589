"""A process pool that works in this process: starting others costs seconds, which most tests need not spend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


class InlinePool:
    """Stands in for `ProcessPoolExecutor` where only `map` is asked of it."""

    def __init__(
        self, workers: int, *, initializer: Callable[..., None], initargs: tuple[Any, ...], **_: Any
    ) -> None:
        assert workers >= 1
        initializer(*initargs)

    def __enter__(self) -> InlinePool:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        return map(work, items)
