"""Answers in a file, a line of JSON each by its key, so that a killed run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


class KeptLines:
    """What was found out so far; the file is there from the first answer until `remove`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._said = _read(path)

    def recall(self, key: str, find_out: Callable[[], Any]) -> Any:
        """Return what was found out under a key that tells it from all others; else find it out, and keep it.

        It is something that JSON can hold.
        """
        if key not in self._said:
            self._said[key] = find_out()
            with self.path.open("a", encoding="utf-8") as file:
                # A line that a killed run has left half done stays alone.
                file.write(f"\n{json.dumps([key, self._said[key]])}")
        return self._said[key]

    def remove(self) -> None:
        """Remove the file: everything is found out."""
        self.path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    """What was found out, by its key; nothing without a file, and half a line is no line."""
    said = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            key, one = json.loads(line)
            said[key] = one
        except (ValueError, TypeError):
            continue
    return said
