"""A LookupFFN layer on the CPU in single precision: what :class:`sw.nn.ffn.lookup.LookupFFN` computes.

Sums are taken in another order than torch takes them. A z within rounding of zero may therefore fall on the
other side, which takes another row: y is not continuous there (:mod:`sw.nn.ffn.lookup_gather`).
"""

import ctypes
import weakref

import numpy as np

from model.lookup.bh4 import hadamard
from model.lookup.config import LookupConfig
from sw.kernels.build import load, source_digest, variant
from sw.kernels.lookup import TILE, address, available
from sw.kernels.tuning import Switches, Walk, switches_of

__all__ = ["TABLES", "FloatKernel"]

TABLES = {"fp32": 0, "bf16": 1, "int8": 2}
"""What the entries of packed tables are: as they are, rounded to bfloat16, or to 8 bits with a unit for each
table; then weights have 12 bits and a sign, with a unit for each token."""

BATCH = 8192
"""Tokens that walk a tile together: tables of 32 bits are large, and each batch reads them all."""

INTEGERS = ("d", "n", "h", "tau", "block", "copies", "dense", "neighbours", "gelu_scaled", "kind", "outs")
ARRAYS = ("w", "z_bias", "tables", "out_bias")


class _Layer(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_int32) for name in INTEGERS), ("skip", ctypes.c_float),
                *((name, ctypes.c_void_p) for name in ARRAYS)]


def _folded(cfg: LookupConfig, w: np.ndarray, gain: float) -> np.ndarray:
    """Weights as the kernel wants them: inputs before outputs; of BH4 with the transform within a block,
    and the gain in the last stage; of a dense projection filled up to whole vectors."""
    if cfg.projection == "dense":
        return np.pad(w.T, ((0, 0), (0, -len(w) % 32)))
    inner = hadamard(np.eye(cfg.block, dtype=np.int64))
    folded = (inner @ w.astype(np.float64)).swapaxes(-1, -2)
    folded[:, -1] *= gain
    return folded


class FloatKernel:
    """The kernel with the weights of a layer, packed once.

    Parameters
    ----------
    cfg : sizes and variant; its formats do not matter.
    w, z_bias, tables, out_bias : float32, in the shapes of :class:`sw.nn.ffn.lookup.LookupFFN`. What is
        done to them later does not show.
    gain, skip : coefficients of BH4(x) and of x; a dense projection has neither.
    entries : one of :data:`TABLES`.
    kind, tile : as in :class:`sw.kernels.lookup.Kernel`.

    Raises ValueError for other ``entries``, and :class:`sw.io.errors.InputError` where the kernel cannot be
    built.
    """

    def __init__(self, cfg: LookupConfig, w, z_bias, tables, out_bias, gain: float, skip: float,
                 entries: str = "fp32", kind: str | None = None, tile: int = TILE):
        if entries not in TABLES:
            raise ValueError(f"entries is {entries!r}, must be one of {', '.join(TABLES)}")
        self.cfg, self.entries, self.kind, self._tile = cfg, entries, kind or variant(), tile
        self._measured: Switches | None = None
        self.seconds: dict[str, float] = {}
        self._library = library = load("floats", self.kind)
        found = {"w": _folded(cfg, np.asarray(w), gain), "z_bias": z_bias, "tables": tables,
                 "out_bias": out_bias}
        # Own copies of all but the tables, which are packed and then no longer read.
        held = {name: np.array(value, np.float32, order="C", copy=None if name == "tables" else True)
                for name, value in found.items()}
        sizes = {"dense": cfg.projection == "dense", "kind": TABLES[entries],
                 "outs": held["w"].shape[-1]}
        layer = _Layer(*(int(sizes.get(name, getattr(cfg, name, 0))) for name in INTEGERS), skip,
                       *(address(held[name]) for name in ARRAYS))
        library.hl_float_open.restype = ctypes.c_void_p
        self._packed = library.hl_float_open(ctypes.byref(layer), ctypes.c_int64(tile), available())
        if not self._packed:
            raise MemoryError(f"the cpu kernel has no memory for {cfg.rows} rows of {cfg.d} entries")
        weakref.finalize(self, library.hl_float_close, ctypes.c_void_p(self._packed))
        del held["tables"]
        self._held = held

    def run(self, x: np.ndarray, threads: int | None = None, switches: Switches | None = None,
            batch: int = BATCH, out: np.ndarray | None = None) -> np.ndarray:
        """y (t, d) of tokens x (t, d), both float32 and contiguous; ``out`` takes y if it is given.

        ``threads``, ``switches`` and ``batch`` do not show in y; ``seconds`` as in
        :meth:`sw.kernels.lookup.Kernel.run`. Raises ValueError for tokens of another kind or size.
        """
        y = np.empty_like(x) if out is None else out
        for name, value in (("x", x), ("out", y)):
            if value.dtype != np.float32 or value.shape != (len(x), self.cfg.d) or \
                    not value.flags.c_contiguous:
                raise ValueError(f"{name} is {value.dtype} {value.shape}, must be float32 (t, {self.cfg.d}) "
                                 "and contiguous")
        chosen = switches or self._switches()
        walk = Walk(threads or available(), chosen.rows_up_to, chosen.whole_from, batch)
        seconds = np.zeros(2)
        if self._library.hl_float(ctypes.c_void_p(self._packed), ctypes.c_void_p(address(x)),
                                  ctypes.c_void_p(address(y)), ctypes.c_int64(len(x)), ctypes.byref(walk),
                                  ctypes.c_void_p(address(seconds))):
            raise MemoryError(f"the cpu kernel has no memory for {len(x)} tokens")
        self.seconds = {"hash": float(seconds[0]), "gather": float(seconds[1])}
        return y

    def _switches(self) -> Switches:
        """Measured at the first call, on random tokens."""
        if self._measured is None:
            rng = np.random.default_rng(0)

            def seconds(tokens, switches):
                self.run(rng.standard_normal((tokens, self.cfg.d), np.float32), 1, switches)
                return self.seconds
            build = self.kind, self._tile, self.entries, source_digest("floats")
            self._measured = switches_of(self.cfg, build, seconds)
        return self._measured
