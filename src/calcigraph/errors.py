"""What can go wrong with what a user gave. Each message: what was got, what is allowed, what to do."""

from __future__ import annotations

import errno

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""A full disk, a used-up quota."""


class CalcigraphError(Exception):
    """Base of every error that a user can mend; its text is one line, `said` its three parts."""

    def __init__(self, got: str, *, allowed: str, do: str) -> None:
        super().__init__(" ".join(f"{got}; allowed: {allowed}; {do}".split()))
        self.said = (got, allowed, do)

    def __reduce__(self) -> tuple[object, ...]:
        """Let the error cross from a worker process, which pickles it."""
        return _rebuild, (type(self), *self.said)


def _rebuild(kind: type[CalcigraphError], got: str, allowed: str, do: str) -> CalcigraphError:
    return kind(got, allowed=allowed, do=do)


class UnreadableImage(CalcigraphError):  # noqa: N818 - named for what the user sees
    """A file that is not a mammogram this package can read."""


class MissingSpacing(UnreadableImage):
    """An image without pixel spacing, where none was given."""


class BadManifest(CalcigraphError):  # noqa: N818
    """A data set folder that breaks the contract (dataset.json, manifest.csv, truth)."""


class BadModel(CalcigraphError):  # noqa: N818
    """A model or run folder that cannot be loaded."""


class LostProcess(CalcigraphError):  # noqa: N818
    """A process that the system ended; what was done before is kept."""


class BadConfig(CalcigraphError):  # noqa: N818
    """A setting outside of its range, or one that does not exist."""
