"""One number that makes probabilities honest (Guo et al. 2017, temperature scaling)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from calcigraph.metrics import class_shares
from calcigraph.models import DistributionNet
from calcigraph.prevalence import EQUAL

BOUNDS = (0.1, 10.0)


def expected_shares(labels: NDArray[np.int64], *, balanced: bool) -> NDArray[np.float64]:
    """Return what to multiply probabilities by, (5,), before they are held against labels (n,).

    The classes' shares of these labels, if training drew classes equally often (`balanced`), so that its answers are
    for equal shares; if not, it has learnt how frequent they are, and equal numbers change nothing.
    """
    if not balanced or len(labels) == 0:
        return EQUAL
    return class_shares(labels)


def fit_temperature(
    net: DistributionNet,
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    shares: NDArray[np.float64] | None = None,
) -> float:
    """Find the temperature at which the probabilities of held-out examples are likeliest.

    Args:
        net: says how logits become probabilities.
        logits: (n, 5) of examples that did not train.
        labels: (n,) their classes; 1 is returned where there are not two, as any temperature would do.
        shares: (5,) how frequent the classes are expected to be (`expected_shares`); equally unless given.

    Returns:
        A temperature within `BOUNDS`.
    """
    if len(np.unique(labels)) < 2:
        return 1.0
    expected = 1.0 if shares is None else torch.as_tensor(shares)
    held, target = torch.as_tensor(logits, dtype=torch.float64), torch.as_tensor(labels)

    def surprise(log_temperature: float) -> float:
        p = net.probabilities(held, temperature=float(np.exp(log_temperature))) * expected
        p = p / p.sum(dim=1, keepdim=True)
        return float(-p[torch.arange(len(target)), target].clamp(min=1e-300).log().mean())

    found = minimize_scalar(surprise, bounds=tuple(np.log(BOUNDS)), method="bounded")
    return float(np.exp(found.x))
