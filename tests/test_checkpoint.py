import dataclasses
import re
import shutil

import pytest
import torch

from calcigraph.checkpoint import (
    find_model,
    load_model,
    load_ranges,
    read_tensors,
    save_model,
    shipped_models,
    write_tensors,
)
from calcigraph.config import default, paper
from calcigraph.config_toml import to_toml
from calcigraph.errors import BadModel
from calcigraph.models import build_networks

NETWORKS = ("confirm", "describe", "distribution")

RANGES = {"texture": (8.25, 70.0), "share of flat pixels": (0.1, 0.7)}


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_model(
        tmp_path / "m", paper(), build_networks(paper()), temperature=1.25, ranges={}, card="# A card\n"
    )
    return tmp_path / "m"


def message(folder):
    with pytest.raises(BadModel) as caught:
        load_model(folder)
    text = str(caught.value)
    assert "\n" not in text
    assert "allowed:" in text
    return text


def test_whoever_may_read_the_card_may_read_the_weights(folder):
    assert len({file.stat().st_mode for file in folder.iterdir()}) == 1


@pytest.mark.parametrize("config", [default(), paper()])
def test_a_model_comes_back_as_it_was(config, tmp_path):
    networks = build_networks(config)
    with torch.no_grad():
        networks.confirm(torch.randn(8, len(config.patch.scales), 14, 14))  # moves the running statistics
    save_model(tmp_path / "a" / "m", config, networks, temperature=0.7, ranges=RANGES, card="card")
    files = {file.name for file in (tmp_path / "a" / "m").iterdir()}
    assert files == {
        "config.toml",
        "familiar.json",
        "MODEL_CARD.md",
        *(f"{name}.safetensors" for name in NETWORKS),
    }
    got, again, temperature = load_model(tmp_path / "a" / "m")
    assert (got, temperature) == (config, 0.7)
    assert load_ranges(tmp_path / "a" / "m") == RANGES
    for name in NETWORKS:
        assert not getattr(again, name).training
        one, two = getattr(networks, name).state_dict(), getattr(again, name).state_dict()
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_saving_over_a_model_replaces_it(folder):
    save_model(folder, default(), build_networks(default()), temperature=2.0, ranges={}, card="new")
    config, _, temperature = load_model(folder)
    assert (config, temperature) == (default(), 2.0)
    assert (folder / "MODEL_CARD.md").read_text() == "new"


def test_no_folder(tmp_path):
    assert "no model folder" in message(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    assert "no model folder" in message(tmp_path / "file")


@pytest.mark.parametrize("name", [*(f"{name}.safetensors" for name in NETWORKS), "config.toml"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    assert name in message(folder)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_truncated_file(folder, kept):
    path = folder / "describe.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert "describe.safetensors" in message(folder)


def test_bytes_that_are_no_weights(folder):
    (folder / "confirm.safetensors").write_bytes(b"\x80\x04pickle" * 30)
    assert "confirm.safetensors" in message(folder)


def test_settings_of_another_model(folder):
    other = dataclasses.replace(paper(), network=dataclasses.replace(paper().network, hidden_dim=16))
    (folder / "config.toml").write_text(to_toml(other))
    assert "unlike those of its settings" in message(folder)
    (folder / "config.toml").write_text(to_toml(default()))
    assert "unlike those of its settings" in message(folder)


def test_settings_that_ask_for_more_than_there_is_memory(folder):
    settings = (folder / "config.toml").read_text()
    more = re.sub(r"(hidden_dim|convolutions|flatten_nodes|members) = \d+", r"\1 = 4096", settings)
    assert more.count("= 4096") >= 4
    (folder / "config.toml").write_text(more)
    assert "tensors unlike those of its settings" in message(folder)  # 100 GB and more


@pytest.mark.parametrize("kind", [torch.complex64, torch.float8_e4m3fn, torch.float64])
def test_weights_of_another_type(folder, kind):
    tensors, header = read_tensors(folder / "confirm.safetensors")
    other = {
        name: tensor.to(kind) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
    }
    write_tensors(folder / "confirm.safetensors", other, header)
    assert "tensors unlike those of its settings" in message(folder)


def test_settings_that_are_missing(folder):
    text = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text("")
    assert "no setting" in message(folder)
    (folder / "config.toml").write_text(re.sub(r"(?m)^at_least = .*\n", "", text))
    assert "no setting confirm.at_least" in message(folder)


@pytest.mark.parametrize("name", [None, 5, b"default", "x" * 5000, "nul\0l"])
def test_what_is_the_name_of_no_model(name):
    with pytest.raises(BadModel, match=r"^model "):
        find_model(name)


def test_settings_that_are_no_settings(folder):
    (folder / "config.toml").write_text("preset = [")
    assert "not TOML" in message(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(folder, value):
    path = folder / "distribution.safetensors"
    tensors, header = read_tensors(path)
    tensors["embed.bias"][0] = value
    write_tensors(path, tensors, header)
    assert "not finite" in message(folder)


@pytest.mark.parametrize("said", ["0", "-1", "nan", "inf", "warm"])
def test_a_wrong_temperature(folder, said):
    path = folder / "distribution.safetensors"
    write_tensors(path, read_tensors(path)[0], {"temperature": said})
    assert f"temperature {said}" in message(folder)


def test_a_model_that_does_not_say_what_it_has_seen(folder):
    assert load_ranges(folder) == {}
    (folder / "familiar.json").unlink()
    load_model(folder)
    assert load_ranges(folder) == {}


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"\xff\xfe",
        b'{"texture": 3}',
        b'{"texture": [3]}',
        b'{"texture": [1, 2, 3]}',
        b'{"texture": ["few", "many"]}',
        b'{"texture": [null, 1]}',
        b'{"texture": [2, 1]}',
        b'{"texture": [NaN, 1]}',
        b'{"texture": [0, Infinity]}',
        b'{"texture": [0, 1' + b"0" * 400 + b"]}",
        b'{"wheels": [1, 2]}',
        b"[" * 100_000,
    ],
)
def test_damaged_ranges(folder, said):
    (folder / "familiar.json").write_bytes(said)
    with pytest.raises(BadModel) as caught:
        load_ranges(folder)
    assert "\n" not in str(caught.value) and "familiar.json" in str(caught.value)


def test_models_are_found_by_name_or_path(folder, tmp_path, monkeypatch):
    assert find_model(folder) == folder
    assert find_model(str(folder)) == folder
    monkeypatch.setattr("calcigraph.checkpoint.shipped_models", lambda: {"default": folder})
    assert find_model() == folder
    monkeypatch.chdir(tmp_path)
    (tmp_path / "default").mkdir()
    assert find_model("default") == folder
    assert find_model("./default").resolve() == tmp_path / "default"
    with pytest.raises(BadModel, match="model 'nonsense'; allowed: default, or a folder"):
        find_model("nonsense")


def test_a_study_is_not_a_model_but_holds_some(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "study" / "fold_1" / "paper" / "model")
    with pytest.raises(BadModel, match=r"study, which holds a study of many models; allowed: .*fold_1/paper"):
        find_model(tmp_path / "study")
    assert find_model(tmp_path / "study" / "fold_1" / "paper").name == "model"
    (tmp_path / "bare" / "fold_1").mkdir(parents=True)
    with pytest.raises(BadModel, match="weights are kept"):
        find_model(tmp_path / "bare")


def test_every_shipped_model_loads():
    for folder in shipped_models().values():
        load_model(folder)
