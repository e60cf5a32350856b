"""A LookupFFN layer on the CPU: :func:`run` gives what :func:`model.lookup.layer.run` gives, to the bit.

Outputs, codes and all five counters of saturated values are those of the golden model for every
configuration that :func:`refusal` does not name. Tests hold the two equal on random configurations, on
every kind of CPU that the machine has.
"""

import ctypes
import os
import weakref
from dataclasses import replace

import numpy as np

from model.lookup import gather
from model.lookup import layer as golden
from model.lookup.config import LookupConfig
from model.lookup.job import Job, LayerResult, LayerWeights, Saturation
from sw.kernels.build import load, source_digest, variant
from sw.kernels.tuning import Switches, Walk, switches_of

__all__ = ["Kernel", "address", "available", "refusal", "run"]

TILE = 256 << 10
"""Bytes of a tile of the tables: it stays in a second-level cache, beside the sums of a batch."""

BATCH = 2048
"""Tokens that walk a tile together: their sums are half a megabyte."""

SUM, OPERAND = 31, 16
"""Bits of a sum and of an operand that the kernel has room for: half a unit more still is an int32."""


class _Format(ctypes.Structure):
    _fields_ = [("low", ctypes.c_int32), ("high", ctypes.c_int32)]


SIZES = ("d", "n", "h", "tau", "block", "copies", "dense", "neighbours", "gelu_scaled", "residual",
         "log_size", "log_step", "log_drop", "exp_index", "flip_factor", "flip_shift", "z_shift", "one",
         "narrow")
FORMATS = ("stage", "z", "score", "output")
ARRAYS = {"w": np.int16, "shift_block": np.int32, "shift_hadamard": np.int32, "shift_z": np.int32,
          "z_bias": np.int32, "tables": np.int8, "shift_s": np.int32, "out_bias": np.int32,
          "log_table": np.int32, "exp_table": np.int32}


class _Layer(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_int32) for name in SIZES), *((name, _Format) for name in FORMATS),
                *((name, ctypes.c_void_p) for name in ARRAYS)]


class _Job(ctypes.Structure):
    _fields_ = [("tokens", ctypes.c_int64),
                *((name, ctypes.c_int32) for name in ("gain", "skip", "shift_skip", "shift_y")),
                *((name, ctypes.c_void_p) for name in ("x", "residual", "y", "codes"))]


def refusal(cfg: LookupConfig) -> str | None:
    """Why the kernel cannot take a configuration, or None: its words are of 16 and 32 bits."""
    for name in ("block_acc", "hadamard", "z_sum", "gather_acc"):
        width = getattr(cfg, name).width
        if width > SUM and (name != "hadamard" or cfg.projection == "bh4"):
            return f"{name}.width is {width}, must be at most {SUM}"
    for name, fmt in (("fmt.x", cfg.fmt.x), ("fmt.weight", cfg.fmt.weight), ("fmt.stage", cfg.fmt.stage)):
        if fmt.width > OPERAND:
            return f"{name}.width is {fmt.width}, must be at most {OPERAND}"
    if cfg.fmt.table.width > 8:
        return f"fmt.table.width is {cfg.fmt.table.width}, must be at most 8"
    if cfg.score.max >= 1 << 15 or cfg.score.min < -(1 << 15):
        return f"score reaches {cfg.score.max}, must be below {1 << 15}"
    for name, fmt in (("fmt.z", cfg.fmt.z), ("fmt.output", cfg.fmt.output), ("fmt.z_bias", cfg.fmt.z_bias)):
        if fmt.width > 30:
            return f"{name}.width is {fmt.width}, must be at most 30"
    if cfg.score_word.width > 60:
        return f"score_word.width is {cfg.score_word.width}, must be at most 60"
    return None


def _paired(cfg: LookupConfig, w) -> np.ndarray:
    """Weights in pairs of inputs: (.., in / 2, out, 2), the outputs of a dense projection filled up to a
    multiple of 16."""
    w = np.asarray(w)
    if cfg.projection == "dense":
        w = np.pad(w, ((0, -len(w) % 16), (0, 0)))
    pairs = w.reshape(*w.shape[:-1], -1, 2)
    return np.ascontiguousarray(np.moveaxis(pairs, -2, -3))


def address(array: np.ndarray | None) -> int | None:
    """Where the entries of an array begin; None for none."""
    return None if array is None else array.ctypes.data


