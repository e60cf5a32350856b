"""Columns: they are the systolic array under its row of PPEs."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.cta.interfaces import BorrowedColumns, LeftEdge, LSHParameters, PPEEvents, PPESettings
from gen.cta.ppe_row import PPEControl, PPERow
from gen.cta.systolic_array import SystolicArray
from gen.emit import place
from gen.fixed import shape
from model.cta.config import CTAConfig

__all__ = ["Columns"]


class Columns(wiring.Component):
    """Joins the array to the PPEs above it: sums go up, Q and the shifts of results come down.

    The cut is the loop between the two, which nothing else takes part in: the PPE of a column sees
    its sum, gives Q back to the values of the column by the shortcut, and draws the results up.

    Timing: as :class:`gen.cta.systolic_array.SystolicArray` with X and as
    :class:`gen.cta.ppe_row.PPERow` with S = X + d + 2. There is no back-pressure.

    Numerics: golden ``model.cta`` lsh, linear, score, output.

    Source: Sec. IV-B(1), Fig. 7, Fig. 8.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    left : Operands and control of the rows.
    ap[b] : Value of dataflow 2 into column j from below. Format ``fmt.ap``.
    inject[b] : What the sum of column j starts with. Format ``cfg.acc``.
    ppe : Control of the PPE of column 0.
    lsh : Parameters of the LSHs.
    job : Shifts and mode of the job.
    cag : Use of the borrowed columns.
    cacc_x[d] : Operand of CACC in lane i, in the cycle after ``cag.cacc_next``. Format ``cfg.left``.
    sum[b] : Sum of column j at the top. Format ``cfg.acc``.
    hash[hash_columns] : Hash value of column j, held until the next. Format ``fmt.hash``.
    linear[b] : Element of Q, K or V of column j, held until the next. Format ``fmt.qkv``.
    score[b] : Score of column j, held until the next. Format ``fmt.score``.
    out[b] : Normalised result of column j, row d-1 first. Format ``fmt.output``.
    out_valid[b] : ``out`` of this live column is new in this cycle.
    draining : Column 0 gives its results away.
    events : Saturations and zero sums of this cycle.
    """

    module_name = "cta_columns"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        b, f, acc = cfg.b, cfg.fmt, shape(cfg.acc)
        super().__init__({
            "left": In(LeftEdge(cfg)), "ap": In(shape(f.ap)).array(b), "inject": In(acc).array(b),
            "ppe": In(PPEControl(cfg)), "lsh": In(LSHParameters(cfg)), "job": In(PPESettings()),
            "cag": In(BorrowedColumns(cfg)), "cacc_x": In(shape(cfg.left)).array(cfg.d),
            "sum": Out(acc).array(b), "hash": Out(shape(f.hash)).array(cfg.hash_columns),
            "linear": Out(shape(f.qkv)).array(b), "score": Out(shape(f.score)).array(b),
            "out": Out(shape(f.output)).array(b), "out_valid": Out(1).array(b),
            "draining": Out(1), "events": Out(PPEEvents(cfg))})

    def elaborate(self, platform):
        m = Module()
        array, row = SystolicArray(self.cfg), PPERow(self.cfg)
        m.submodules.array = place(platform, array)
        m.submodules.ppe_row = place(platform, row)
        for name, part in (("left", array), ("cag", array), ("lsh", row), ("job", row)):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(part, name))
        wiring.connect(m, row.events, wiring.flipped(self.events))
        m.d.comb += [row.ctl.eq(self.ppe), self.draining.eq(row.shift[0]),
                     *(to.eq(by) for to, by in zip(array.cacc_x, self.cacc_x)),
                     *(to.eq(by) for to, by in zip(self.hash, row.hash))]
        for j in range(self.cfg.b):
            m.d.comb += [
                array.ap[j].eq(self.ap[j]), array.inject[j].eq(self.inject[j]),
                row.sum[j].eq(array.sum[j]), row.ap_top[j].eq(array.ap_top[j]),
                row.res[j].eq(array.res[j]), array.shift[j].eq(row.shift[j]),
                array.shortcut[j].eq(row.linear[j]), self.sum[j].eq(array.sum[j]),
                *(getattr(self, name)[j].eq(getattr(row, name)[j])
                  for name in ("linear", "score", "out", "out_valid")),
            ]
        return m
