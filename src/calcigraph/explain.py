"""Which calcifications decided: those of the lesion, and those without which the answer would be less sure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch

from calcigraph.graph import CalcificationGraph
from calcigraph.models import DistributionNet, MemberReadout, in_inference
from calcigraph.prevalence import EQUAL


def node_saliency(
    net: DistributionNet,
    graph: CalcificationGraph,
    *,
    target: int | None = None,
    temperature: float = 1.0,
    expected: NDArray[np.float64] = EQUAL,
) -> NDArray[np.float32]:
    """Say how much each calcification speaks for a class c.

    Where the network names by the lesion's shape (`MemberReadout`), s_i = ReLU(w_i (g_i - ḡ)): w_i is the node's
    weight in that shape, g_i = ∂ log p_c / ∂w_i, and ḡ the mean of g with the weights w. To first order that is how far
    log p_c falls when the node leaves and the others take over its weight. Otherwise Grad-CAM (Selvaraju et al. 2017)
    on the features h (n, k) of the nodes after the last convolution, as in the paper: s_i = ReLU(Σ_k α_k h_ik),
    α_k = mean_i ∂y_c / ∂h_ik, y_c being the logit. Both are divided by their maximum.

    Args:
        net: the graph network, which is asked in inference mode.
        graph: n nodes, from 0.
        target: index of the class to explain; by default the likeliest.
        temperature: by which p's logits are divided. Grad-CAM, of a logit, does without.
        expected: (5,) by what p is multiplied (`prevalence.expect`). Grad-CAM does without.

    Returns:
        (n,) float32 in [0, 1]: 1 at the most important node, all 0 where none speaks for the class.
    """
    # Callers may have switched gradients off.
    with in_inference(net), torch.inference_mode(False), torch.enable_grad():
        h, batch = _features(net, graph)
        readout = net.readout
        if isinstance(readout, MemberReadout):
            offset = torch.as_tensor(expected, dtype=h.dtype, device=h.device).log()

            def log_odds(weight: Tensor) -> Tensor:
                named = readout.name(weight, batch)
                return net.log_probabilities(named, temperature=temperature)[0] + offset

            saliency = _by_weight(readout.weigh(h), log_odds, target)
        else:
            saliency = _grad_cam(net, h, batch, target)
    highest = saliency.max() if len(saliency) else 0
    scaled: NDArray[np.float32] = (saliency / highest if highest > 0 else saliency).cpu().numpy()
    return scaled


def lesion_weights(net: DistributionNet, graph: CalcificationGraph) -> NDArray[np.float32]:
    """Weight (n,) in [0, 1] of each calcification in the shape by which the lesion is named.

    All 1 for a network that names by anything else than that shape. The network is asked in inference mode.
    """
    if not isinstance(net.readout, MemberReadout):
        return np.ones(len(graph.pos), np.float32)
    with in_inference(net):
        h, _ = _features(net, graph)
        weights: NDArray[np.float32] = net.readout.weigh(h).detach().cpu().numpy()
    return weights


def _features(net: DistributionNet, graph: CalcificationGraph) -> tuple[Tensor, Batch]:
    """Features (n, hidden_dim) of the nodes, without gradients, and the graph as a batch."""
    batch = Batch.from_data_list([graph]).to(next(net.parameters()).device)
    with torch.no_grad():
        return net.node_features(batch), batch


def _by_weight(weight: Tensor, log_odds: Callable[[Tensor], Tensor], target: int | None) -> Tensor:
    weight = weight.detach().requires_grad_()
    slope = _slope(torch.log_softmax(log_odds(weight), dim=0), weight, target)
    share = weight.detach()
    mean = (share * slope).sum() / share.sum().clamp(min=1e-9)
    return torch.relu(share * (slope - mean))


def _grad_cam(net: DistributionNet, h: Tensor, batch: Batch, target: int | None) -> Tensor:
    h = h.detach().requires_grad_()
    slope = _slope(net.read_out(h, batch)[0], h, target)
    return torch.relu(h.detach() @ slope.mean(dim=0))


def _slope(logits: Tensor, of: Tensor, target: int | None) -> Tensor:
    chosen = int(logits.argmax()) if target is None else target
    (slope,) = torch.autograd.grad(logits[chosen], of)
    return slope
