"""Feed-forward layers by name: LookupFFN and what its paper compares it with.

All are modules (..., d) -> (..., d) without residual and normalisation. All have ``flop``, the
floating-point operations per token as the paper counts them. Switch, SLIDE and MONGOOSE have
``aux_loss`` (:mod:`sw.nn.ffn.auxiliary`); the first and the last may want it added to the loss.
"""

import inspect
from importlib import import_module

from torch import nn

from model.errors import ConfigError

__all__ = ["FFNS", "make_ffn", "ffn_options"]

_WHERE = {
    "vanilla": ("sw.nn.ffn.vanilla", "VanillaFFN"),
    "lookup": ("sw.nn.ffn.lookup", "LookupFFN"),
    "switch": ("sw.nn.ffn.switch", "SwitchFFN"),
    "shuffle": ("sw.nn.ffn.shuffle", "ShuffleFFN"),
    "slide": ("sw.nn.ffn.slide", "SlideFFN"),
    "mongoose": ("sw.nn.ffn.mongoose", "MongooseFFN"),
    "yoso": ("sw.nn.ffn.yoso", "YosoFFN"),
}

FFNS = tuple(_WHERE)
"""Names that :func:`make_ffn` takes."""


def _layer(name: str) -> type[nn.Module]:
    if not isinstance(name, str) or name not in _WHERE:
        raise ConfigError(f"ffn is {name!r}, must be one of {', '.join(FFNS)}")
    module, layer = _WHERE[name]
    return getattr(import_module(module), layer)


def ffn_options(name: str) -> dict[str, object]:
    """Options of the layer ``name`` beside ``d``, with their defaults.

    ``inspect.Parameter.empty`` stands for an option that must be given.
    """
    parameters = inspect.signature(_layer(name)).parameters
    return {p.name: p.default for p in parameters.values() if p.name != "d"}


def make_ffn(name: str, d: int, **options) -> nn.Module:
    """The layer ``name`` for tokens of dimension ``d``.

    ConfigError for an unknown name, an option that the layer does not have, one that it needs and
    is not given, or an illegal value.
    """
    layer, known = _layer(name), ffn_options(name)
    for option in options:
        if option not in known:
            raise ConfigError(f"option {option!r} of ffn {name!r} is unknown, must be one of "
                              f"{', '.join(known)}")
    for option, default in known.items():
        if default is inspect.Parameter.empty and option not in options:
            raise ConfigError(f"option {option!r} of ffn {name!r} is missing, must be given")
    return layer(d, **options)
