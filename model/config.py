"""What the configurations of both engines share: checks by name, plain data, identity."""

import dataclasses
import hashlib
import json
from typing import ClassVar

import numpy as np

from model.errors import ConfigError
from model.fixed import Format

__all__ = ["EngineConfig", "WORD", "WIDEST", "Constant", "Parameter", "exp2_table", "json_object",
           "require_integer", "require_object", "shown"]

WORD = 62
"""Bits that a word of the golden model may have: every sum of two is still an int64."""

WIDEST = 60
"""Bits that a format may have in the golden model."""

FINEST = 24
"""Bits that an index or an entry of a table may have in the golden model."""


@dataclasses.dataclass(frozen=True)
class Constant:
    """A field that shapes a table or a guard: the least and the largest value that the RTL can be
    built with, and what it is, for the help of command lines."""

    low: int
    high: int
    what: str

    @property
    def legal(self) -> str:
        """The range as text."""
        return f"{self.low}..{self.high}"

    def help(self, default: int) -> str:
        """One line for a command line."""
        return f"{self.what}, {self.legal} (default {default})"


@dataclasses.dataclass(frozen=True)
class Parameter:
    """The one declaration of a structural parameter: what it is, the values that are legal and the
    default, as text. Refusals, the help of every command line and the page of parameters
    take it from here. ``effect`` is more than a line has room for, for that page alone."""

    what: str
    legal: str
    default: str
    effect: str = ""

    def help(self, default: str = "") -> str:
        """One line for a command line; one that takes another default gives it."""
        return f"{self.what}, {self.legal} (default {default or self.default})"


class EngineConfig:
    """Base of a frozen dataclass with structural parameters, constants and a field ``fmt`` of
    formats.

    ``PARAMETERS`` declares each structural parameter, in the order of the fields;
    ``FORMATS`` is the class of ``fmt``; ``BUILDABLE`` gives for each format the least and the
    largest width that the words of the RTL have room for. ``CONSTANTS`` has the fields that shape
    a table or a guard and what the RTL can be built with; the golden model takes more,
    ``1..FINEST``, so that the cost of a choice can be measured. ``WORDS`` names the exact sums.
    """

    PARAMETERS: ClassVar[dict[str, Parameter]]
    FORMATS: ClassVar[type]
    BUILDABLE: ClassVar[dict[str, tuple[int, int]]]
    CONSTANTS: ClassVar[dict[str, Constant]]
    WORDS: ClassVar[tuple[str, ...]]

    def _check(self, name, legal, text):
        if not legal:
            raise ConfigError(f"{name} is {shown(getattr(self, name))}, must be {text}")

    def _check_integers(self, *names):
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"{name} is {shown(value)}, must be an integer, "
                                  f"{(self.PARAMETERS | self.CONSTANTS)[name].legal}")

    def _check_constants(self):
        self._check_integers(*self.CONSTANTS)
        for name in self.CONSTANTS:
            self._check(name, 1 <= getattr(self, name) <= FINEST, f"in 1..{FINEST}")

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
            name = f"fmt.{item.name}"
            if not isinstance(value, Format) or value.signed is not default.signed:
                kind = "signed" if default.signed else "unsigned"
                raise ConfigError(f"{name} is {value!r}, must be {kind}")
            require_integer(f"{name}.width", value.width, 1 + value.signed, WIDEST)
            # A point beyond the highest bit is one of small numbers; beyond twice that, of none.
            require_integer(f"{name}.frac", value.frac, 0, 2 * value.width)

    def _check_words(self):
        """Refuse formats whose exact sums are no words of the golden model."""
        for name in self.WORDS:
            width = getattr(self, name).width
            if width > WORD:
                raise ConfigError(f"{name}.width is {width} with these formats, must be at most "
                                  f"{WORD}")

    def require_buildable(self):
        """Raise ConfigError for formats and constants that fit the golden model but not the words of
        the RTL."""
        for name, (low, high) in self.BUILDABLE.items():
            require_integer(f"fmt.{name}.width", getattr(self.fmt, name).width, low, high)
        for name, constant in self.CONSTANTS.items():
            require_integer(name, getattr(self, name), constant.low, constant.high)

    @classmethod
    def parameter_help(cls, **defaults: str) -> dict[str, str]:
        """For command lines: a line of help for each parameter and constant. ``defaults`` say it for
        a command that takes a parameter from elsewhere when it is not given."""
        return {name: parameter.help(defaults.get(name, ""))
                for name, parameter in cls.PARAMETERS.items()} | {
            name: constant.help(getattr(cls, name)) for name, constant in cls.CONSTANTS.items()}

    def as_dict(self) -> dict:
        """Structural parameters, constants and formats as plain data (JSON)."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict):
        """The inverse of :meth:`as_dict`; missing keys take their default, also those of a format.

        Raises ConfigError, in a line that names the key, its value and what is legal.
        """
        data = dict(require_object("config", data, {f.name for f in dataclasses.fields(cls)}))
        if "fmt" in data:
            chosen = cls.FORMATS()
            known = {f.name for f in dataclasses.fields(cls.FORMATS)}
            for name, value in require_object("fmt", data["fmt"], known).items():
                parts = require_object(f"fmt.{name}", value, {f.name for f in dataclasses.fields(Format)})
                for part in parts.keys() & {"width", "frac"}:
                    require_integer(f"fmt.{name}.{part}", parts[part], 0, WIDEST)
                default = getattr(chosen, name)
                if parts.get("signed", default.signed) is not default.signed:
                    raise ConfigError(f"fmt.{name}.signed is {shown(parts['signed'])}, "
                                      f"must be {json.dumps(default.signed)}")
                require_integer(f"fmt.{name}.width", parts.get("width", default.width),
                                1 + default.signed, WIDEST)
                chosen = dataclasses.replace(
                    chosen, **{name: dataclasses.replace(default, **parts)})
            data["fmt"] = chosen
        return cls(**data)

    @property
    def digest(self) -> str:
        """Hexadecimal hash of everything that shapes the hardware (12 digits)."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:12]


