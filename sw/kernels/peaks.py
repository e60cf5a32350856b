"""What one core of this machine can do at most, measured by loops that do nothing else (``peaks.cpp``)."""

import ctypes
from dataclasses import dataclass

import numpy as np

from sw.kernels.build import load, variant

__all__ = ["SETS", "Peaks", "measure", "read", "read_rows"]

SETS = {"L1": 16 << 10, "L2": 512 << 10, "L3": 8 << 20, "memory": 256 << 20}
"""Bytes of the working set that stands for each level. A third-level cache that is shared may not hold its
own."""

ROW = 128
"""Bytes of a row read at random: one of tables of 32 bits in the kernel's packing."""

PAGE = 2 << 20
"""Bytes of a huge page."""

REPEATED = 5


@dataclass(frozen=True)
class Peaks:
    """``floats``, ``words``: multiply-adds a second in single precision and of 16-bit words; ``reads``: bytes
    a second by level of :data:`SETS`, one after the other; ``rows``: bytes a second, rows at random in
    memory."""

    floats: float
    words: float
    reads: dict[str, float]
    rows: float


def _library(kind: str | None) -> ctypes.CDLL:
    library = load("peaks", kind or variant())
    for name in ("hl_peak_float", "hl_peak_words", "hl_read", "hl_read_rows"):
        getattr(library, name).restype = ctypes.c_double
    return library


def read(data: np.ndarray, rounds: int, kind: str | None = None) -> tuple[float, int]:
    """Bytes a second of ``data`` (int32, a multiple of 256) read ``rounds`` times, and their sum, wrapped to
    32 bits."""
    total = ctypes.c_int32()
    rate = _library(kind).hl_read(ctypes.c_void_p(data.ctypes.data), ctypes.c_int64(data.nbytes),
                                  ctypes.c_int64(rounds), ctypes.byref(total))
    return rate, total.value


def read_rows(data: np.ndarray, rows: np.ndarray, ahead: int, kind: str | None = None) -> tuple[float, int]:
    """Bytes a second of the ``rows`` (int32) of ``data`` (n, width), int32 of a multiple of 64 bytes a row,
    each asked for ``ahead`` rows before; and the sum of what was read, wrapped to 32 bits."""
    total = ctypes.c_int32()
    rate = _library(kind).hl_read_rows(
        ctypes.c_void_p(data.ctypes.data), ctypes.c_int(data.shape[1] * 4), ctypes.c_void_p(rows.ctypes.data),
        ctypes.c_int64(len(rows)), ctypes.c_int64(ahead), ctypes.byref(total))
    return rate, total.value


def measure(kind: str | None = None) -> Peaks:
    """The most of a few repetitions, by process time, on one thread; about 2 s."""
    library, rng = _library(kind), np.random.default_rng(0)
    whole = np.ones(max(SETS.values()) // 4 + PAGE // 4, np.int32)
    # Rows of whole cache lines, in huge pages where the system has them, as the kernels have their tables.
    data = whole[-whole.ctypes.data % PAGE // 4:][:max(SETS.values()) // 4]
    table = data.reshape(-1, ROW // 4)

    def most(call):
        return max(call() for _ in range(REPEATED))
    reads = {name: most(lambda size=size: read(data[:size // 4], max(1, (64 << 20) // size), kind)[0])
             for name, size in SETS.items()}
    orders = [rng.integers(len(table), size=1 << 17, dtype=np.int32) for _ in range(REPEATED)]
    rows = max(read_rows(table, order, ROW, kind)[0] for order in orders)
    rounds = ctypes.c_int64(1 << 20)
    floats, words = (most(lambda call=call: call(rounds))
                     for call in (library.hl_peak_float, library.hl_peak_words))
    return Peaks(floats, words, reads, rows)
