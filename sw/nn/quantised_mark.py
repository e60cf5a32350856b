"""A quantised layer says so in its state dict, and a float one does not take it in silence.

The points of a fake are no weights: they come from calibration, and the integers leave by
``sw.export``. So the keys of a state dict are those of the float model, which training goes on from;
the mark is in its metadata. A float layer that loads it is float, which gives other numbers, and
warns.
"""

import warnings

__all__ = ["mark", "warn_float_again", "FloatAgain"]

KEY = "quantised"


class FloatAgain(UserWarning):
    """Weights of a quantised layer were loaded into one in float."""


def warn_float_again(what: str, stacklevel: int = 2) -> None:
    """Say that ``what``, which was saved quantised, is in float; ``stacklevel`` as seen by the caller."""
    warnings.warn(f"{what} was saved quantised and is in float here: call sw.quantise_model to have its "
                  "integers again, or export them with sw.export", FloatAgain, stacklevel=stacklevel + 1)


def mark(layer) -> None:
    """Let ``layer``, which has an attribute ``fake``, save and look for the mark."""
    layer._register_state_dict_hook(_save)
    layer.register_load_state_dict_pre_hook(_load)


def _save(layer, state, prefix, metadata):
    if getattr(layer, "fake", None) is not None:
        metadata[KEY] = True


def _load(layer, state, prefix, metadata, *others):
    if metadata.get(KEY) and getattr(layer, "fake", None) is None:
        warn_float_again(prefix.rstrip(".") or "the layer")
