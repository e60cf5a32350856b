"""Read the arrays that a user hands in; one clear line for whatever is wrong with them."""

import zipfile
import zlib
from collections.abc import Callable

import numpy as np

from model.border import NotFinite, require_finite
from sw.io.errors import InputError

__all__ = ["array", "read_npz"]

LARGEST = float(np.finfo(np.float32).max)
"""Largest size that is read. A layer multiplies up to six operands, and double precision has room
for six of these; no layer that was trained comes near."""


def array(data, key, shape=None):
    """One entry as finite float64 of a shape, in which None stands for any size above 0."""
    try:
        value = data[key]
    except ValueError:
        raise InputError(f"{key} holds Python objects, must be numbers") from None
    if value.dtype.kind not in "fiu":
        raise InputError(f"{key} has dtype {value.dtype}, must be real numbers")
    value = value.astype(np.float64)
    if shape is not None:
        text = "(" + ", ".join("any" if s is None else str(s) for s in shape) + \
               (",)" if len(shape) == 1 else ")")
        if value.ndim != len(shape) or any(s not in (None, v) for s, v in zip(shape, value.shape)):
            raise InputError(f"{key} has shape {value.shape}, must be {text}")
    if value.size == 0:
        raise InputError(f"{key} is empty, its shape is {value.shape}")
    try:
        require_finite(key, value)
    except NotFinite as error:
        raise InputError(str(error)) from None
    if np.abs(value).max() > LARGEST:
        raise InputError(f"{key} reaches {np.abs(value).max():.3g}, must be at most {LARGEST:.3g}")
    return value


def read_npz(path, keys: tuple, read: Callable):
    """What ``read`` makes of the open file, in which there are no other ``keys``; all that can be
    wrong with it as :class:`InputError`."""
    try:
        with np.load(path, allow_pickle=False) as data:
            if not isinstance(data, np.lib.npyio.NpzFile):
                raise InputError(f"{path} is a single array, must be an .npz")
            for key in data.files:
                if key not in keys:
                    raise InputError(f"key {key!r} is unknown, must be one of {', '.join(keys)}")
            return read(data)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, AttributeError) as error:
        raise InputError(f"{path} is not an .npz file: {error}") from None
    except InputError:
        raise
    except ValueError:
        raise InputError(f"{path} is not an .npz file") from None
