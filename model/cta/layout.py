"""The words at the border of the accelerator: commands, status, and how operands are laid out.

``gen.cta.words`` builds its ports from these tables, ``verif`` and ``sw`` pack and unpack with
them. Fields are listed from the lowest bit; every width is fixed so that software need not know
the configuration to build a word.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from model.cta.config import CTAConfig
from model.cta.job import LSH_WIDTH, SHIFT_O, HeadWeights, Job, Matrix, Saturation
from model.cta.linear import betas
from model.cta.schedule import PHASES, Op
from model.fixed import SHIFT
from model.words import pack_fields, unpack_fields

__all__ = ["LOAD_FIELDS", "JOB_FIELDS", "STATUS_FIELDS", "TRACE_FIELDS", "ELEMENT_WIDTH", "SET_WIDTH",
           "Target", "Parameter", "TraceOp", "Load", "weight_loads", "token_loads", "parameter_rows",
           "job_fields", "beats", "pack_fields", "unpack_fields"]

ELEMENT_WIDTH = 16   # bits of one element on the host streams

SET_WIDTH = 4   # bits of the number of a weight set in a load; a job has those of the legal ones

LOAD_FIELDS = (("target", 4), ("set", SET_WIDTH), ("base", 16), ("rows", 16))

# mode: job.Mode. cross: queries have a tensor of their own. tables: send CT0, CT1, CT2 after O.
# shared_a: the value registers keep A from one LSH to the next (heeded where one slice and one
# pass suffice). reuse: the clusters of the last job are taken again, as a layer's next head does.
# clusters: O leaves by cluster, not by token. linear: an exact job of Q alone, which leaves in the place of
# O. shift_o is signed.
JOB_FIELDS = (("mode", 1), ("cross", 1), ("tables", 1), ("shared_a", 1), ("reuse", 1), ("clusters", 1),
              ("set", 3), ("n", 15), ("linear", 1), ("m", 15),
              *((f"shift_{name}", SHIFT.width) for name in "qkvs"), ("shift_o", SHIFT_O.width))

STATUS_FIELDS = (("error", 8), ("zero_rows", 16),
                 ("k0", 16), ("k1", 16), ("k2", 16),
                 ("overflow0", 16), ("overflow1", 16), ("overflow2", 16),
                 ("cycles", 32), ("held", 32), *((f"cycles_{name}", 32) for name in PHASES[:-1]),
                 *((f"sat_{kind.name.lower()}", 32) for kind in Saturation))

# Which unit is busy with what, cycle by cycle; for pictures and benches.
TRACE_FIELDS = (("sa", 4), ("lsh", LSH_WIDTH), ("cim", 1), ("cacc", 1), ("cavg", 1), ("pag", 1),
                ("drain", 1), ("load", 1), ("output", 1))


# What the array does, as the trace field ``sa`` tells it: nothing, an operation, the load of the
# value registers, or slots that are left empty on purpose (shortcut, hazards).
TraceOp = IntEnum("TraceOp", {"IDLE": 0, **{op.name: int(op) for op in Op},
                              "LOAD": len(Op) + 1, "PAUSE": len(Op) + 2}, module=__name__)


class Target(IntEnum):
    """Where a load goes. A row is one vector of dw elements, but for PARAMETER."""

    TOKEN = 0       # row = token: the keys, and behind them the queries of cross-attention
    WQ = 2 + Matrix.WQ   # row = column of Wq, i.e. Wq is sent transposed
    WK = 2 + Matrix.WK
    WV = 2 + Matrix.WV
    A0 = 2 + Matrix.A0   # row = hash function of LSH0
    A1 = 2 + Matrix.A1
    A2 = 2 + Matrix.A2
    PARAMETER = 8   # one beat a row, its low 32 bits: see Parameter


class Parameter(IntEnum):
    """Base rows of the PARAMETER target. LSH c has its block at ``16*c``."""

    LSH_B = 0       # 16*c + j: b of hash function j
    LSH_INV_W = 8   # 16*c + 8: mantissa of 1/w
    LSH_PRE = 9     # 16*c + 9
    LSH_POST = 10   # 16*c + 10
    BQ = 256        # 256 + t
    BV = 512        # 512 + t
    BETA_Q = 768    # 768 + t, and so on: less the sum of w_a w_b, where products are fast
    BETA_K = 1024
    BETA_V = 1280
    END = 1536


BETAS = {Matrix.WQ: Parameter.BETA_Q, Matrix.WK: Parameter.BETA_K, Matrix.WV: Parameter.BETA_V}
"""Where what fast products have too much on the side of a matrix is loaded."""


def parameter_rows(cfg: CTAConfig) -> list[tuple[int, int]]:
    """The PARAMETER rows that mean something, as ranges (first, behind the last), ascending."""
    rows = []
    for c in range(3):
        block = 16 * c
        rows += [(block + Parameter.LSH_B, block + Parameter.LSH_B + cfg.l),
                 (block + Parameter.LSH_INV_W, block + Parameter.LSH_POST + 1)]
    named = [Parameter.BQ, Parameter.BV, *(BETAS.values() if cfg.program.fast else ())]
    rows += [(int(first), first + cfg.d) for first in named]
    # Rows that follow each other without a gap may come in one load.
    joined = rows[:1]
    for first, last in rows[1:]:
        if first == joined[-1][1]:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


@dataclass(frozen=True)
class Load:
    """One load command and its rows (rows, dw), or (rows,) for PARAMETER."""

    target: Target
    set: int
    base: int
    rows: np.ndarray


def weight_loads(cfg: CTAConfig, weights: HeadWeights, index: int = 0, *, lsh: bool = True) -> list[Load]:
    """The loads that put ``weights`` into weight set ``index``; without ``lsh`` what a job needs that reuses
    clusters."""
    loads = [Load(Target.WQ, index, 0, weights.wq.T), Load(Target.WK, index, 0, weights.wk.T),
             Load(Target.WV, index, 0, weights.wv.T)]
    for c, own in enumerate(weights.lsh if lsh else ()):
        loads.append(Load(Target(Target.A0 + c), index, 0, own.a))
        loads.append(Load(Target.PARAMETER, index, 16 * c + Parameter.LSH_B, own.b))
        scalars = np.array([own.inv_w, own.pre, own.post], dtype=np.int64)
        loads.append(Load(Target.PARAMETER, index, 16 * c + Parameter.LSH_INV_W, scalars))
    loads.append(Load(Target.PARAMETER, index, Parameter.BQ, weights.bq))
    loads.append(Load(Target.PARAMETER, index, Parameter.BV, weights.bv))
    if cfg.program.fast:
        loads += [Load(Target.PARAMETER, index, base, betas(cfg, getattr(weights, matrix.name.lower())))
                  for matrix, base in BETAS.items()]
    return loads


def token_loads(job: Job) -> list[Load]:
    """The loads that bring the tokens of ``job``."""
    rows = job.xkv if job.xq is None else np.concatenate([job.xkv, job.xq])
    return [Load(Target.TOKEN, 0, 0, rows)]


def beats(cfg: CTAConfig, load: Load) -> Iterator[int]:
    """The data beats of a load: ``lanes`` elements each, the first element lowest."""
    width = 2 * ELEMENT_WIDTH if load.target is Target.PARAMETER else ELEMENT_WIDTH
    per_beat = 1 if load.target is Target.PARAMETER else cfg.lanes
    flat = np.asarray(load.rows, dtype=np.int64).reshape(-1)
    mask = (1 << width) - 1
    for at in range(0, len(flat), per_beat):
        yield sum((int(v) & mask) << (width * i) for i, v in enumerate(flat[at:at + per_beat]))


def job_fields(weights: HeadWeights, job: Job, index: int = 0, tables: bool = False,
               reuse: bool = False, clusters: bool = False) -> dict:
    """The fields of the job word. ``reuse``: the clusters of the last job are those of this one.
    ``clusters``: O by cluster."""
    n = len(job.xkv)
    return {"mode": int(job.mode), "cross": int(job.xq is not None), "tables": int(tables),
            "shared_a": int(weights.shared_a), "reuse": int(reuse),
            "clusters": int(clusters), "set": index, "n": n, "linear": 0,
            "m": n if job.xq is None else len(job.xq),
            "shift_q": job.shift_q, "shift_k": job.shift_k, "shift_v": job.shift_v,
            "shift_s": job.shift_s, "shift_o": job.shift_o}
