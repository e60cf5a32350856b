"""Write-back: it sends K and V up the lanes and O down them to their banks."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.cta.lane_commands import LinearWrite, WriteBack
from gen.cta.ppe import PPEOp
from gen.cta.ppe_row import PPEControl
from model.cta.config import CTAConfig
from model.cta.timing import LINEAR_STAGES, RESULT_STAGES

__all__ = ["WriteBackControl"]


class WriteBackControl(wiring.Component):
    """Makes one write command a column, b in a row, which the lanes hand on.

    Column j shows element i of K or V i + j cycles after column 0 shows element 0. So a command
    that starts at lane 0 with column j, j cycles after the first, finds its column's element at
    every lane on its way up. Results leave row d-1 first, so their commands go down.

    Where weights stay, the columns are dimensions of the head and a slot is a row of Q, K or V. There is
    a command a row, which the columns hand on.

    Timing: ``kv`` starts with the first K or V value of a batch, ``o`` with its first result. A
    batch of K or V takes max(b, d) cycles, so that two never meet in a lane. Where weights stay, ``kv``
    comes with the value of column 0.

    Source: Sec. V-B, "Reduce memory overhead".

    Members
    -------
    start : A job begins; rows count from the first again.
    exact : The job has no centroids, so that K and V begin at row 0.
    ppe : What the sum at the top of column 0 is in this cycle.
    kv : Write of K or V for lane 0.
    o : Write of O for lane d-1.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({"start": In(1), "exact": In(1), "ppe": In(PPEControl(cfg)),
                          "kv": Out(LinearWrite(cfg)),
                          "o": Out(WriteBack(cfg, cfg.queries))})

    def elaborate(self, platform):
        m = Module()
        cfg, ppe = self.cfg, self.ppe
        is_k, is_v = ppe.op == PPEOp.K, ppe.op == PPEOp.V
        # Rows: of batch t from t*b on, behind the centroids where there are some.
        k_base = Mux(self.exact, 0, cfg.key_base)
        v_base = Mux(self.exact, 0, cfg.value_base)
        if cfg.program.weights_stay:
            self._rows(m, Mux(is_v, v_base, Mux(is_k, k_base, 0)))
        else:
            ends_batch = delay(m, is_v, LINEAR_STAGES - 1)
            self._burst(m, self.kv, delay(m, (is_k | is_v) & ppe.first, LINEAR_STAGES - 1, reset=True),
                        delay(m, ppe.cols, LINEAR_STAGES - 1), Mux(ends_batch, v_base, k_base),
                        ends_batch, ends_batch)
        self._burst(m, self.o, delay(m, (ppe.op == PPEOp.OUT) & ppe.last, RESULT_STAGES - 1, reset=True),
                    delay(m, ppe.cols, RESULT_STAGES - 1), 0, 0, 1)
        return m

    def _rows(self, m, origin):
        """A command for every row of a group of dimensions, in the cycle in which column 0 shows it."""
        kv, ppe, group = self.kv, self.ppe, Signal.like(self.kv.group)
        row, known = Signal.like(kv.addr), Signal.like(kv)
        linear = (ppe.op == PPEOp.K) | (ppe.op == PPEOp.V) | (ppe.op == PPEOp.Q)
        at = Mux(ppe.first, 0, row)
        m.d.comb += [known.en.eq(linear), known.v.eq(ppe.op == PPEOp.V), known.q.eq(ppe.op == PPEOp.Q),
                     known.group.eq(group), known.addr.eq(origin + at)]
        with m.If(linear):
            m.d.sync += row.eq(at + 1)
            with m.If(ppe.last):
                m.d.sync += group.eq(Mux(group == -(-self.cfg.d // self.cfg.b) - 1, 0, group + 1))
        with m.If(self.start):
            m.d.sync += group.eq(0)
        m.d.comb += kv.eq(delay(m, known, LINEAR_STAGES, reset=True))

    def _burst(self, m, write, first, cols, origin, v, advances):
        """b commands from the cycle after ``first``, in a job's first batch to row ``origin`` and
        up; the next batch's rows follow if ``advances``."""
        cfg = self.cfg
        base = Signal(range(max(cfg.keys, cfg.queries) + cfg.b + 1))
        busy, col, live = Signal(), Signal.like(write.col), Signal.like(cols)
        row, is_v = Signal.like(write.addr), Signal()
        m.d.comb += [write.en.eq(busy & (col < live)), write.col.eq(col), write.addr.eq(row),
                     write.v.eq(is_v)]
        with m.If(busy):
            m.d.sync += [col.eq(col + 1), row.eq(row + 1)]
            with m.If(col == cfg.b - 1):
                m.d.sync += busy.eq(0)
        with m.If(first):
            m.d.sync += [busy.eq(1), col.eq(0), live.eq(cols), row.eq(origin + base), is_v.eq(v)]
            with m.If(advances):
                m.d.sync += base.eq(base + cfg.b)
        with m.If(self.start):
            m.d.sync += [base.eq(0), busy.eq(0)]
