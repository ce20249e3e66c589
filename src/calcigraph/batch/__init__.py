"""Many mammograms in, one folder of results out."""

from __future__ import annotations

from calcigraph.batch.run import OF_OTHERS, predict_batch
from calcigraph.batch.summary import ALL_DONE, NOTHING_PROCESSED, SOME_FAILED, BatchResult

__all__ = [
    "ALL_DONE",
    "NOTHING_PROCESSED",
    "OF_OTHERS",
    "SOME_FAILED",
    "BatchResult",
    "predict_batch",
]
