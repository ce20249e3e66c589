"""ImageNet weights for the image networks, from a safetensors file that the user has."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from calcigraph.errors import BadModel

CLASSIFIERS = {
    "resnet50": "fc.",
    "densenet121": "class_layers.out.",
    "mobilenetv2": "classifier.1.",
    "efficientnet-b7": "_fc.",
}
"""Name → prefix of the last layer, which is never taken from elsewhere."""

TORCHVISION = {
    "densenet121": (
        (r"^(features\.denseblock\d+\.denselayer\d+)\.(norm|conv)", r"\1.layers.\2"),
        (r"^classifier\.", "class_layers.out."),
    ),
    "mobilenetv2": (
        (r"^(features\.1\.)conv\.1\.", r"\1body.1.0."),
        (r"^(features\.1\.)conv\.2\.", r"\1body.1.1."),
        (r"^(features\.\d+\.)conv\.2\.", r"\1body.2.0."),
        (r"^(features\.\d+\.)conv\.3\.", r"\1body.2.1."),
        (r"^(features\.\d+\.)conv\.", r"\1body."),
    ),
}
"""Name → (pattern, replacement) from torchvision's names to ours; ResNet-50 has the same names in both."""


def load_pretrained(network: nn.Module, name: str, path: Path) -> None:
    """Fill all of an image network but its last layer from a safetensors file that the user has.

    Args:
        network: made by `image_network`.
        name: of the network.
        path: tensors under our names or torchvision's (EfficientNet-B7: MONAI's).

    Raises:
        BadModel: the file is missing or damaged, or lacks a tensor of the network.
    """
    try:
        given = load_file(path)
    except (OSError, SafetensorError) as error:
        raise BadModel(
            f"pretrained weights {path} ({error})",
            allowed="an undamaged safetensors file",
            do="check the path",
        ) from None
    given = {_our_name(key, name): tensor for key, tensor in given.items()}
    expected = {
        key: tensor
        for key, tensor in network.state_dict().items()
        if not key.startswith(CLASSIFIERS[name]) and not key.endswith("num_batches_tracked")
    }
    wrong = [k for k, tensor in expected.items() if k not in given or given[k].shape != tensor.shape]
    if wrong:
        raise BadModel(
            f"{path} without {len(wrong)} of the {len(expected)} tensors of {name} (first: {wrong[0]})",
            allowed="weights of this network for three-channel images",
            do="convert the file or leave the option out",
        )
    with torch.no_grad():
        network.load_state_dict({key: given[key] for key in expected}, strict=False)


def _our_name(key: str, name: str) -> str:
    for pattern, replacement in TORCHVISION.get(name, ()):
        renamed = re.sub(pattern, replacement, key)
        if renamed != key:
            return renamed
    return key
