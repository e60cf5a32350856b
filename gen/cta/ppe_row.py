"""PPE row: it joins the post processing elements over the array, their control and their table."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.cta.interfaces import LSHParameters, PPEEvents, PPESettings
from gen.cta.ppe import PPE, PPEOp
from gen.emit import place
from gen.fixed import popcount, shape
from model.cta.job import LSH_WIDTH
from model.fixed import SHIFT, clog2

__all__ = ["PPEControl", "PPEOp", "PPERow"]


class PPEControl(data.StructLayout):
    """Control of the row, a cycle ahead of column 0; it goes right a column a cycle.

    ``op``: what the sum is. ``lsh``, ``hpass``: LSH and pass of HASH. ``first``, ``last``: the ends
    of a SCORE or OUT phase. ``level2``: SCORE subtracts the maximum. ``zero``: SCORE takes 0 for
    the sum. ``cols``: columns 0..cols-1 are live.
    """

    def __init__(self, cfg):
        super().__init__({"op": PPEOp, "lsh": LSH_WIDTH, "hpass": cfg.pass_width, "first": 1,
                          "last": 1, "level2": 1,
                          "zero": 1, "cols": unsigned(clog2(cfg.b + 1))})


class PPERow(wiring.Component):
    """The row holds the PPEs of columns 0..b-1, their control, one reciprocal table, event counts.

    Control goes right a column a cycle, so the columns end their OUT phases one cycle apart, and
    one table serves them all. A table a column would cost b times 256 words for one look-up a
    phase.

    Timing (S: cycle in which ``sum[0]`` shows the sum, a cycle after its ``ctl``; column j works in
    S+j):
    ``linear[j]`` is valid in S+1+j, ``score[j]`` in S+2+j, ``hash[j]`` in S+5+j. After OUT with
    ``last`` in S, ``shift[j]`` is high in S+3+j .. S+d+2+j, and ``out[j]`` with ``out_valid[j]``
    gives row d-1-q in S+8+q+j. The next OUT may begin when ``shift`` is over. Q, K, V and SCORE may
    run meanwhile, HASH may not. An event is counted at the latest in the cycle after the output
    that it concerns, and ``zero_rows`` in S+3+j. Inputs of the job are stable from two cycles
    before the first ``ctl`` that uses them. There is no back-pressure.

    Numerics: as :class:`PPE`. A hash column counts saturations if and only if it is live and its
    hash function exists.

    Source: Sec. IV-B(1).

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    ctl : Control of column 0 in the next cycle.
    sum[b] : Sum at the top of column j, in S+j. Format ``cfg.acc``.
    ap_top[b] : Probability that leaves column j at the top, two cycles before its ``sum``.
        Format ``fmt.ap``.
    res[b] : Result register at the top of column j. Format ``cfg.acc``.
    lsh : Parameters of the LSHs.
    job : Shifts and mode of the job.
    hash[hash_columns] : Hash value of column j, held until the next. Format ``fmt.hash``.
    linear[b] : Element of Q, K or V of column j, held until the next. Format ``fmt.qkv``.
    score[b] : Score of column j, held until the next. Format ``fmt.score``.
    out[b] : Normalised result of column j, row d-1 first. Format ``fmt.output``.
    out_valid[b] : ``out`` of this live column is new in this cycle.
    shift[b] : The result chain of the column moves up.
    events : Saturations and zero sums of this cycle.
    """

    module_name = "cta_ppe_row"
    static_inputs = "lsh", "job"

    def __init__(self, cfg):
        b, fmt, acc = cfg.b, cfg.fmt, shape(cfg.acc)
        super().__init__({
            "ctl": In(PPEControl(cfg)),
            "sum": In(acc).array(b), "ap_top": In(shape(fmt.ap)).array(b),
            "res": In(acc).array(b),
            "lsh": In(LSHParameters(cfg)), "job": In(PPESettings()),
            "hash": Out(shape(fmt.hash)).array(cfg.hash_columns),
            "linear": Out(shape(fmt.qkv)).array(b), "score": Out(shape(fmt.score)).array(b),
            "out": Out(shape(fmt.output)).array(b), "out_valid": Out(1).array(b),
            "shift": Out(1).array(b),
            "events": Out(PPEEvents(cfg)),
        })
        self.cfg = cfg

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        row = [PPE(cfg) for _ in range(cfg.b)]
        for j, ppe in enumerate(row):
            m.submodules[f"ppe_{j}"] = place(platform, ppe)

        # Every token is in the sum once a level, hence a factor 2 that exact mode lacks.
        shift_out = Signal(SHIFT.width)
        m.d.sync += shift_out.eq(cfg.result_guard + cfg.fmt.multiplier.width - 1
                                 + self.job.shift_o + self.job.exact)

        ctl, drain = self.ctl, self._drain(m)
        shift = self._shift(m)
        for j, ppe in enumerate(row):
            # A register of its own, with the shift and the bias that go with it.
            left, ctl, drawn, shift = ctl, Signal(ctl.shape(), name=f"ctl_{j}"), shift, Signal.like(
                shift, name=f"amount_{j}")
            chosen, there = self._bias(m, left, j)
            bias, exists = Signal.like(chosen, name=f"bias_{j}", reset_less=True), Signal(name=f"exists_{j}")
            m.d.sync += [ctl.eq(left), shift.eq(drawn), bias.eq(chosen), exists.eq(there)]
            m.d.comb += [
                *(getattr(ppe, name).eq(getattr(ctl, name)) for name in
                  ("op", "lsh", "first", "last", "level2", "zero")),
                ppe.live.eq((ctl.cols > j) & (exists | (ctl.op != PPEOp.HASH))),
                ppe.bias.eq(bias), ppe.drain.eq(drain), self.shift[j].eq(drain),
                ppe.sum.eq(self.sum[j]), ppe.ap_top.eq(self.ap_top[j]), ppe.res.eq(self.res[j]),
                *(to.eq(by) for name in ("inv_w", "pre", "post")
                  for to, by in zip(getattr(ppe, name), getattr(self.lsh, name))),
                ppe.shift.eq(shift), ppe.shift_out.eq(shift_out),
                self.linear[j].eq(ppe.linear), self.score[j].eq(ppe.score),
                self.out[j].eq(ppe.out), self.out_valid[j].eq(ppe.out_valid),
            ]
            if j < cfg.hash_columns:
                m.d.comb += self.hash[j].eq(ppe.hash)
            if j + 1 < cfg.b:
                before, drain = drain, Signal(name=f"drain_{j + 1}")
                m.d.sync += drain.eq(before)

        # At most one request is up, so the indices are gathered by OR.
        index = reduce(or_, (ppe.index & ppe.request.replicate(cfg.recip_index) for ppe in row))
        recip = Signal(shape(cfg.fmt.multiplier))
        table = [Const(int(entry), recip.shape()) for entry in cfg.recip_table]
        m.d.comb += [recip.eq(Array(table)[index]), *(ppe.recip.eq(recip) for ppe in row)]

        for name in self.events.signature.members:
            flags = Cat(getattr(ppe, name.removesuffix("s")) for ppe in row)
            m.d.sync += getattr(self.events, name).eq(popcount(flags))
        return m

    def _drain(self, m):
        """Up for the d cycles in which column 0 drains."""
        drain, left = Signal(), Signal(range(self.cfg.d))
        late = delay(m, (self.ctl.op == PPEOp.OUT) & self.ctl.last, 3, reset=True)
        with m.If(late):
            m.d.sync += [drain.eq(1), left.eq(self.cfg.d - 1)]
        with m.Elif(left == 0):
            m.d.sync += drain.eq(0)
        with m.Else():
            m.d.sync += left.eq(left - 1)
        return drain

    def _shift(self, m):
        """The right shift of the sum that comes next: chosen a cycle ahead, since the shift itself is
        the longest that a PPE does in one."""
        shift, op = Signal(SHIFT.width), self.ctl.op
        m.d.comb += shift.eq(self.job.shift_s)
        for name in "qkv":
            with m.If(op == PPEOp[name.upper()]):
                m.d.comb += shift.eq(getattr(self.job, f"shift_{name}"))
        return shift

    def _bias(self, m, ctl, j):
        """The bias of the hash function of column ``j``, and whether there is such a function."""
        cfg = self.cfg
        bias, exists = Signal(shape(cfg.fmt.bias)), Signal()
        for hpass, function in enumerate(range(j, cfg.l, cfg.b)):
            with m.If(ctl.hpass == hpass):
                biases = Array(self.lsh.bias[c * cfg.l + function] for c in range(3))
                m.d.comb += [bias.eq(biases[ctl.lsh]), exists.eq(1)]
        return bias, exists
