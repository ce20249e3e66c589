"""Model folders: `config.toml`, a safetensors file for each network, `familiar.json`, `MODEL_CARD.md`. No pickles."""

from __future__ import annotations

import importlib.resources
import json
import reprlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from calcigraph.config import Config
from calcigraph.config_toml import read_config, to_toml
from calcigraph.errors import BadConfig, BadModel
from calcigraph.familiar import Ranges, checked_ranges
from calcigraph.io.tables import whole_file, write_json, write_text
from calcigraph.models import Networks, build_networks

CONFIG_FILE = "config.toml"
CARD_FILE = "MODEL_CARD.md"
RANGES_FILE = "familiar.json"


def save_model(
    folder: Path, config: Config, networks: Networks, *, temperature: float, ranges: Ranges, card: str
) -> None:
    """Write a model folder; each file appears whole or not at all.

    Args:
        folder: made where absent; files of these names are replaced.
        config: with which the networks were built.
        networks: their weights are written as `<name>.safetensors`.
        temperature: by which the distribution's logits are divided; kept in its file's header.
        ranges: of what the training images were like (`familiar.ranges_of`).
        card: text of `MODEL_CARD.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in vars(networks).items():
        write_tensors(
            folder / f"{name}.safetensors", network.state_dict(), {"temperature": repr(temperature)}
        )
    write_json(folder / RANGES_FILE, ranges)
    write_text(folder / CARD_FILE, card)
    write_text(folder / CONFIG_FILE, to_toml(config))


def load_model(folder: Path, *, device: str = "cpu") -> tuple[Config, Networks, float]:
    """Read a model folder: settings, networks (in inference mode, on `device`) and temperature.

    Raises:
        BadModel: not a folder, or a file in it is missing, damaged, of other settings or not finite.
    """
    if not folder.is_dir():
        raise BadModel(
            f"no model folder at {folder}", allowed="a folder with config.toml", do="check the path"
        )
    try:
        config = read_config(folder / CONFIG_FILE, whole=True)
    except BadConfig as error:
        raise BadModel(
            f"a model with {error.said[0]}", allowed="a whole model folder", do="get it again"
        ) from None
    # Settings may ask for more than there is memory, so they are held against the files first.
    with torch.device("meta"):
        asked = build_networks(config)
    read = {name: _read_weights(each, folder / f"{name}.safetensors") for name, each in vars(asked).items()}
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False):  # what is drawn here is replaced
        networks = build_networks(config)
    for name, network in vars(networks).items():
        network.load_state_dict(read[name][0])
        network.to(device).eval()
    _, header = read["distribution"]
    return config, networks, _temperature(header, folder)


def load_ranges(folder: Path) -> Ranges:
    """Read what the training images of a model were like; nothing where its folder does not say.

    Raises:
        BadModel: the file is damaged.
    """
    path = folder / RANGES_FILE
    if not path.exists():
        return {}
    try:
        return checked_ranges(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadModel(
            f"{path} ({error})",
            allowed="the ranges that training wrote, [least, greatest] by name",
            do="get it again, or remove it to do without its warnings",
        ) from None


def read_card(folder: Path) -> str:
    """Read the card of a model; "" where it has none."""
    path = folder / CARD_FILE
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network from a safetensors file.

    Raises:
        BadModel: the file is missing or damaged, or its tensors are not those of the network, or not finite.
    """
    tensors, _ = _read_weights(network, path)
    network.load_state_dict(tensors)


def _read_weights(network: nn.Module, path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    tensors, header = read_tensors(path)
    expected = network.state_dict()
    wrong = sorted(
        name
        for name in expected.keys() | tensors.keys()
        if name not in expected
        or name not in tensors
        or (expected[name].shape, expected[name].dtype) != (tensors[name].shape, tensors[name].dtype)
    )
    if wrong:
        raise BadModel(
            f"{path} with {len(wrong)} tensors unlike those of its settings (first: {wrong[0]})",
            allowed="weights made with the settings beside them",
            do="use the config.toml they were trained with",
        )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise BadModel(
            f"{path} with weights that are not finite",
            allowed="finite weights",
            do="train again elsewhere, with a lower learning rate",
        )
    return tensors, header


def find_model(name_or_path: str | Path = "default") -> Path:
    """Return the folder of a model: one that is shipped, by its name, or any model or run folder, by its path.

    A shipped name comes first; write `./default` for a folder of that name.

    Raises:
        BadModel: neither.
    """
    shipped = shipped_models()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    with suppress(OSError, TypeError, ValueError):  # what can be no path at all
        for folder in (Path(name_or_path) / "model", Path(name_or_path)):
            if folder.is_dir():
                _refuse_study(folder)
                return folder
    names = ", ".join(shipped) or "none are shipped"
    raise BadModel(
        f"model {reprlib.repr(str(name_or_path))}",
        allowed=f"{names}, or a folder",
        do="check the name or path",
    )


def _refuse_study(folder: Path) -> None:
    models = sorted(path.parent.relative_to(folder).as_posix() for path in folder.glob("fold_*/*/model"))
    if models or (folder / "fold_1").is_dir():
        raise BadModel(
            f"{folder}, which holds a study of many models",
            allowed=f"one of them: {', '.join(models[:4])}, ..."
            if models
            else "a study whose weights are kept",
            do="name the folder of one",
        )


def shipped_models() -> dict[str, Path]:
    """Name → folder of every model that comes with the package."""
    weights = Path(str(importlib.resources.files("calcigraph"))) / "weights"
    return {folder.parent.name: folder.parent for folder in sorted(weights.glob(f"*/{CONFIG_FILE}"))}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: dict[str, str]) -> None:
    """Write a safetensors file that appears whole or not at all."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(path) as beside:
        beside.write_bytes(save(whole, header))  # safetensors' own files can be read by their owner alone


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: its tensors and its header.

    Raises:
        BadModel: missing or damaged.
    """
    if not path.is_file():
        raise BadModel(f"no file {path}", allowed="a whole model or run folder", do="get or make it again")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise BadModel(
            f"{path} ({error})", allowed="an undamaged safetensors file", do="get it again"
        ) from None


def _temperature(header: dict[str, str], folder: Path) -> float:
    said = header.get("temperature", "1.0")
    try:
        temperature = float(said)
    except ValueError:
        temperature = float("nan")
    if not 0 < temperature < float("inf"):
        raise BadModel(f"temperature {said} in {folder}", allowed="a number above 0", do="calibrate it again")
    return temperature
