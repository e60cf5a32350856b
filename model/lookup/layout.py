"""The words at the border of the LookupFFN engine: commands, status, and how operands are laid out.

``gen.lookup.words`` builds its ports from these tables, ``verif`` and ``sw`` pack and unpack with
them. Fields are listed from the lowest bit. Words are packed by ``model.words``.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from model.fixed import SHIFT
from model.lookup.config import STAGES, LookupConfig
from model.lookup.job import Job, LayerWeights, Saturation
from model.lookup.weight_layout import HOST_LANES, weight_order

__all__ = ["HOST_LANES", "ELEMENT_WIDTH", "LOAD_FIELDS", "JOB_FIELDS", "STATUS_FIELDS",
           "TRACE_FIELDS", "Target", "Parameter", "KIND", "Load", "weight_loads", "token_beats", "shift_rows",
           "job_fields", "table_image", "table_parts", "table_beats"]

ELEMENT_WIDTH = 16    # bits of one of them

LOAD_FIELDS = (("target", 4), ("base", 28), ("beats", 32))

JOB_FIELDS = (("order", 1), ("tokens", 16), ("gain", 16), ("skip", 16),
              ("shift_skip", SHIFT.width), ("shift_y", SHIFT.width))

# cycles: from the job's acceptance to the transfer of the last beat of y.
STATUS_FIELDS = (("error", 8), ("cycles", 40), ("table_bytes", 48),
                 *((f"sat_{kind.name.lower()}", 40) for kind in Saturation))

TRACE_FIELDS = (("projection", 1), ("gather", 1), ("table", 1), ("x", 1), ("y", 1), ("load", 1))


class Target(IntEnum):
    """Where a load goes; ``base`` and ``beats`` count beats of the target."""

    WEIGHT = 0      # eight elements a beat, in the order of weight_order
    Z_BIAS = 1      # one element a beat, in its low bits, and so are the next three
    OUT_BIAS = 2
    SHIFT_S = 3
    SHIFT = 4       # see Parameter
    TABLE = 5       # internal tables: 16 bytes a beat; rows of fewer lanes take the low ones. base
    #                 and beats are multiples of table_parts: no part of a row is left as it was


KIND = 13    # bits of a row of the SHIFT target below the kind of shift


class Parameter(IntEnum):
    """Base of each kind of shift in the SHIFT target."""

    BLOCK = 0 << KIND       # + 4 c + j: copy c, stage j
    HADAMARD = 1 << KIND    # + 4 c + j
    Z = 2 << KIND           # + c
    END = Z + 0x1000


def shift_rows(cfg: LookupConfig) -> list[tuple[int, int]]:
    """The SHIFT beats that mean something, as ranges (first, behind the last), ascending."""
    kinds = [(Parameter.Z, 1)]
    if cfg.projection == "bh4":
        kinds = [(Parameter.BLOCK, STAGES), (Parameter.HADAMARD, STAGES), *kinds]
    return [(int(base), base + count * cfg.copies) for base, count in kinds]


@dataclass(frozen=True)
class Load:
    """One load command and its beats."""

    target: Target
    base: int
    beats: list[int]


def _elements(raw) -> list[int]:
    """Elements to beats of HOST_LANES, sign-extended, the first lowest."""
    flat = np.asarray(raw, dtype=np.int64).reshape(-1)
    flat = np.concatenate([flat, np.zeros(-len(flat) % HOST_LANES, dtype=np.int64)])
    data = flat.astype("<i2").tobytes()
    size = HOST_LANES * ELEMENT_WIDTH // 8
    return [int.from_bytes(data[at:at + size], "little") for at in range(0, len(data), size)]


def _singles(raw) -> list[int]:
    """One element a beat."""
    return [int(value) & 0xFFFFFFFF for value in np.asarray(raw, dtype=np.int64).reshape(-1)]


def table_image(cfg: LookupConfig, tables: np.ndarray) -> bytes:
    """All tables as the memory behind the table port holds them: ``cfg.table_bytes`` bytes, row by
    row, each padded with zeros to whole beats."""
    rows = np.asarray(tables, dtype=np.int8).reshape(cfg.rows, cfg.d)
    return np.pad(rows, ((0, 0), (0, cfg.row_bytes - cfg.d))).tobytes()


def table_beats(cfg: LookupConfig, tables: np.ndarray) -> list[int]:
    """All tables as beats of the table port: ``lanes`` bytes, rows padded to whole beats."""
    data = table_image(cfg, tables)
    return [int.from_bytes(data[at:at + cfg.lanes], "little")
            for at in range(0, len(data), cfg.lanes)]


def table_parts(cfg: LookupConfig) -> int:
    """Beats of a TABLE load that make up one beat of ``lanes`` bytes, lowest part first."""
    return max(1, 8 * cfg.lanes // (HOST_LANES * ELEMENT_WIDTH))


def weight_loads(cfg: LookupConfig, weights: LayerWeights) -> list[Load]:
    """The loads that bring a layer, with its tables if they are internal."""
    loads = [Load(Target.WEIGHT, 0, _elements(weight_order(cfg, weights.w))),
             Load(Target.Z_BIAS, 0, _singles(weights.z_bias)),
             Load(Target.OUT_BIAS, 0, _singles(weights.out_bias)),
             Load(Target.SHIFT_S, 0, _singles(weights.shift_s)),
             Load(Target.SHIFT, Parameter.Z, _singles(weights.shift_z))]
    if cfg.projection == "bh4":
        loads += [Load(Target.SHIFT, Parameter.BLOCK, _singles(weights.shift_block)),
                  Load(Target.SHIFT, Parameter.HADAMARD, _singles(weights.shift_hadamard))]
    if cfg.tables == "internal":
        size = HOST_LANES * ELEMENT_WIDTH // 8
        mask = (1 << (8 * size)) - 1
        loads.append(Load(Target.TABLE, 0, [(beat >> (8 * size * i)) & mask
                                            for beat in table_beats(cfg, weights.tables)
                                            for i in range(table_parts(cfg))]))
    return loads


def token_beats(raw: np.ndarray) -> list[int]:
    """Tokens, or residuals, as beats of their stream."""
    return _elements(raw)


def job_fields(job: Job) -> dict:
    """The fields of the job word."""
    return {"order": int(job.order), "tokens": len(job.x), "gain": job.gain, "skip": job.skip,
            "shift_skip": job.shift_skip, "shift_y": job.shift_y}
