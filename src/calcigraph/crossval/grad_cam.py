"""Where an image network looks: Grad-CAM on its last maps."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calcigraph.models.baselines import LAST_MAPS
from calcigraph.records import FloatImage
from calcigraph.training.images import Images, standardise


def image_saliency(network: nn.Module, name: str, image: Images, *, target: int) -> FloatImage:
    """Grad-CAM (Selvaraju et al. 2017): ReLU(Σ_k α_k A_k), α_k the mean of ∂y_c / ∂A_k over the map A_k.

    Args:
        network: in inference mode.
        name: of the network.
        image: (size, size, channels).
        target: the class c.

    Returns:
        (h, w) of the network's last maps, in [0, 1]: 1 at the most important place, all 0 where none speaks for the
        class.
    """
    held: list[Tensor] = []

    def hold(_: nn.Module, __: object, maps: Tensor) -> Tensor:
        held.append(maps.detach().requires_grad_())
        return held[0].clone()  # which what follows may change in place

    device = next(network.parameters()).device
    handle = network.get_submodule(LAST_MAPS[name]).register_forward_hook(hold)
    try:
        with torch.enable_grad():
            logits = network(torch.as_tensor(standardise(image[None])).to(device))
            (slope,) = torch.autograd.grad(logits[0, target], held[0])
    finally:
        handle.remove()
    weighted = (held[0] * slope.mean(dim=(2, 3), keepdim=True)).sum(dim=1)[0]
    heat: NDArray[np.float32] = torch.relu(weighted).detach().cpu().numpy()
    return heat / heat.max() if heat.max() > 0 else heat