def json_object(text: str, where: str) -> dict:
    """The object of a JSON text; ``where`` names it in messages. Raises ConfigError where it is none,
    for a key that comes twice, and for NaN and infinities."""
    def pairs(items):
        found = dict(items)
        if len(found) < len(items):
            keys = [key for key, _ in items]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"key {twice!r} comes twice")
        return found

    def constant(name):
        raise ValueError(f"{name} is no JSON number")

    try:
        data = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{where} holds a {type(data).__name__}, must be an object")
    return data


def exp2_table(index: int, mantissa: int) -> np.ndarray:
    """2**(i / 2**index), an entry for each i of ``index`` bits, as an unsigned number of ``mantissa`` bits
    of which one stands before the binary point: from 1.0 up to below 2."""
    step = np.arange(1 << index) / (1 << index)
    entry = np.floor(np.exp2(step) * (1 << (mantissa - 1)) + 0.5).astype(np.int64)
    return np.minimum(entry, (1 << mantissa) - 1)


def require_integer(name: str, value, low: int, high: int) -> None:
    """Raise ConfigError unless ``value`` is an integer in ``low..high``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} is {shown(value)}, must be an integer in {low}..{high}")
    if not low <= value <= high:
        raise ConfigError(f"{name} is {shown(value)}, must be in {low}..{high}")


def require_object(name: str, value, known: set) -> dict:
    """Raise ConfigError unless ``value`` is an object of which every key is ``known``."""
    if not isinstance(value, dict):
        raise ConfigError(f"{name} is {shown(value)}, must be an object")
    for key in value:
        if key not in known:
            raise ConfigError(f"{name} key {shown(key)} is unknown, must be one of {sorted(known)}")
    return value


def shown(value) -> str:
    """A value for a message: as in Python, in one line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
