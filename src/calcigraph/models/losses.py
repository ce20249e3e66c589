"""The focal loss (equation 9)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def focal_loss(logits: Tensor, target: Tensor, *, gamma: float, output: str) -> Tensor:
    """L = -(1 - p_t)^γ log p_t, averaged over the samples (equation 9; Lin et al. 2017).

    With `sigmoid` each of the c outputs is a yes-or-no question of its own, p_t being p where its one-hot
    label is 1 and 1 - p elsewhere, and the c losses are added. With `softmax` p_t is the probability of the
    true class. At γ = 0 both are cross-entropy. Powers are taken of logarithms, so that no logit is too large.

    Args:
        logits: (n, c).
        target: (n,) int64 classes, or (n, c) shares (one-hot or soft labels) in [0, 1].
        gamma: γ ≥ 0.
        output: `sigmoid` or `softmax`.

    Returns:
        A scalar, 0 for no samples.
    """
    shares = target.to(logits.dtype)
    if target.ndim == 1:
        shares = nn.functional.one_hot(target, logits.shape[1]).to(logits.dtype)
    terms = _sigmoid_terms if output == "sigmoid" else _softmax_terms
    return terms(logits, shares, gamma).sum() / max(len(logits), 1)


def _sigmoid_terms(logits: Tensor, shares: Tensor, gamma: float) -> Tensor:
    log_yes, log_no = nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits)
    yes, no = _focal(log_yes, log_no, gamma), _focal(log_no, log_yes, gamma)
    return shares * yes + (1 - shares) * no


def _softmax_terms(logits: Tensor, shares: Tensor, gamma: float) -> Tensor:
    log_p = torch.log_softmax(logits, dim=1)
    itself = torch.eye(logits.shape[1], dtype=torch.bool, device=logits.device)
    others = log_p[:, None, :].masked_fill(itself, -torch.inf)
    return shares * _focal(log_p, torch.logsumexp(others, dim=2), gamma)


def _focal(log_p: Tensor, log_rest: Tensor, gamma: float) -> Tensor:
    """-(1 - p)^γ log p, from log p and log(1 - p)."""
    return -torch.exp(gamma * log_rest) * log_p