def available() -> int:
    """Cores that the process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Kernel:
    """The kernel with the weights of a layer, packed once.

    ``kind`` is the fastest that the machine runs, or one of :data:`sw.kernels.build.VARIANTS`; ``tile`` the
    bytes of the tables that a batch of tokens walks at a time. The packed tables have the size of the
    tables, d rounded up to 64; nothing else is kept of them. Raises ValueError for a configuration of
    :func:`refusal`, and :class:`sw.io.errors.InputError` where the kernel cannot be built.
    """

    def __init__(self, cfg: LookupConfig, weights: LayerWeights, kind: str | None = None,
                 tile: int = TILE):
        reason = refusal(cfg)
        if reason:
            raise ValueError(f"the cpu kernel does not take this configuration: {reason}")
        self.cfg, self.kind, self._tile = cfg, kind or variant(), tile
        self._measured: Switches | None = None
        self.seconds: dict[str, float] = {}
        self._library = library = load("lookup", self.kind)
        found = {**{name: getattr(weights, name) for name in ARRAYS if hasattr(weights, name)},
                 "w": _paired(cfg, weights.w), "log_table": np.append(cfg.log_table, 0),
                 "exp_table": cfg.exp_table}
        held = {name: None if found[name] is None else np.ascontiguousarray(found[name], dtype)
                for name, dtype in ARRAYS.items()}
        flip = -cfg.fmt.z.min * cfg.flip_factor + (1 << cfg.flip_shift)
        sizes = {"dense": cfg.projection == "dense", "log_size": len(cfg.log_table),
                 "one": 1 << cfg.fmt.z.frac, "log_drop": cfg.log_mantissa - cfg.exp_index,
                 "narrow": max(cfg.score_word.width, flip.bit_length()) <= SUM}
        formats = {"stage": cfg.fmt.stage, "z": cfg.fmt.z, "score": cfg.score, "output": cfg.fmt.output}
        layer = _Layer(*(int(sizes.get(name, getattr(cfg, name, 0))) for name in SIZES),
                       *(_Format(formats[name].min, formats[name].max) for name in FORMATS),
                       *(address(held[name]) for name in ARRAYS))
        library.hl_lookup_open.restype = ctypes.c_void_p
        self._packed = library.hl_lookup_open(ctypes.byref(layer), ctypes.c_int64(tile), available())
        if not self._packed:
            raise MemoryError(f"the cpu kernel has no memory for {cfg.table_bytes} bytes of tables")
        weakref.finalize(self, library.hl_lookup_close, ctypes.c_void_p(self._packed))
        del held["tables"]                      # packed: the others are read where they are
        self._held = held

    def run(self, job: Job, threads: int | None = None, switches: Switches | None = None,
            batch: int = BATCH) -> LayerResult:
        """The layer's output and report, on ``threads`` threads (default: the cores that the process has).

        y and codes are of 32 bits. ``switches`` say how the job is walked (default: as was measured,
        :mod:`sw.kernels.tuning`), ``batch`` how many tokens share what is fetched; neither shows in the
        result. ``seconds`` has the process time of its two parts afterwards. The job is taken as it
        is: :func:`run` holds it against the formats.
        """
        cfg = self.cfg
        x = np.ascontiguousarray(job.x, np.int16)
        residual = None if job.residual is None else np.ascontiguousarray(job.residual, np.int32)
        y, codes = np.empty((len(x), cfg.d), np.int32), np.empty((len(x), cfg.h), np.int32)
        events, seconds = np.zeros(len(Saturation), np.int64), np.zeros(2)
        asked = _Job(len(x), job.gain, job.skip, job.shift_skip, job.shift_y,
                     *map(address, (x, residual, y, codes)))
        chosen = switches or self._switches(job)
        walk = Walk(threads or available(), chosen.rows_up_to, chosen.whole_from, batch)
        if self._library.hl_lookup(ctypes.c_void_p(self._packed), ctypes.byref(asked), ctypes.byref(walk),
                                   ctypes.c_void_p(events.ctypes.data), ctypes.c_void_p(seconds.ctypes.data)):
            raise MemoryError(f"the cpu kernel has no memory for {len(x)} tokens")
        self.seconds = {"hash": float(seconds[0]), "gather": float(seconds[1])}
        return LayerResult(y, codes, {event: int(events[event]) for event in Saturation},
                           gather.table_bytes(cfg, len(x), job.order))

    def _switches(self, like: Job) -> Switches:
        """Measured at the first job, on random tokens with the coefficients of that job."""
        if self._measured is None:
            fmt, rng = self.cfg.fmt.x, np.random.default_rng(0)

            def seconds(tokens, switches):
                x = rng.integers(fmt.min, fmt.max, (tokens, self.cfg.d), np.int16, endpoint=True)
                past = np.zeros((tokens, self.cfg.d), np.int32) if self.cfg.residual else None
                self.run(replace(like, x=x, residual=past), 1, switches)
                return self.seconds
            self._measured = switches_of(self.cfg, (self.kind, self._tile, source_digest("lookup")), seconds)
        return self._measured


def run(cfg: LookupConfig, weights: LayerWeights, job: Job, threads: int | None = None,
        kind: str | None = None) -> LayerResult:
    """What :func:`model.lookup.layer.run` gives; ``threads`` and ``kind`` as in :class:`Kernel`.

    Raises as the golden model and :class:`Kernel` do.
    """
    kernel = Kernel(cfg, weights, kind)
    golden.require_accepted(cfg, job)
    golden.validate(cfg, weights, job)
    result = kernel.run(job, threads)
    result.y, result.codes = result.y.astype(np.int64), result.codes.astype(np.int64)
    return result
