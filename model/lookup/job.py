"""What a job is: quantised operands, shifts, order; and what comes back.

These are the words that golden model, RTL driver and software share. Arrays hold raw integers of
any numpy integer type; the tables are best left int8.
"""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

__all__ = ["Order", "ErrorCode", "Saturation", "LayerWeights", "Job", "LayerResult",
           "GAIN", "SKIP"]

GAIN = 179   # 0.7, coefficient of BH4(x) in the authors' code
SKIP = 77    # 0.3, coefficient of x


class Order(IntEnum):
    """How the gather walks; the result is the same to the bit, the bytes moved are not."""

    TOKEN_MAJOR = 0   # all tables for one token, then the next token
    TABLE_MAJOR = 1   # one table tile for all tokens of a batch, then the next tile ("opt1")


class ErrorCode(IntEnum):
    """Why a job was refused (status word). A refused job has no output."""

    NONE = 0
    TOKENS = 1   # no token, or above 65535
    LOAD = 2     # a load since the last job had no such target or rows, or parts of table beats
    FIELD = 3    # gain or skip has a value that the mix format has not
    ORDER = 4    # table-major, and the engine has no tile


class Saturation(IntEnum):
    """Places where a value may saturate; one counter each in the status word."""

    BLOCK = 0      # block product: every element of every copy and stage
    HADAMARD = 1   # transform: likewise
    Z = 2          # soft hash code, h*tau a token
    SCORE = 3      # weight of a row, h*entries a token
    OUTPUT = 4     # y, d a token


@dataclass(frozen=True)
class LayerWeights:
    """A quantised layer. Shifts are 0..31, all to the right.

    ``w`` : blocks (r, 4, n/bs, bs, bs) stored [out, in], or the dense projection (h*tau, d).
    ``shift_block``, ``shift_hadamard`` (r, 4) : accumulators to stage values. BH4 only.
    ``shift_z`` (r,) : gain times the last stage (dense: the accumulator) to the z grid.
    ``z_bias`` (h*tau,) : on the z grid.
    ``tables`` (h, 2**tau, d); ``shift_s`` (h,) : brings the score of a table to the point at which
    score times table entry has the accumulator's.
    ``out_bias`` (d,) : in accumulator units.
    """

    w: np.ndarray
    shift_z: np.ndarray
    z_bias: np.ndarray
    tables: np.ndarray
    shift_s: np.ndarray
    out_bias: np.ndarray
    shift_block: np.ndarray | None = None
    shift_hadamard: np.ndarray | None = None


@dataclass(frozen=True)
class Job:
    """A job descriptor. ``x`` (t, d); ``residual`` (t, d) in output format, on engines that add it.

    ``gain`` and ``skip`` in the mix format: z = gain BH4(x) + skip x + bias. ``shift_skip`` takes
    skip times x to the z grid, ``shift_y`` accumulators to the output; both 0..31.
    """

    x: np.ndarray
    residual: np.ndarray | None = None
    order: Order = Order.TOKEN_MAJOR
    gain: int = GAIN
    skip: int = SKIP
    shift_skip: int = 0
    shift_y: int = 0


@dataclass
class LayerResult:
    """What a layer gives: ``y`` (t, d) raw output, ``codes`` (t, h) of the largest weight.

    ``saturations`` counts by :class:`Saturation`; ``table_bytes`` were read from the tables.
    """

    y: np.ndarray
    codes: np.ndarray
    saturations: dict = field(default_factory=dict)
    table_bytes: int = 0
    cycles: int = 0
    phases: dict = field(default_factory=dict)
