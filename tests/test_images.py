"""Image networks: the small images they see, how these are varied, their training, alone and in two processes."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from calcigraph.config import BreastConfig, TrainingConfig
from calcigraph.errors import BadConfig, BadModel
from calcigraph.io import read_dataset
from calcigraph.lexicon import Laterality
from calcigraph.records import Mammogram
from calcigraph.training.breast_box import (
    BreastBox,
    breast_box,
    load_images,
    shrink_dataset,
    small_image,
    turn,
    turn_back,
)
from calcigraph.training.images import (
    ImageExamples,
    depthwise_in_float32,
    predict_images,
    standardise,
    train_image_network,
    vary_image,
)
from calcigraph.training.workers import Workers

RECIPE = TrainingConfig(
    epochs=3, batch_size=7, learning_rate=3e-3, focal_gamma=0.0, balance_classes=True, augment=True
)


class Plain(nn.Module):
    """A network without batch normalisation and dropout, which two processes train exactly as one does."""

    def __init__(self):
        super().__init__()
        self.filters = nn.Conv2d(3, 8, 3, stride=2)
        self.classify = nn.Linear(8, 5)

    def forward(self, images):
        return self.classify(torch.relu(self.filters(images)).mean(dim=(2, 3)))


def examples(n=30, size=24, seed=0):
    """The class is where a bright square lies."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 5
    images = rng.integers(0, 80, (n, size, size, 3)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 : 4 + 4 * label, 2 : 4 + 4 * label] = 255
    return ImageExamples(images, labels)


def train(run_dir, *, workers=None, report=None, recipe=RECIPE, precision="32-true"):
    torch.manual_seed(1)
    network = Plain()
    result = train_image_network(
        network,
        examples(),
        examples(10, seed=1),
        recipe=recipe,
        seed=5,
        run_dir=run_dir,
        precision=precision,
        report=report,
        workers=workers,
    )
    return network, result


def test_image_networks_learn(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=40, learning_rate=2e-2, augment=False)
    network, result = train(tmp_path, recipe=recipe)
    assert result.history[-1].training_loss < 0.6 * result.history[0].training_loss
    assert result.best.validation_score > 0.9
    probabilities = predict_images(network, examples(10, seed=2).images, batch=3)
    assert probabilities.shape == (10, 5) and np.allclose(probabilities.sum(1), 1)
    assert predict_images(network, examples(10).images[:0]).shape == (0, 5)


def test_mixed_precision_learns_the_same_within_its_rounding(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=20, learning_rate=1e-2, augment=False)
    _, exact = train(tmp_path / "exact", recipe=recipe)
    network, mixed = train(tmp_path / "mixed", recipe=recipe, precision="bf16-mixed")
    assert {tensor.dtype for tensor in network.state_dict().values()} <= {torch.float32, torch.int64}
    pairs = [
        (one.training_loss, two.training_loss) for one, two in zip(exact.history, mixed.history, strict=True)
    ]
    assert all(one != two and one == pytest.approx(two, rel=0.05) for one, two in pairs)
    _, again = train(tmp_path / "again", recipe=recipe, precision="bf16-mixed")
    assert [e.training_loss for e in again.history] == [e.training_loss for e in mixed.history]
    with pytest.raises(BadModel, match="another recipe, precision"):
        train(tmp_path / "mixed", recipe=recipe)


def test_depthwise_convolutions_calculate_in_float32_and_answer_in_the_precision_around_them():
    layer, other = nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3)
    given = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = layer(given.float())
    depthwise_in_float32(nn.Sequential(layer, other))
    with torch.autocast("cpu", torch.bfloat16):
        answer = layer(given)
        assert answer.dtype == other(given).dtype == torch.bfloat16
    assert torch.equal(answer, exact.bfloat16())
    assert torch.equal(layer(given.float()), exact)
    assert "forward" in vars(layer) and "forward" not in vars(other)


@pytest.mark.long
def test_two_processes_agree_with_one(tmp_path):
    """30 examples in batches of 7 leave odd batches, which two processes share unevenly."""
    pytest.importorskip("lightning.fabric")
    heard = []
    alone, alone_result = train(tmp_path / "one")
    shared, shared_result = train(tmp_path / "two", workers=Workers(devices=2), report=heard.append)
    assert [dataclasses.astuple(each)[:2] for each in heard] == [
        (e, r.learning_rate) for e, r in enumerate(heard)
    ]
    assert len(heard) == RECIPE.epochs and tuple(heard) == shared_result.history
    for one, two in zip(alone_result.history, shared_result.history, strict=True):
        assert one.training_loss == pytest.approx(two.training_loss, rel=1e-5)
        assert one.validation_loss == pytest.approx(two.validation_loss, rel=1e-4)
        assert one.validation_score == pytest.approx(two.validation_score, abs=0.02)
    for one, two in zip(alone.parameters(), shared.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)
    before = (tmp_path / "two" / "state.safetensors").read_bytes()
    train(tmp_path / "two", workers=Workers(devices=2))
    assert (tmp_path / "two" / "state.safetensors").read_bytes() == before


@pytest.mark.parametrize("wrong", [{"devices": 0}, {"strategy": "fsdp"}])
def test_workers_that_cannot_be(wrong):
    with pytest.raises(BadConfig, match="allowed:"):
        Workers(**wrong)


