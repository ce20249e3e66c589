"""Where the development data lie; tests that need them skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def real_data(*parts: str) -> Path:
    """Path of development data: below CALCIGRAPH_DATA, or beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("CALCIGRAPH_DATA", beside)).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"development data {'/'.join(parts)} are absent")
    return path
