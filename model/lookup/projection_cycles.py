"""In which cycle the projection gives each beat of z, where x always comes.

Steps from decision to decision of the issue unit, with the latencies of ``model.lookup.timing``.
"""

from model.lookup.config import STAGES, LookupConfig
from model.lookup.timing import (
    ROUNDING,
    SRAM_BEATS,
    block_latency,
    code_latency,
    contexts,
    delay_levels,
    frame_beats,
    frame_cycles,
    frames,
    outputs,
    stage_latency,
    steps,
    token_slots,
    z_beats,
    z_frames,
    z_lanes,
)

__all__ = ["z_cycles"]


def _products(cfg):
    """Cycles from the issue of a frame to each beat of its products."""
    issue, read = 1, 1
    group = outputs(cfg) // z_lanes(cfg)
    return [issue + read + k // group * steps(cfg) + steps(cfg) - 1 + block_latency(cfg) + k % group
            for k in range(frame_beats(cfg))]


def _last_stage(cfg):
    """Cycles from the issue of a frame to each beat of its last stage."""
    times = [at + ROUNDING for at in _products(cfg)]
    for half in delay_levels(cfg):
        latency = 1 + (half >= SRAM_BEATS)
        for low in range(0, len(times), 2 * half):
            # The sums follow the second half, the differences the last sum.
            sums = times[low + half:low + 2 * half]
            times[low:low + half] = [at + latency for at in sums]
            times[low + half:low + 2 * half] = [sums[-1] + latency + 1 + k for k in range(half)]
    across = z_lanes(cfg).bit_length() - 1
    return [at + across + ROUNDING for at in times]


class _Host:
    """Acceptance of tokens and room in the queue of z, as the issue unit sees them."""

    def __init__(self, cfg, tokens, take):
        self.cfg, self.tokens, self.take = cfg, tokens, take
        self.whole, self.released, self.ends, self.z = [], [], [], []

    def waits(self, token, cycle):
        """Whether a token lies in the buffer in a cycle."""
        cfg = self.cfg
        while len(self.whole) <= token:
            at, freed = len(self.whole), len(self.whole) - token_slots(cfg)
            start = self.whole[-1] + 1 if at else 0
            if freed >= 0:
                if freed >= len(self.released):
                    return False
                start = max(start, self.released[freed] + 1)
            self.whole.append(start + cfg.d // 8 - 1)
        return self.whole[token] < cycle

    def room(self, cycle):
        """Whether the queue of z has a place for another frame."""
        self.ends = [end for end in self.ends if end >= cycle]
        return len(self.ends) < z_frames(self.cfg)

    def give(self, cycle, times, part):
        """Frame ``part`` of a token, issued in ``cycle``, gives z."""
        first = part * frame_beats(self.cfg)
        left = z_beats(self.cfg) - first
        for at in times[:left]:
            offered = cycle + at + code_latency(self.cfg)
            self.z.append(self.take(max(offered, self.z[-1] + 1) if self.z else offered))
        self.ends.append(self.z[-1])


def z_cycles(cfg: LookupConfig, tokens: int, take=lambda offered: offered) -> list[int]:
    """The cycle of each transfer of z, counted from the first cycle in which x is offered.

    ``take`` tells when the next beat is taken that is offered from a cycle on: at once, by default.
    """
    host = _Host(cfg, tokens, take)
    (_dense if cfg.projection == "dense" else _bh4)(cfg, host)
    return host.z


def _dense(cfg, host):
    times, cycle = _products(cfg), 0
    for token in range(host.tokens):
        for group in range(frames(cfg)):
            while not (host.waits(token, cycle) and host.room(cycle)):
                cycle += 1
            host.give(cycle, times, group)
            cycle += steps(cfg)
        host.released.append(cycle)


def _bh4(cfg, host):
    times, count = _last_stage(cfg), contexts(cfg)
    held = [None] * count      # context -> [copy, next stage, cycle from which that can go]
    cycle = ctx = started = 0
    while started < host.tokens * cfg.copies or any(held):
        here = held[ctx]
        if here is None:
            go = (started < host.tokens * cfg.copies
                  and host.waits(started // cfg.copies, cycle))
            if go:
                held[ctx] = here = [started % cfg.copies, 0, 0]
                started += 1
        else:
            cycle = max(cycle, here[2])
            while here[1] == STAGES - 1 and not host.room(cycle):
                cycle += 1
            go = True
        if go:
            if here[1] == STAGES - 1:
                host.give(cycle, times, here[0])
                if here[0] == cfg.copies - 1:
                    host.released.append(cycle + times[-1])
                held[ctx] = None
            else:
                held[ctx] = [here[0], here[1] + 1, cycle + stage_latency(cfg)]
        cycle += frame_cycles(cfg) if go else 1
        ctx = (ctx + 1) % count
