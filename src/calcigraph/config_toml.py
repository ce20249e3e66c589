"""Settings as TOML, in and out."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import tomli_w

from calcigraph.config import Config, load_preset
from calcigraph.config_rules import require
from calcigraph.errors import BadConfig


def to_toml(config: Config) -> str:
    """Write every setting as TOML."""
    return tomli_w.dumps(asdict(config))


def from_toml(text: str, *, whole: bool = False) -> Config:
    """Read settings from TOML; what is left out keeps the value of the file's `preset`, or is refused (`whole`).

    Raises:
        BadConfig: not TOML, an unknown or missing setting, a wrong type or a value out of range.
    """
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also digits without end, and tables in tables in tables
        raise BadConfig(f"settings that are not TOML ({error})", allowed="TOML", do="mend the file") from None
    config = _merge(load_preset(str(table.get("preset", "default"))), table, "")
    if whole and (missing := _names(asdict(config)) - _names(table)):
        raise BadConfig(f"no setting {min(missing)}", allowed="every setting", do="get the whole file")
    return config


def _names(table: Mapping[str, Any], prefix: str = "") -> set[str]:
    """The names of all settings in tables in tables, with dots."""
    inside = {name: value for name, value in table.items() if isinstance(value, Mapping)}
    names = {f"{prefix}{name}" for name in table.keys() - inside.keys()}
    return names.union(*(_names(value, f"{prefix}{name}.") for name, value in inside.items()))


def read_config(path: Path, *, whole: bool = False) -> Config:
    """Read a TOML file of settings; `whole` as in `from_toml`.

    Raises:
        BadConfig: the file is missing or not valid.
    """
    try:
        return from_toml(path.read_text(encoding="utf-8-sig"), whole=whole)
    except (OSError, UnicodeDecodeError):
        raise BadConfig(
            f"no readable settings at {path}", allowed="a TOML file", do="check the path"
        ) from None


T = TypeVar("T")

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
"""What may stand for a setting of each type, in words."""


def _merge(base: T, table: Mapping[str, Any], prefix: str) -> T:
    types = get_type_hints(type(base))
    known = [f.name for f in fields(base)]  # type: ignore[arg-type]
    values = {name: getattr(base, name) for name in known}
    for name, value in table.items():
        if name not in known:
            raise BadConfig(f"setting {prefix}{name}", allowed=", ".join(known), do="remove or rename it")
        if is_dataclass(values[name]):
            require(isinstance(value, dict), f"{prefix}{name}", value, "a table")
            values[name] = _merge(values[name], value, f"{prefix}{name}.")
        else:
            values[name] = _cast(value, types[name], f"{prefix}{name}")
    try:
        return type(base)(**values)
    except BadConfig as error:
        got, allowed, do = error.said
        got = got.replace("setting ", f"setting {prefix}", 1)
        raise BadConfig(got, allowed=allowed, do=do) from None


def _cast(value: Any, kind: Any, name: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        require(abs(value) <= sys.float_info.max, name, value, "a finite number")
        return float(value)
    if get_args(kind):
        whole = isinstance(value, list) and all(type(v) is int for v in value)
        require(whole, name, value, "a list of whole numbers")
        return tuple(value)
    require(type(value) is kind, name, value, KINDS[kind])
    return value
