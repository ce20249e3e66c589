"""Where networks can run on this machine."""

from __future__ import annotations

import re

from calcigraph.errors import BadConfig


def check_device(name: str) -> None:
    """Refuse a device that does not exist here.

    Raises:
        BadConfig: an unknown name, or a device this machine does not have.
    """
    if not isinstance(name, str) or not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise BadConfig(f"device {name!r}", allowed="cpu, cuda, cuda:N, mps", do="choose one of these")
    if name != "cpu" and name not in (present := devices()):
        raise BadConfig(
            f"device {name!r}, which is not here", allowed=", ".join(present), do="choose one of these"
        )


def devices() -> list[str]:
    """Names of the devices of this machine."""
    import torch

    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return [
        "cpu",
        *(["cuda", *cuda] if cuda else []),
        *(["mps"] if torch.backends.mps.is_available() else []),
    ]
