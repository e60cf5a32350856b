"""The configuration of an engine, from a file, flags and the shapes of an input."""

from pathlib import Path

from model.config import json_object
from model.errors import ConfigError
from sw.io.errors import InputError

__all__ = ["engine"]


def engine(config: type, flags: dict, path=None, **shapes):
    """A configuration: a config file, over it the flags that are not None, the rest from the
    ``shapes`` of the input."""
    settings = {}
    if path:
        try:
            settings = json_object(Path(path).read_text(encoding="utf-8"), f"config {path}")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"config {path} cannot be read: {error}") from None
        except ConfigError as error:
            raise InputError(str(error)) from None
    settings = {**shapes, **settings,
                **{key: value for key, value in flags.items() if value is not None}}
    try:
        return config.from_dict(settings)
    except ConfigError as error:
        raise InputError(str(error)) from None
