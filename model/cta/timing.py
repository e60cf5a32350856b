"""Latencies of the blocks beside the array, as functions of the configuration.

The one place where they are written: ``gen`` builds its delays from them where it can, the tests
hold the blocks to them, and the cycle model adds them up.
"""

from dataclasses import dataclass

from model.cta.config import CTAConfig

__all__ = ["cim_start", "cim_latency", "CAG_ROW_REQUEST", "CAG_OPERAND", "CAG_WRITE_BACK",
           "CAG_FIRST_ROW", "CagTimes", "cag_times"]


# -- cluster index -------------------------------------------------------------------------------

def cim_start(cfg: CTAConfig) -> int:
    """Cycles from column 0 of a token's hash (in the last pass) to its thread at the root.

    One register; with a hash buffer the thread waits for what the last of b columns was given.
    """
    return 1 if cfg.passes == 1 else cfg.b


def cim_latency(cfg: CTAConfig) -> int:
    """Cycles from column 0 of a token's hash (in the last pass) to ``ct_valid``.

    A cycle a layer; the leaf's register is the last layer's.
    """
    return cim_start(cfg) + cfg.tree_digits


# -- probability aggregation ---------------------------------------------------------------------

PAG_STEP = 9
"""Cycles from a pair's CT address to the write of its sums: CT, index, CS, columns, four of the
exponential, and the addition."""


def pag_cycles(cfg: CTAConfig, n: int, cols: int) -> int:
    """Cycles from ``start`` to ``done`` for ``n`` tokens and ``cols`` live columns."""
    return -(-cols // cfg.tiles) * -(-n // 2) + PAG_STEP


def cs_latency(cfg: CTAConfig) -> int:
    """Cycles from the score of column 0 to the write of its word, which ``cs_done`` marks."""
    return cfg.b - 1


def ap_latency(cfg: CTAConfig) -> int:
    """Cycles from ``ap_en`` to ``ap[0]``: memory, operands, sum, shift, rounding."""
    return 5


def ap_clear_delay(cfg: CTAConfig) -> int:
    """Cycles from the last ``ap_en`` of a batch to the earliest ``start`` of the next: none, the
    entry is cleared before the first step of the walk can read it."""
    return 0


# -- array and sequencer -------------------------------------------------------------------------

def issue_delay(cfg: CTAConfig) -> int:
    """Cycles from a slot to its command at lane 0; x follows two later, together with AP."""
    return max(2, ap_latency(cfg) - 2)


def top_latency(cfg: CTAConfig) -> int:
    """Cycles from a slot to its sum at the top of column 0: command, lane, d rows, 3 stages."""
    return issue_delay(cfg) + 2 + cfg.d + 2


HASH_STAGES = 5      # sum at the top -> hash value: operand, factors, two of product, floor
LINEAR_STAGES = 1    # sum at the top -> Q, K, V
SCORE_STAGES = 2     # sum at the top -> score
RESULT_STAGES = 8    # the last sum -> first O: sum, position, table, operand, factors, two of product, O


def shortcut_pause(cfg: CTAConfig) -> int:
    """Slots left empty between Wq and K: what the top gives must be in the value registers."""
    return LINEAR_STAGES + 2


def slice_interval(cfg: CTAConfig) -> int:
    """Least slots from a partial sum's product to that of the next slice: d rows and 3 stages."""
    return cfg.d + 3


def least_stream(cfg: CTAConfig, turns: int = 1) -> int:
    """Least slots of a row whose partial sums the next slice takes, where ``turns`` rows go in turn: less
    those that its load takes from the array in any case."""
    return -(-slice_interval(cfg) // turns) - (0 if cfg.ahead else cfg.b)


def load_slots(cfg: CTAConfig) -> int:
    """Cycles of a load of the value registers: one a column. With fast products two, since a PE has a value
    of each of two slices, and two more, since what is loaded are differences to the column on the left,
    which is read behind it."""
    return 2 * cfg.b + 2 if cfg.program.fast else cfg.b


def query_guard(cfg: CTAConfig) -> int:
    """Cycles from the first slot of the last row of Q to the take of the first row that loads it,
    where Q is kept: its row b-1, which is loaded first, is then in the bank."""
    return cfg.b + top_latency(cfg) + LINEAR_STAGES + cfg.lane_rows - 1 - issue_delay(cfg)


def value_guard(cfg: CTAConfig) -> int:
    """Cycles from the first slot of the last row of V to the take of outputs, where weights stay: all
    dimensions of row 0 of V are then in their banks when it is read. Lanes read one behind the other."""
    return cfg.b + top_latency(cfg) - cfg.d + LINEAR_STAGES + cfg.lane_rows - issue_delay(cfg)


def drain_guard(cfg: CTAConfig, keys: int) -> int:
    """Cycles from the last slot of an output row of ``keys`` slots before another may be taken.

    Results climb out a row a cycle from d + 3 cycles behind the last operand on, and the next operands
    climb behind them. A row that has its next result must not be shifted any more, though.
    """
    return max(cfg.d + 2, 2 * cfg.d + 2 - keys)


def tail(cfg: CTAConfig) -> int:
    """Cycles from the last slot of the program to the end of the job: the last O in its bank."""
    return top_latency(cfg) + RESULT_STAGES + cfg.b + cfg.d + 1


# -- centroid aggregation ------------------------------------------------------------------------

CAG_ROW_REQUEST = 2
"""Accepting a job to the row request of its first token; one token a cycle from there."""

CAG_OPERAND = 4
"""Accepting a job to the first operand of CACC at the borrowed column."""

CAG_WRITE_BACK = 6
"""Accepting a job to its last write-back, less its count of tokens."""

CAG_FIRST_ROW = 7
"""CAVG's read of a cluster to the cycle in which that centroid is written."""


@dataclass(frozen=True)
class CagTimes:
    """Cycles of one job (one slice of one clustering) in the CAG.

    accept : the job is taken (valid and ready).
    following : the next job can be taken, if it has a bank.
    written : last write-back of CACC.
    average : CAVG reads the first cluster; one a cycle follows.
    bank_free : CAVG has read the last cluster; a job for the same bank can be taken.
    started, done : the first, the last centroid is being written.
    """

    accept: int
    following: int
    written: int
    average: int
    bank_free: int
    started: int
    done: int


def cag_times(cfg: CTAConfig, offered: int, count: int, k: int,
              before: list[CagTimes] = (), first: int = 0) -> CagTimes:
    """Times of a job of ``count`` tokens from row ``first`` of their banks on in ``k`` clusters that is
    offered from
    cycle ``offered``, counted as a job of the engine counts.

    ``before`` has the jobs taken since the reset, in order (the last two matter): the job waits
    for CACC, which takes a token a cycle without a gap between jobs, and for its bank, which is
    that of the last one or of the last but one; its average waits for that of the last one.
    """
    accept = max([offered] + [job.following for job in before[-1:]]
                 + [job.bank_free for job in before[-cfg.sums:][:1] if len(before) >= cfg.sums])
    accept += (accept + first + issue_delay(cfg)) % 2     # its turn at the banks of tokens
    written = accept + count + CAG_WRITE_BACK
    average = max([written + 1] + [job.bank_free for job in before[-1:]])
    started = average + CAG_FIRST_ROW
    return CagTimes(accept=accept, following=accept + count, written=written, average=average,
                    bank_free=average + k, started=started, done=started + k - 1)
