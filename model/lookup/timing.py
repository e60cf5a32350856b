"""Structure and latencies of the blocks that follow from the configuration.

The one place where they are written: ``gen`` builds from them, the tests hold the blocks to them,
and the cycle model adds them up.

P multipliers work on ``z_lanes`` inputs and ``outputs`` results at a time. A group of results
takes ``steps`` cycles. A frame is what the multipliers do without looking up: one stage of one
copy of one token (BH4), or one group (dense).
"""

from model.fixed import clog2
from model.lookup.config import STAGES, LookupConfig

__all__ = ["z_lanes", "outputs", "beats", "z_beats", "steps", "frame_cycles", "frame_beats",
           "frames", "delay_levels", "hadamard_latency", "block_latency", "ROUNDING", "SRAM_BEATS",
           "stage_latency", "contexts", "code_latency", "z_frames", "token_slots",
           "projection_interval", "score_sums", "score_latency", "hash_latency", "ADDRESS_STAGES",
           "SUM_STAGES", "OUTPUT_STAGES", "row_slots", "accumulator_words", "TABLE_LATENCY"]

TABLE_LATENCY = 100
"""Cycles from a request to its beat, of the table memory that is assumed where none is given."""

# -- structure -----------------------------------------------------------------------------------


def z_lanes(cfg: LookupConfig) -> int:
    """Elements a beat of everything in the projection, its output z included."""
    return max(1, cfg.multipliers // cfg.block)


def outputs(cfg: LookupConfig) -> int:
    """Results that are summed up side by side."""
    return min(cfg.multipliers, cfg.block)


def beats(cfg: LookupConfig) -> int:
    """Beats of a padded token."""
    return cfg.n // z_lanes(cfg)


def z_beats(cfg: LookupConfig) -> int:
    """Beats of a token's z."""
    return -(-cfg.codes // z_lanes(cfg))


def steps(cfg: LookupConfig) -> int:
    """Cycles of a group: its inputs. Dense: no fewer than its results take to leave."""
    lanes = z_lanes(cfg)
    if cfg.projection == "dense":
        return max(-(-cfg.d // lanes), outputs(cfg) // lanes)
    return cfg.block // lanes


def frame_beats(cfg: LookupConfig) -> int:
    """Beats that a frame gives."""
    return outputs(cfg) // z_lanes(cfg) if cfg.projection == "dense" else beats(cfg)


def frame_cycles(cfg: LookupConfig) -> int:
    """Cycles of a frame at the multipliers."""
    return steps(cfg) * (1 if cfg.projection == "dense" else cfg.n // outputs(cfg))


def frames(cfg: LookupConfig) -> int:
    """Frames of a token."""
    if cfg.projection == "dense":
        return -(-cfg.codes // outputs(cfg))
    return cfg.copies * STAGES


# -- latencies -----------------------------------------------------------------------------------

ROUNDING = 2
"""Cycles of a variable shift with rounding and saturation: the shift, and the rest."""

SRAM_BEATS = 16
"""From so many beats on, a delay of the Hadamard network is an SRAM, which costs a cycle."""


def delay_levels(cfg: LookupConfig) -> list[int]:
    """Beats between the partners of each butterfly level whose partners come one after another."""
    return [1 << level for level in reversed(range(clog2(beats(cfg))))]


def hadamard_latency(cfg: LookupConfig) -> int:
    """Cycles from beat k of an unbroken frame to beat k of its transform."""
    delays = delay_levels(cfg)
    return (sum(delays) + len(delays) + sum(half >= SRAM_BEATS for half in delays)
            + clog2(z_lanes(cfg)))


def block_latency(cfg: LookupConfig) -> int:
    """Cycles from the last inputs of a group to its first results: operands, products, adder tree,
    accumulator, output register."""
    return 4 + clog2(z_lanes(cfg))


def stage_latency(cfg: LookupConfig) -> int:
    """Cycles from the issue of a frame to the earliest issue of its token's next stage.

    Where the frame flows without gaps, the next stage follows its first beat; with fewer
    multipliers than a block has outputs, its last.
    """
    issue, read = 1, 1
    if cfg.multipliers >= cfg.block:
        fed = steps(cfg) - 1
    else:
        fed = frame_cycles(cfg) - 1 + outputs(cfg) - 1
    return (issue + read + fed + block_latency(cfg) + ROUNDING + hadamard_latency(cfg) + ROUNDING)


def contexts(cfg: LookupConfig) -> int:
    """Copies of tokens in flight: as many as keep the multipliers busy."""
    return -(-stage_latency(cfg) // frame_cycles(cfg))


def code_latency(cfg: LookupConfig) -> int:
    """Cycles from the last stage of an element (dense: its sum) to z at the port."""
    queue = 2
    return queue + (4 if cfg.projection == "dense" else 8)


def z_frames(cfg: LookupConfig) -> int:
    """Frames that the queue of z holds.

    BH4: last stages come as a run of ``contexts`` frames; twice that evens them out. Dense: those
    on their way, and one.
    """
    if cfg.projection == "bh4":
        return 2 * contexts(cfg)
    way = 2 + block_latency(cfg) + code_latency(cfg) + frame_beats(cfg)
    return -(-way // steps(cfg)) + 2


def token_slots(cfg: LookupConfig) -> int:
    """Tokens that the buffer of x holds: of all items under way, of the run to come."""
    if cfg.projection == "dense":
        return 4
    return 1 << clog2(-(-2 * contexts(cfg) // cfg.copies) + 1)


# -- throughput ----------------------------------------------------------------------------------

def projection_interval(cfg: LookupConfig) -> int:
    """Cycles a token in steady state, of a stream of tokens without stalls."""
    return max(frames(cfg) * frame_cycles(cfg), cfg.d // 8)


# -- hash ----------------------------------------------------------------------------------------

def score_sums(cfg: LookupConfig) -> int:
    """Cycles from the elements of a table to the sums over them.

    Magnitude, logarithm, and a cycle for each two levels of the adder tree. A neighbour takes a
    cycle to add its flip, which is ready after magnitude, selection, product and rounding.
    """
    tree = 2 + -(-clog2(cfg.tau) // 2)
    return max(tree, 4) + 1 if cfg.neighbours else tree


def score_latency(cfg: LookupConfig) -> int:
    """Cycles from the elements of a table to a score: sums, exponent, mantissa, product, shift,
    rounding."""
    return score_sums(cfg) + 5


def hash_latency(cfg: LookupConfig) -> int:
    """Cycles from the beat of z that completes a table to its first row on the stream."""
    return 1 + cfg.neighbours + score_latency(cfg) + 1


# -- gather --------------------------------------------------------------------------------------

ADDRESS_STAGES = 3
"""Cycles from the write of a row to its first address: pointer, code, address."""

SUM_STAGES = 4
"""Cycles from the transfer of a token's last beat to the first read of its sums."""

OUTPUT_STAGES = 4
"""Cycles from the read of a word of sums to the write of y: cut, bias, shift, rounding. The beat is
on the stream in the next."""


INTERNAL_LATENCY = 1
"""Cycles from a request to its response where the tables are internal."""


def row_slots(cfg: LookupConfig) -> int:
    """Tokens whose rows wait: a batch at work and the next, or as many as fill ``outstanding``."""
    return max(2 * cfg.batch, 2 + -(-cfg.outstanding // (cfg.h * cfg.entries * cfg.row_beats)))


def accumulator_words(cfg: LookupConfig) -> int:
    """Words of each of the two accumulator banks: half a batch of tokens."""
    return -(-cfg.batch // 2) * cfg.row_beats
