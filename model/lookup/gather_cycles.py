"""In which cycle the hash gives each row, the table port each beat, and the gather each beat of y.

For a memory of fixed latency that always listens, y always taken, a residual always there. Each
transfer is the latest of what it waits for, so there is no clock to step: rows go one by one
through :class:`HashClock` into :class:`GatherClock`, which works a batch off when its last row is
in. Cycles are the caller's; all are those of transfers.
"""

from model.lookup.config import LookupConfig
from model.lookup.job import Order
from model.lookup.layout import HOST_LANES
from model.lookup.timing import OUTPUT_STAGES, SUM_STAGES, row_slots, score_latency, z_lanes

__all__ = ["HashClock", "GatherClock"]


class HashClock:
    """Beats of z in, rows out to ``gather``; a row that waits there holds z up."""

    def __init__(self, cfg: LookupConfig, gather: "GatherClock"):
        self.cfg, self.gather = cfg, gather
        self.z, self.issued, self.gone, self._held = [], [], [], 0

    def beat(self, offered: int) -> int:
        """The cycle in which the next beat of z is taken, if it is offered from ``offered`` on."""
        cfg, lanes = self.cfg, z_lanes(self.cfg)
        at = max(offered, self.z[-1] + 1 if self.z else offered)
        whole = self._held // cfg.tau        # groups that must have left the register
        if whole:
            at = max(at, self.gone[whole - 1])
        in_token = self._held % cfg.codes
        self._held += min(lanes, cfg.codes - in_token)
        self.z.append(at)
        for _ in range(whole, self._held // cfg.tau):
            self._group(at + 1)
        return at

    def _group(self, there):
        """The rows of a table whose elements are in their register in cycle ``there``."""
        cfg, issued, rows = self.cfg, self.issued, self.gather.rows
        places = score_latency(cfg) + 2
        if cfg.neighbours:                  # a register of its own, free with the last row before
            there = max(there, issued[-1] if issued else there,
                        self.gone[-1] + 1 if self.gone else there)
            self.gone.append(there)
            there += 1
        for _ in range(cfg.entries):
            at = max(there, issued[-1] + 1 if issued else there)
            if len(rows) >= places:
                at = max(at, rows[len(issued) - places] + 1)
            issued.append(at)
            self.gather.row(at + score_latency(cfg) + 1)
        if not cfg.neighbours:
            self.gone.append(issued[-1])


class GatherClock:
    """Rows in; table beats, y and the cycles of the job out. ``start`` is the cycle of the pulse.

    ``rows``, ``requests``, ``responses`` and ``y`` fill up while rows come.
    """

    def __init__(self, cfg: LookupConfig, order: Order, tokens: int, latency: int, start: int):
        self.cfg, self.table_major = cfg, order == Order.TABLE_MAJOR
        self.tokens, self.latency, self.start = tokens, latency, start
        self.rows, self.requests, self.responses, self.y = [], [], [], []
        self._freed = []               # of each token, when its rows were given up
        self._step = self._go = self._beat = self._head = self._sum = start
        self._taken = start            # last word of sums taken
        self._cleared = [start, start]
        self._tiles = []               # tables read from the tile: when they were done
        self._batches = 0

    def row(self, offered: int) -> int:
        """The cycle in which the next row is taken, if it is offered from ``offered`` on."""
        cfg, stride = self.cfg, self.cfg.h * self.cfg.entries
        at = max(offered, (self.rows[-1] if self.rows else self.start) + 1)
        token = len(self.rows) // stride
        if token >= row_slots(cfg):
            at = max(at, self._freed[token - row_slots(cfg)] + 1)
        self.rows.append(at)
        if len(self.rows) % stride == 0:
            first = len(self._freed)
            size = min(cfg.batch, self.tokens - first) if self.table_major else 1
            if token + 1 == first + size:
                self._batch(first, size)
        return at

    def _batch(self, first, size):
        """All rows of a batch are in: its sums and its y."""
        cfg, stride = self.cfg, self.cfg.h * self.cfg.entries
        complete = self.rows[-1] + 1
        for table in range(cfg.h):
            tile = self._fill() if self.table_major else 0
            for token in range(first, first + size):
                bank = (token - first) % 2 if self.table_major else token % 2
                for entry in range(cfg.entries):
                    written = self.rows[token * stride + table * cfg.entries + entry] + 1
                    self._row(complete if self.table_major else written, tile, bank)
            self._tiles.append(self._beat)
        self._freed += [self._sum] * size
        self._leave(first, size)
        self._batches += 1

    def _row(self, there, tile, bank):
        """Address and beats of a row, from the port or the tile to the lanes."""
        cfg = self.cfg
        # The walks step when their next register is free; a row's last beat frees both.
        self._step = max(there, self._step + 1, self._go)
        self._go = max(self._step + 1, self._beat)
        self._head = max(there, self._head + 1, self._sum)
        self._beat = max(self._beat, self._go)
        for _ in range(cfg.row_beats):
            may = max(self._sum, self._head, self._cleared[bank])
            if self.table_major:
                self._beat = max(self._beat + 1, tile, self._sum)
                self._sum = max(self._beat, may) + 1
            else:
                self._beat = self._request(self._beat + 1)
                self._sum = max(self._beat + self.latency, may + 1)
                self.responses.append(self._sum)

    def _request(self, at):
        """A request, not before ``at``: as soon as there is room in flight."""
        ahead = len(self.requests) - self.cfg.outstanding
        at = max(at, self.responses[ahead] + 1) if ahead >= 0 else at
        self.requests.append(at)
        return at

    def _fill(self):
        """Read the next table; the first cycle in which its tile may be read."""
        done = self._tiles
        at = max(self.requests[-1] if self.requests else self.start,
                 done[-2] if len(done) >= 2 else self.start)
        for _ in range(self.cfg.row_beats << self.cfg.tau):
            at = self._request(at + 1)
            self.responses.append(at + self.latency)
        return max(self.responses[-1], done[-1] if done else 0) + 1

    def _leave(self, first, size):
        """The sums of a batch become y."""
        cfg = self.cfg
        pieces = max(1, HOST_LANES // cfg.lanes)      # words of a beat
        at = max(self._sum + SUM_STAGES - 1, self._taken)
        for _ in range(size * cfg.d // HOST_LANES):
            at += pieces
            self.y.append(at + OUTPUT_STAGES + 1)
        self._taken = at
        for bank in range(2) if self.table_major else (first % 2,):
            self._cleared[bank] = at
