"""Where a result comes from: versions, time and memory of each stage, a fingerprint of what went in."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

LIBRARIES = (
    "calcigraph",
    "torch",
    "torch_geometric",
    "numpy",
    "scipy",
    "pandas",
    "opencv-python-headless",
    "scikit-learn",
    "pydicom",
    "python-gdcm",
    "matplotlib",
    "monai",
    "lightning",
)


@cache
def versions() -> dict[str, str]:
    """Return package → version of what decides a result, without importing any of it."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def code_digest(part: str = "") -> str:
    """Return a fingerprint of this package's sources, by which the work of other code of one version is told.

    Args:
        part: of one of its packages alone, such as `simulate`; "" for all.
    """
    folder = Path(__file__).parent / part
    files = [(str(path.relative_to(folder)), file_digest(path)) for path in sorted(folder.rglob("*.py"))]
    return fingerprint(versions()["calcigraph"], files)


def peak_rss_mb() -> float:
    """Return the most memory that this process has held so far; NaN where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return float(peak) / (1024 * 1024 if sys.platform == "darwin" else 1024)


@dataclass
class StageClock:
    """Time and memory of named stages.

    Attributes:
        seconds: stage → wall time, summed over repeats.
        peak_rss_mb: stage → the process's memory high-water mark when the stage last ended.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    peak_rss_mb: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside of the `with` block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
            self.peak_rss_mb[name] = peak_rss_mb()


def fingerprint(*parts: object) -> str:
    """Return 32 hexadecimal digits that change whenever one of the parts does.

    Args:
        parts: what JSON can hold; of anything else its text.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def file_stamp(path: Path) -> tuple[int, int] | None:
    """Return size and time of change (ns) of a file; None where there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def file_digest(path: Path) -> str | None:
    """Return the SHA-256 of what a file holds, wherever and whenever it was written; None where there is none."""
    try:
        if not path.is_file():  # a pipe would never end
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


def weights_digest(folder: Path) -> str:
    """Return a fingerprint of a model folder's weights and ranges, whatever it is called; "" where it has none."""
    made = sorted(path for kind in ("*.safetensors", "*.json") for path in folder.glob(kind))
    return fingerprint([(path.name, file_digest(path)) for path in made]) if made else ""
