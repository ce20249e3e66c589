"""Answers in a file, a line of JSON each by its key, so that a killed run goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_answers(path: Path) -> dict[str, Any]:
    """Read answers by their keys; none without a file, and half a line is no line."""
    said = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            key, one = json.loads(line)
            said[key] = one
        except (ValueError, TypeError):
            continue
    return said


def add_answer(path: Path, key: str, said: Any) -> None:
    """Add an answer, something that JSON can hold, under a key that tells it from all others."""
    with path.open("a", encoding="utf-8") as file:
        # A line that a killed run has left half done stays alone.
        file.write(f"\n{json.dumps([key, said])}")
