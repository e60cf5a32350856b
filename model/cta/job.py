"""What a job is: quantised operands, shifts, mode; and what comes back.

These are the words that golden model, RTL driver and software share. All arrays are numpy
int64 of raw values.
"""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from model.fixed import Format, clog2

__all__ = ["Mode", "ErrorCode", "Saturation", "LSH", "LSH_WIDTH", "Matrix", "LSHParams", "HeadWeights", "Job",
           "HeadResult", "LayerJob", "LayerResult", "SHIFT_O", "Shifts"]

SHIFT_O = Format(True, 4)
"""The shift of O beyond what guard and reciprocal ask for: the binary point of O may lie on either
side of that of V."""


class Mode(IntEnum):
    """What a job computes."""

    CTA = 0
    EXACT = 1    # every token its own cluster, no second level: ordinary softmax attention


class ErrorCode(IntEnum):
    """Why a job was refused (status word). A refused job has no output."""

    NONE = 0
    TOKENS = 1      # n or m is 0 or above the configured n, or both tensors exceed the token memory
    CAPACITY = 2    # exact mode with more keys or queries than it has rows for
    WEIGHT_SET = 3  # set >= the configured sets
    SELF = 4        # self-attention with m != n
    LOAD = 5        # a load since the last job was illegal, or the job's tokens were not loaded
    REUSE = 6       # reuse, but no job left clusters, or one of another mode, n, m, cross or linear; or
    #                 exact mode, whose clusters are the tokens, after other tokens came
    LINEAR = 7      # a linear job in CTA mode or with cross, or a program that has none


class Saturation(IntEnum):
    """Places where a value may saturate; one counter each in the status word."""

    RESIDUAL = 0   # X - C1
    CENTROID = 1   # rounded mean
    HASH = 2       # PPE operand or hash value, in LSH
    LINEAR = 3     # Q, K, V
    SCORE = 4      # score, or score less the maximum
    PROB = 5       # exponential above the format
    OUTPUT = 6     # O


class LSH(IntEnum):
    """The three hash functions and the clusterings that follow from them."""

    QUERY = 0      # LSH0: tokens as queries, to C0
    KEY = 1        # LSH1: tokens as keys, level 1, to C1
    RESIDUAL = 2   # LSH2: what C1 leaves of the keys, level 2, to C2


LSH_WIDTH = clog2(len(LSH))
"""Bits of the number of an LSH."""


class Matrix(IntEnum):
    """The matrices of a weight set, in the order in which a weight bank has them."""

    WQ = 0
    WK = 1
    WV = 2
    A0 = 3
    A1 = 4
    A2 = 5

    @property
    def lsh(self) -> LSH | None:
        """The LSH whose A it is; None for a weight."""
        return LSH(int(self.name[1])) if self.name[0] == "A" else None

    @classmethod
    def of(cls, use: IntEnum) -> "Matrix":
        """The matrix of an LSH, or of the linear that an operation of the array is (Q, K, V)."""
        return cls[f"A{int(use)}" if isinstance(use, LSH) else f"W{use.name}"]


@dataclass(frozen=True)
class LSHParams:
    """One LSH: h = floor(((A x + b) >> pre) * inv_w >> post), saturated to the hash format.

    ``a`` (l, dw) in lsh_a; ``b`` (l,) in bias (accumulator units); ``inv_w`` in multiplier;
    ``pre`` and ``post`` 0..31.
    """

    a: np.ndarray
    b: np.ndarray
    inv_w: int
    pre: int
    post: int


@dataclass(frozen=True)
class HeadWeights:
    """One weight set: ``wq wk wv`` (dw, d); ``bq bv`` (d,) in accumulator units; three LSHs.

    A key bias shifts all scores of a row alike and cancels in the softmax: it has no place here.
    ``lsh[c]`` belongs to LSH_c. ``shared_a`` tells that all three have the same A, which then is
    loaded into the array once (Fig. 10 rule a; only where one slice and one pass suffice).
    """

    wq: np.ndarray
    wk: np.ndarray
    wv: np.ndarray
    bq: np.ndarray
    bv: np.ndarray
    lsh: tuple[LSHParams, LSHParams, LSHParams]

    @property
    def shared_a(self) -> bool:
        return all(np.array_equal(self.lsh[0].a, self.lsh[c].a) for c in (1, 2))


@dataclass(frozen=True)
class Shifts:
    """The shift fields of a :class:`Job`: ``q k v s`` 0..31, ``o`` -8..7."""

    q: int
    k: int
    v: int
    s: int
    o: int


@dataclass(frozen=True)
class Job:
    """A job descriptor. ``xkv`` (n, dw); ``xq`` (m, dw), or None for self-attention.

    The shifts, 0..31, take accumulators to Q, K, V and score; ``shift_o`` in -8..7 is the binary
    point of V less that of O.
    """

    xkv: np.ndarray
    xq: np.ndarray | None = None
    mode: Mode = Mode.CTA
    shift_q: int = 0
    shift_k: int = 0
    shift_v: int = 0
    shift_s: int = 0
    shift_o: int = 0

    @property
    def shifts(self) -> Shifts:
        """The shifts alone."""
        return Shifts(self.shift_q, self.shift_k, self.shift_v, self.shift_s, self.shift_o)


@dataclass
class HeadResult:
    """What a head gives: ``o`` (m, d) raw output; cluster tables ``ct0`` (m,), ``ct1 ct2`` (n,).

    ``saturations`` counts by :class:`Saturation`; ``overflow`` tells per LSH how many tokens
    asked for a cluster (at any tree layer) that no longer could be made; ``zero_rows`` counts
    compressed queries whose denominator was zero (their output is 0). ``phases`` holds cycles;
    ``held`` of them the job waited for the outputs of the one before it to leave.
    """

    o: np.ndarray
    ct0: np.ndarray
    ct1: np.ndarray
    ct2: np.ndarray
    k0: int
    k1: int
    k2: int
    saturations: dict = field(default_factory=dict)
    overflow: tuple[int, int, int] = (0, 0, 0)
    zero_rows: int = 0
    cycles: int = 0
    held: int = 0
    phases: dict = field(default_factory=dict)


@dataclass(frozen=True)
class LayerJob:
    """All heads of a layer on the same tokens; ``shifts`` has one entry a head.

    ``xkv`` (n, dw); ``xq`` (m, dw), or None for self-attention.
    """

    xkv: np.ndarray
    xq: np.ndarray | None
    mode: Mode
    shifts: tuple[Shifts, ...]

    def head(self, head: int) -> Job:
        """The job of one head by itself."""
        s = self.shifts[head]
        return Job(self.xkv, self.xq, self.mode, shift_q=s.q, shift_k=s.k, shift_v=s.v,
                   shift_s=s.s, shift_o=s.o)


@dataclass
class LayerResult:
    """What a layer gives.

    ``rows`` (k0, heads * d) is the raw output by cluster, ``ct0`` (m,) the row of each query, ``o``
    (m, heads * d) the output by token. ``heads`` has the report of each head. Cluster tables,
    numbers of clusters and overflow are the same in all; what saturated while the tokens were
    clustered counts in the first head alone.
    """

    heads: list[HeadResult]
    rows: np.ndarray

    @property
    def ct0(self) -> np.ndarray:
        return self.heads[0].ct0

    @property
    def o(self) -> np.ndarray:
        return self.rows[self.ct0]
