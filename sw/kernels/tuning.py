"""How the kernel walks a job on this machine: two switches that are measured, once, and kept.

Few tokens left over from whole tiles are projected as rows, more as a tile of which some lanes are idle.
Few tokens fetch the table rows that they need, many fetch tiles whole. Where the one overtakes the other
depends on the machine's caches and on the sizes of the layer; the result of a job does not depend on it.
"""

import ctypes
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from model.lookup.config import LookupConfig
from sw.io.errors import InputError
from sw.io.toolchain import cache_dir
from sw.io.writing import make_folder, write_json

__all__ = ["Switches", "Walk", "DEFAULT", "NEVER", "SMALL", "kept", "measure", "switches_of"]

NEVER = 1 << 30
"""Tokens from which on nothing changes any more."""

SMALL = 4 << 20
"""Bytes of tables below which nothing is measured: a second-level cache holds them, more or less."""

SIZES = ("d", "h", "tau", "block", "projection", "neighbours")
"""What of a configuration the switches depend on."""

ROWS = (1, 2, 4, 6, 8, 12, 16, 24, 32)
WHOLE = (64, 128, 256, 512, 1024, 2048)
REPEATED = 3


class Walk(ctypes.Structure):
    """What the kernels are told: threads, the switches, and how many tokens are a batch."""

    _fields_ = [(name, ctypes.c_int32) for name in ("threads", "rows_up_to", "whole_from", "batch")]


@dataclass(frozen=True)
class Switches:
    """``rows_up_to`` : so many tokens that are left over are projected as rows; ``whole_from`` : from so
    many tokens on tiles of the tables are fetched whole."""

    rows_up_to: int = 4
    whole_from: int = 256


DEFAULT = Switches()


def measure(seconds) -> Switches:
    """The switches by ``seconds(tokens, switches)``, which runs a job and gives what its "hash" and its
    "gather" took. The least of a few repetitions counts."""
    def least(part, tokens, *both):
        found = [[], []]
        for _ in range(REPEATED):
            for taken, switches in zip(found, both, strict=True):
                taken.append(seconds(tokens, switches)[part])
        return min(found[0]) <= min(found[1])

    rows_up_to, whole_from = 0, NEVER
    for tokens in ROWS:
        if not least("hash", tokens, Switches(rows_up_to=tokens), Switches(rows_up_to=0)):
            break
        rows_up_to = tokens
    for tokens in WHOLE:
        if least("gather", tokens, Switches(whole_from=1), Switches(whole_from=NEVER)):
            whole_from = tokens
            break
    return Switches(rows_up_to, whole_from)


@cache
def _machine() -> str:
    """The name of the processor, as far as the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join(sorted({line for line in lines if line.startswith(("model", "cache size", "CPU part"))}))


def switches_of(cfg: LookupConfig, build: tuple, seconds) -> Switches:
    """The switches of a layer for a kernel that ``build`` names: as :func:`kept` has them, but those of small
    tables, which nothing is measured for."""
    if cfg.table_bytes < SMALL:
        return DEFAULT
    return kept((*build, *(getattr(cfg, name) for name in SIZES)), seconds)


def kept(what: tuple, seconds) -> Switches:
    """What was measured for ``what``, a plain value that names build and sizes; measured now if it was not.

    A cache that cannot be read or written costs the time of the measurement and nothing else.
    """
    digest = hashlib.sha256(repr((what, _machine())).encode()).hexdigest()[:12]
    path = cache_dir() / f"kernel-switches-{digest}.json"
    try:
        found = json.loads(path.read_text("utf-8"))
        return Switches(*(int(found[name]) for name in ("rows_up_to", "whole_from")))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    switches = measure(seconds)
    try:
        make_folder(path.parent)
        write_json(path, asdict(switches))
    except (OSError, InputError):
        pass
    return switches
