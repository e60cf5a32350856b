"""RowWalk: it tells in which order the rows of a job are taken from where they wait."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from model.lookup.config import LookupConfig
from model.lookup.timing import row_slots

__all__ = ["RowWalk", "ROWS_IN", "batch_size"]

ROWS_IN = {"start": In(1), "order": In(1), "tokens": In(16), "row_in": In(1), "token_in": In(1)}
"""What tells a walk of the job and of the rows that come; its users pass it on."""


def batch_size(cfg: LookupConfig, order, left):
    """Tokens of the next batch; a token-major job is one of batches of a token."""
    return Mux(left == 0, 0, Mux(order, Mux(left < cfg.batch, left, cfg.batch), 1))


class RowWalk(wiring.Component):
    """Walks the row store: tables, in each the tokens of the batch, of each the entries.

    Rows lie in the order in which they come, token by token, in a ring of ``row_slots`` tokens.
    With a batch of one token this walk is that order, so both orders of gather are one walk. A
    token-major job may take a row as soon as it is there, a table-major one waits for the last row
    of its batch.

    Timing: where ``valid`` is high, ``address`` and what is told of the row are those of the next
    one, in the same cycle; ``step`` takes it. A row a cycle.

    Source: Sec. 5 for the two orders.

    Members
    -------
    start : A job begins.
    order : The job is table-major, else token-major. Stable while it runs.
    tokens : Tokens of the job. Read with ``start``.
    row_in : A row is written to the store.
    token_in : The row written is the last of its token.
    step : The row is taken.
    valid : There is a row to take.
    address : Address of the row to take, in the store.
    token : Number of its token in the batch.
    size : Tokens of its batch.
    first : The row to take is the first of its token.
    ends_table : The row to take is the last that the batch takes from its table.
    ends_batch : The row to take is the last of its batch.
    """

    module_name = "lookup_row_walk"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        slots = row_slots(cfg)
        super().__init__({
            **ROWS_IN, "step": In(1), "valid": Out(1), "address": Out(range(slots * cfg.h * cfg.entries)),
            "token": Out(range(max(2, cfg.batch))), "size": Out(range(cfg.batch + 1)),
            "first": Out(1), "ends_table": Out(1), "ends_batch": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg, slots = self.cfg, row_slots(self.cfg)
        stride = cfg.h * cfg.entries
        left, size = Signal(16), Signal.like(self.size)    # tokens that are left, and of them in this batch
        at, base = Signal.like(self.address), Signal.like(self.address)
        slot, base_slot = Signal(range(slots)), Signal(range(slots))
        entry, token = Signal(range(max(2, cfg.entries))), Signal.like(self.token)
        table = Signal(range(max(2, cfg.h)))
        rows, tokens = Signal(range(slots * stride + 1)), Signal(range(slots + 1))

        last_entry, last_token = entry == cfg.entries - 1, token + 1 == self.size
        last_table = table == cfg.h - 1
        m.d.comb += [
            self.valid.eq(Mux(self.order, (tokens >= self.size) & (left != 0), rows != 0)),
            self.address.eq(at), self.token.eq(token), self.first.eq((table == 0) & (entry == 0)),
            self.ends_table.eq(last_entry & last_token),
            self.ends_batch.eq(self.ends_table & last_table), self.size.eq(size)]

        over = slot == slots - 1
        next_slot = Mux(over, 0, slot + 1)
        with m.If(self.step):
            m.d.sync += [entry.eq(entry + 1), at.eq(at + 1)]
            with m.If(last_entry):
                m.d.sync += [entry.eq(0), token.eq(token + 1), slot.eq(next_slot),
                             at.eq(at + Mux(over, stride * (1 - slots), stride) + 1 - cfg.entries)]
            with m.If(self.ends_table):
                m.d.sync += [token.eq(0), table.eq(table + 1), slot.eq(base_slot),
                             at.eq(base + cfg.entries), base.eq(base + cfg.entries)]
            with m.If(self.ends_batch):
                begin = Mux(over, 0, at + 1)
                m.d.sync += [table.eq(0), left.eq(left - size), slot.eq(next_slot),
                             base_slot.eq(next_slot), at.eq(begin), base.eq(begin),
                             size.eq(batch_size(cfg, self.order, left - size))]

        m.d.sync += [rows.eq(rows + self.row_in - self.step),
                     tokens.eq(tokens + self.token_in
                               - Mux(self.step & self.ends_batch, self.size, 0))]
        with m.If(self.start):
            m.d.sync += [left.eq(self.tokens), size.eq(batch_size(cfg, self.order, self.tokens)),
                         *(each.eq(0) for each in (at, base, slot, base_slot, entry, token, table, rows,
                                                   tokens))]
        return m