@pytest.mark.parametrize(
    ("device", "devices", "words"),
    [
        ("mps", 2, "2 devices of mps; allowed: several of cpu or of cuda"),
        ("cuda:1", 2, "2 devices of cuda:1; allowed"),
        ("cpu", 100_000, "100000 devices; allowed: 1 to"),
        ("cuda", 100_000, "100000 devices; allowed: 1 to"),
    ],
)
def test_devices_that_cannot_share(device, devices, words):
    with pytest.raises(BadConfig, match=words):
        Workers.on(device, devices, "ddp")


def test_one_device_of_any_kind_is_one():
    assert [Workers.on(name, 1, "ddp").accelerator for name in ("cpu", "cuda:1", "mps")] == [
        "cpu",
        "cuda",
        "cpu",
    ]


def test_devices_that_fail_together_are_one_line(monkeypatch):
    class Failing:
        def launch(self, *_):
            raise RuntimeError("Traceback:\n\nOSError: address in use")

    monkeypatch.setattr(Workers, "_fabric", lambda _: Failing())
    with pytest.raises(BadConfig, match=r"2 devices .* \(OSError: address in use\); allowed") as caught:
        Workers(devices=2).launch(lambda *_: None, report=None)
    assert "\n" not in str(caught.value)


def test_several_devices_need_lightning(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lightning.fabric", None)
    with pytest.raises(BadConfig, match=r"calcigraph\[train\]"):
        train(tmp_path, workers=Workers(devices=2))


def test_a_batch_is_varied_the_same_way_however_it_is_divided():
    data, indices = examples(), np.array([3, 8, 1, 20, 5])
    whole, labels = data.make_batch(indices, np.random.default_rng(9))
    for rank in (0, 1):
        part, part_labels = data.make_batch(indices[rank::2], np.random.default_rng(9))
        assert torch.equal(part, whole[rank::2]) and torch.equal(part_labels, labels[rank::2])
    plain, _ = data.make_batch(indices, None)
    assert not torch.equal(plain, whole)


def test_standardised_images_have_mean_0_and_variance_1():
    values = standardise(examples().images)
    assert values.shape == (30, 3, 24, 24) and values.dtype == np.float32
    assert np.allclose(values.mean((2, 3)), 0, atol=1e-4) and np.allclose(values.std((2, 3)), 1, atol=1e-3)
    assert np.isfinite(standardise(np.zeros((1, 8, 8, 3), np.uint8))).all()


def test_a_varied_image_keeps_its_form_and_its_air():
    rng = np.random.default_rng(0)
    image = np.zeros((32, 32, 3), np.uint8)
    image[8:24, :16] = 120
    for _ in range(20):
        varied = vary_image(image, rng)
        assert varied.shape == image.shape and varied.dtype == np.uint8
        assert (varied == 0).mean() > 0.4 and varied.max() > 40


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_the_chest_wall_comes_to_the_left_and_back(side):
    image = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    wall = {"left": image[:, 0], "right": image[:, -1], "top": image[0], "bottom": image[-1]}[side]
    turned = turn(image, side)
    assert np.array_equal(turned[:, 0], wall)
    assert np.array_equal(turn_back(turned, side), image)


def test_the_box_is_the_breast_s():
    pixels = np.zeros((400, 300), np.float32)
    rows, cols = np.mgrid[:400, :300]
    depth = (rows - 200) ** 2 / 150**2 + (300 - cols) ** 2 / 200**2
    pixels[depth < 1] = 0.8 - 0.3 * depth[depth < 1]
    box = breast_box(Mammogram(pixels, (0.4, 0.4), laterality=Laterality.RIGHT), BreastConfig())
    assert box.side == "right"
    assert np.allclose((box.top, box.bottom, box.left, box.right), (50, 350, 100, 300), atol=8)
    assert box.cut(pixels)[150, 5] > 0.7 and box.cut(pixels)[0, -1] == 0


def test_calcifications_smaller_than_a_cell_do_not_vanish():
    pixels = np.full((700, 350), 0.4, np.float32)
    pixels[333, 111] = 1.0
    image = small_image(Mammogram(pixels, (0.1, 0.1)), BreastBox(0, 700, 0, 350, "left"), size_px=50)
    assert image.shape == (50, 50, 3) and image.dtype == np.uint8
    there, elsewhere = image[333 // 14, 111 // 7].astype(int), image[0, 0].astype(int)
    assert there[1] - elsewhere[1] > 45 and there[2] - elsewhere[2] > 50
    assert abs(there[0] - elsewhere[0]) < 20


def test_a_black_image_is_an_image():
    box = BreastBox(0, 20, 0, 30, "left")
    assert (small_image(Mammogram(np.zeros((20, 30), np.float32), (1, 1)), box, size_px=8) == 0).all()


def test_small_images_are_made_once(tiny_cohort, tmp_path):
    data = read_dataset(tiny_cohort)
    some = dataclasses.replace(data, cases=data.cases[:2])
    heard = []
    shrink_dataset(some, BreastConfig(), tmp_path, size_px=16, report=lambda *n: heard.append(n))
    first = load_images(tmp_path, some.cases)
    assert first.shape == (2, 16, 16, 3) and first.any() and heard == [(1, 2), (2, 2)]
    nowhere = dataclasses.replace(some, folder=Path("nowhere"))
    shrink_dataset(nowhere, BreastConfig(), tmp_path, size_px=16)
    assert np.array_equal(load_images(tmp_path, some.cases), first)
