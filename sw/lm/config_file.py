"""Read the configuration of a run: TOML or a preset, with settings of the command line over it.

Unknown sections and keys are refused.
"""

import copy
import json
import tomllib
from dataclasses import fields
from pathlib import Path

from model.errors import ConfigError
from sw.io.errors import InputError
from sw.lm.config import CTAStage, DataConfig, ModelConfig, RunConfig, TrainConfig

__all__ = ["PRESETS", "presets", "read_config", "config_from_dict"]

PRESETS = Path(__file__).resolve().parent / "presets"
"""The folder of the configurations that come with the project."""
SECTIONS = {"model": ModelConfig, "data": DataConfig, "train": TrainConfig, "cta": CTAStage}


def presets() -> list[str]:
    """Names of the configurations that come with the project."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def config_from_dict(data: dict) -> RunConfig:
    """A configuration from nested dicts; raises :class:`model.errors.ConfigError`."""
    made = {}
    for name, table in data.items():
        if name not in SECTIONS:
            raise ConfigError(f"section [{name}] is unknown, must be one of {', '.join(SECTIONS)}")
        if not isinstance(table, dict):
            raise ConfigError(f"{name} is {table!r}, must be a section")
        known = [f.name for f in fields(SECTIONS[name])]
        for key in table:
            if key not in known:
                raise ConfigError(f"{name}.{key} is unknown, must be one of {', '.join(known)}")
        made[name] = SECTIONS[name](**table)
    return RunConfig(**made)


def read_config(path=None, settings=(), text=(), base=None) -> RunConfig:
    """The configuration of a TOML file or a preset's name, with ``settings`` over it.

    ``settings`` are "section.key=value" with the value in TOML (a bare word is a string); ``text``
    replaces data.text; ``base`` stands in for a path that is None. Raises
    :class:`sw.io.errors.InputError` or ConfigError.
    """
    data = _read_toml(path) if path else copy.deepcopy(base or {})
    for setting in settings:
        name, equals, value = setting.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot and key):
            raise InputError(f"--set {setting} is malformed, must be section.key=value")
        if not isinstance(data.setdefault(section, {}), dict):
            raise InputError(f"{section} is not a section")
        table, *inner = key.split(".")
        place = data[section]
        for part in inner:
            place, table = place.setdefault(table, {}), part
            if not isinstance(place, dict):
                raise InputError(f"--set {setting}: {name} is inside of a value")
        place[table] = _value(value.strip())
    if text:
        data.setdefault("data", {})["text"] = [str(path) for path in text]
    return config_from_dict(data)


def _read_toml(path):
    file = PRESETS / f"{path}.toml"
    if not file.is_file():
        file = Path(path)
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise InputError(f"config {path} does not exist, nor is it one of the presets "
                         + ", ".join(presets())) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"config {path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"config {path} is not TOML: {error}") from None


def _value(text):
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
