"""The image networks: published sizes, weights from a file."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from calcigraph.errors import BadConfig, BadModel
from calcigraph.models.baselines import IMAGE_NETWORKS, image_network
from calcigraph.models.pretrained import load_pretrained

PUBLISHED = {
    "resnet50": 25_557_032,
    "densenet121": 7_978_856,
    "mobilenetv2": 3_504_872,
    "efficientnet-b7": 66_347_960,
}
"""Trainable parameters with three channels and 1,000 classes, as torchvision's model table lists them."""


def build(name, **sizes):
    if name != "mobilenetv2":
        pytest.importorskip("monai")
    return image_network(name, **sizes)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_published(name):
    network = build(name, channels=3, classes=1000)
    assert sum(parameter.numel() for parameter in network.parameters()) == PUBLISHED[name]


@pytest.mark.parametrize("name", IMAGE_NETWORKS)
def test_images_become_logits(name):
    network = build(name, channels=3, classes=5).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize("name", IMAGE_NETWORKS)
def test_fresh_networks_are_sure_of_nothing(name):
    torch.manual_seed(0)
    network = build(name, channels=3, classes=5).train()
    with torch.inference_mode():
        assert network(torch.randn(4, 3, 64, 64)).std() < 1.5


@pytest.mark.parametrize("name", IMAGE_NETWORKS)
def test_running_statistics_follow_within_a_short_training(name):
    """At a share of .01, as MONAI makes EfficientNet, every image got the same answer after 400 batches."""
    layers = build(name, channels=3, classes=5).modules()
    assert {layer.momentum for layer in layers if isinstance(layer, torch.nn.BatchNorm2d)} == {0.1}


def torchvision_name(name, key):
    """Our name of a tensor → torchvision's."""
    if name == "densenet121":
        return key.replace(".layers.", ".").replace("class_layers.out.", "classifier.")
    if name == "mobilenetv2" and ".body." in key:
        last = "1" if key.startswith("features.1.") else "2"
        after = str(int(last) + 1)
        key = key.replace(f".body.{last}.0.", f".conv.{last}.").replace(f".body.{last}.1.", f".conv.{after}.")
        return key.replace(".body.", ".conv.")
    return key


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "mobilenetv2"])
def test_weights_come_from_a_file_under_torchvision_s_names(name, tmp_path):
    torch.manual_seed(0)
    source, target = build(name, channels=3, classes=1000), build(name, channels=3, classes=5)
    tensors = {torchvision_name(name, key): t.contiguous() for key, t in source.state_dict().items()}
    assert any(k not in source.state_dict() for k in tensors) == (name != "resnet50")
    save_file(tensors, tmp_path / "w.safetensors")
    last = dict(target.state_dict())
    load_pretrained(target, name, tmp_path / "w.safetensors")
    same = [torch.equal(t, source.state_dict()[k]) for k, t in target.state_dict().items()]
    assert np.sum(~np.array(same)) == 2  # weight and bias of the last layer
    assert list(last) == list(target.state_dict())


def test_files_that_will_not_do(tmp_path):
    network = image_network("mobilenetv2", channels=3, classes=5)
    with pytest.raises(BadModel, match="allowed:"):
        load_pretrained(network, "mobilenetv2", tmp_path / "absent.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    with pytest.raises(BadModel, match="allowed:"):
        load_pretrained(network, "mobilenetv2", tmp_path / "bad.safetensors")
    save_file({"features.0.0.weight": torch.zeros(32, 1, 3, 3)}, tmp_path / "other.safetensors")
    with pytest.raises(BadModel, match=r"without 260 of the 260 tensors") as caught:
        load_pretrained(network, "mobilenetv2", tmp_path / "other.safetensors")
    assert "\n" not in str(caught.value)


def test_networks_that_are_not_there(monkeypatch):
    with pytest.raises(BadConfig, match="allowed: resnet50, "):
        image_network("vgg", channels=3, classes=5)
    monkeypatch.setitem(__import__("sys").modules, "monai.networks", None)
    with pytest.raises(BadConfig, match=r"calcigraph\[baselines\]"):
        image_network("resnet50", channels=3, classes=5)
