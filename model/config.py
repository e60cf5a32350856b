"""What the configurations of both engines share: checks by name, plain data, identity."""

import dataclasses
import hashlib
import json
from typing import ClassVar

from model.errors import ConfigError
from model.fixed import Format

__all__ = ["EngineConfig"]


class EngineConfig:
    """Base of a frozen dataclass with structural parameters and a field ``fmt`` of formats.

    ``FORMATS`` is the class of ``fmt``; ``BUILDABLE`` gives for each format the least and the
    largest width that the words of the RTL have room for.
    """

    FORMATS: ClassVar[type]
    BUILDABLE: ClassVar[dict[str, tuple[int, int]]]

    def _check(self, name, legal, text):
        if not legal:
            raise ConfigError(f"{name} is {getattr(self, name)!r}, must be {text}")

    def _check_integers(self, *names):
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"{name} is {value!r}, must be an integer")

    def _default(self, name, value):
        """A parameter of 0 stands for ``value``."""
        if getattr(self, name) == 0:
            object.__setattr__(self, name, value)

    def _check_formats(self):
        """Refuse formats that neither the golden model nor the generator means."""
        fmt, expected = self.fmt, self.FORMATS()
        if not isinstance(fmt, self.FORMATS):
            raise ConfigError(f"fmt is {fmt!r}, must be {self.FORMATS.__name__}")
        for item in dataclasses.fields(self.FORMATS):
            value, default = getattr(fmt, item.name), getattr(expected, item.name)
            if not isinstance(value, Format) or value.signed != default.signed:
                kind = "signed" if default.signed else "unsigned"
                raise ConfigError(f"fmt.{item.name} is {value!r}, must be {kind}")

    def require_buildable(self):
        """Raise ConfigError for formats that fit the golden model but not the words of the RTL."""
        for name, (low, high) in self.BUILDABLE.items():
            width = getattr(self.fmt, name).width
            if not low <= width <= high:
                raise ConfigError(f"fmt.{name}.width is {width}, must be in {low}..{high}")

    def as_dict(self) -> dict:
        """Structural parameters and formats as plain data (JSON)."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict):
        """The inverse of :meth:`as_dict`; missing keys take their default."""
        if not isinstance(data, dict):
            raise ConfigError(f"config is {type(data).__name__}, must be an object")
        known = {f.name for f in dataclasses.fields(cls)}
        for key in data:
            if key not in known:
                raise ConfigError(f"config key {key!r} is unknown, must be one of {sorted(known)}")
        data = dict(data)
        if "fmt" in data:
            try:
                data["fmt"] = cls.FORMATS(**{k: Format(**v) for k, v in data["fmt"].items()})
            except (TypeError, ValueError, AttributeError) as error:
                raise ConfigError(f"config key 'fmt' is malformed ({error}), must map format names "
                                  f"to signed, width, frac") from None
        return cls(**data)

    @property
    def digest(self) -> str:
        """Hexadecimal hash of everything that shapes the hardware (12 digits)."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:12]
