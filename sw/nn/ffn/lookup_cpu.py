"""LookupFFN in inference on the CPU: the kernel of :mod:`sw.kernels.floats` as an operator of torch.

A layer takes it in eval mode, for float32 on the CPU, where no gradient is asked for and no autocast is
on. Anything else, and a machine without a C++ compiler, is computed by torch as in training. The operator
stands in a compiled graph as it is.

Tables are packed at the first call, and again when a parameter was replaced or written in place. A write
through ``.data`` shows in no version: call :meth:`train` and :meth:`eval` again after it, which drops what
was packed. Parameters made in inference mode have no version and are packed at every call.
"""

import itertools
import threading
import warnings
import weakref
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from model.errors import ConfigError
from model.lookup.config import LookupConfig
from sw.io.errors import InputError
from sw.kernels.build import load, variant
from sw.kernels.floats import TABLES, FloatKernel

__all__ = ["new_number", "serves", "forward", "drop", "lookup_ffn"]

_numbers = itertools.count()
_packed: dict[int, "_Packed"] = {}
_lock = threading.Lock()


@dataclass
class _Packed:
    """``kernel`` was made when ``key`` held, of ``of``: their memory is not taken by others meanwhile."""

    kernel: FloatKernel
    of: list[Tensor]
    key: tuple


def new_number(layer) -> int:
    """A number by which ``layer`` is known to its operator; what is packed under it goes with the layer."""
    number = next(_numbers)
    weakref.finalize(layer, _packed.pop, number, None)
    return number


@torch.compiler.assume_constant_result
def _available() -> bool:
    return _built()


@cache
def _built() -> bool:
    try:
        load("floats", variant())
    except InputError as error:
        warnings.warn(f"LookupFFN runs without its CPU kernel: {error}", RuntimeWarning, stacklevel=4)
        return False
    return True


def serves(layer, x: Tensor) -> bool:
    """Whether the kernel computes this call. Raises ConfigError for an unknown ``cpu_tables``."""
    if layer.training or layer.cpu_tables is None or not isinstance(layer.projection, str):
        return False
    if layer.cpu_tables not in TABLES:
        raise ConfigError(f"cpu_tables is {layer.cpu_tables!r}, must be None or one of "
                          f"{', '.join(TABLES)}")
    of = (x, *_operands(layer))
    if any(t.device.type != "cpu" or t.dtype != torch.float32 for t in of) or x.dim() == 0 or \
            x.shape[-1] != layer.d:
        return False
    if torch.is_autocast_enabled("cpu") or torch.is_grad_enabled() and any(t.requires_grad for t in of):
        return False
    return _available()


def _operands(layer) -> tuple[Tensor, ...]:
    w = layer.dense if layer.projection == "dense" else layer.blocks
    return w, layer.z_bias, layer.tables, layer.out_bias


def forward(layer, x: Tensor) -> Tensor:
    """What the layer gives for tokens x (..., d), where :func:`serves`."""
    return lookup_ffn(x, *_operands(layer), layer.gain, layer.skip, layer.neighbours, layer.gelu_scaled,
                      layer.cpu_tables, layer.number)


def drop(number: int) -> None:
    """Forget what was packed for a layer."""
    with _lock:
        _packed.pop(number, None)


@torch.library.custom_op("hashlayer::lookup_ffn", mutates_args=(), device_types="cpu")
def lookup_ffn(x: Tensor, w: Tensor, z_bias: Tensor, tables: Tensor, out_bias: Tensor, gain: float,
               skip: float, neighbours: bool, gelu_scaled: bool, entries: str, number: int) -> Tensor:
    """y (..., d) of tokens x (..., d), all float32 on the CPU; ``number`` is the layer's own, under which its
    packed tables are kept."""
    kernel = _kernel((w, z_bias, tables, out_bias), gain, skip, neighbours, gelu_scaled, entries, number)
    tokens = x.detach().reshape(-1, x.shape[-1]).contiguous()
    y = torch.empty_like(tokens)
    if len(tokens):
        kernel.run(tokens.numpy(), torch.get_num_threads(), out=y.numpy())
    return y.reshape(x.shape)


@lookup_ffn.register_fake
def _(x, *others):
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@lookup_ffn.register_vmap
def _(info, dims, x, *others):
    if any(dim is not None for dim in dims[1:]):
        raise NotImplementedError("vmap over parameters of LookupFFN in eval mode: set cpu_tables to None")
    return lookup_ffn(x.movedim(dims[0], 0), *others), 0


def _kernel(of, gain, skip, neighbours, gelu_scaled, entries, number) -> FloatKernel:
    versions = None
    if not any(t.is_inference() for t in of):
        versions = tuple((t.data_ptr(), t._version, t.shape) for t in of)
    key = versions, gain, skip, neighbours, gelu_scaled, entries
    with _lock:
        found = _packed.get(number)
        if found is None or versions is None or found.key != key:
            w, z_bias, tables, out_bias = (t.detach() for t in of)
            h, rows, d = tables.shape
            dense = w.dim() == 2
            cfg = LookupConfig(d=d, h=h, tau=rows.bit_length() - 1, block=0 if dense else w.shape[-1],
                               projection="dense" if dense else "bh4", neighbours=neighbours,
                               gelu_scaled=gelu_scaled)
            operands = (t.numpy() for t in (w, z_bias, tables, out_bias))
            kernel = FloatKernel(cfg, *operands, gain, skip, entries)
            found = _packed[number] = _Packed(kernel, [w, z_bias, tables, out_bias], key)
        return found.kernel
