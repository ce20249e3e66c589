"""Which calcifications decided: Grad-CAM on the nodes of the graph."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Batch

from calcigraph.graph import CalcificationGraph
from calcigraph.models import DistributionNet


def node_saliency(
    net: DistributionNet, graph: CalcificationGraph, *, target: int | None = None
) -> NDArray[np.float32]:
    """Grad-CAM (Selvaraju et al. 2017) on the features h (n, k) of the nodes after the last convolution.

    s_i = ReLU(Σ_k α_k h_ik), with α_k = mean_i ∂y_c / ∂h_ik and y_c the logit of class c, divided by its maximum.

    Args:
        net: the graph network, which is asked in inference mode.
        graph: n nodes, from 0.
        target: index of the class to explain; by default the likeliest.

    Returns:
        (n,) float32 in [0, 1]: 1 at the most important node, all 0 where none speaks for the class.
    """
    was_training = net.training
    net.eval()
    batch = Batch.from_data_list([graph]).to(next(net.parameters()).device)
    with torch.enable_grad():
        h = net.node_features(batch).detach().requires_grad_()
        logits = net.read_out(h, batch)[0]
        chosen = int(logits.argmax()) if target is None else target
        (slope,) = torch.autograd.grad(logits[chosen], h)
    net.train(was_training)
    if len(h) == 0:
        return np.zeros(0, np.float32)
    saliency = torch.relu(h.detach() @ slope.mean(dim=0))
    highest = saliency.max()
    scaled: NDArray[np.float32] = (saliency / highest if highest > 0 else saliency).cpu().numpy()
    return scaled
