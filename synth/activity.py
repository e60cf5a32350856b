"""What a run recorded of the blocks of an engine, as ``hashlayer record`` writes it."""

import json
import zipfile
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model.errors import ConfigError

__all__ = ["Activity", "read"]


@dataclass(frozen=True)
class Activity:
    """A record. ``values`` (cycles, bytes) are the rows, ``phases`` (cycles,) numbers into the names of
    ``about["phases"]``; ``about`` says the rest."""

    values: np.ndarray
    phases: np.ndarray
    about: dict

    @property
    def names(self) -> list[str]:
        """The names of the phases."""
        return self.about["phases"]

    @cached_property
    def _signals(self) -> dict[str, tuple[int, int]]:
        return {name: (width, offset) for name, width, offset, _ in self.about["signals"]}

    def block(self, name: str, ports) -> dict[tuple[str, str], np.ndarray]:
        """Of the instances of a block the places in a row of the bits (instances, width) of each of
        ``ports`` that was recorded in all of them; a port is a child ("" for the block itself) and a
        name."""
        paths, found = self.about["blocks"].get(name, []), {}
        for child, port in ports:
            names = ["/".join(part for part in (path, child, port) if part) for path in paths]
            if names and all(signal in self._signals for signal in names):
                found[child, port] = np.array([8 * offset + np.arange(width) for width, offset in (
                    self._signals[signal] for signal in names)])
        return found


def read(path, engine: str, cfg) -> Activity:
    """The record of a file, of a run of ``engine`` in the configuration ``cfg``. Raises ConfigError."""
    try:
        with np.load(path, allow_pickle=False) as data:
            found = Activity(data["values"], data["phases"], json.loads(str(data["about"])))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"activity {path} is no record of `hashlayer record`: {error}") from None
    about = found.about
    if (about["engine"], about["config_hash"]) != (engine, cfg.digest):
        raise ConfigError(f"activity {path} is of {about['engine']} {about['config_hash']}, must be of "
                          f"{engine} {cfg.digest}")
    return found
