"""Systolic array: d rows of PEs, b columns and the spares of CAG."""

from amaranth.hdl import Module, Mux, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.cta.pe import PE, PEControl
from gen.emit import place
from gen.fixed import shape

__all__ = ["SystolicArray", "SystolicRow"]


class SystolicRow(wiring.Component):
    """One row of PEs: operand and control go right, sums, values and results go up.

    CAG borrows the PEs of two columns that the hash leaves free. The multiplexers sit in front of
    them, so that there is one PE module. A borrowed PE gets its value by ``svc``: the constant 1
    for CACC, the reciprocal for CAVG. PEs b and up exist where the hash leaves fewer than two
    columns; they do nothing else. A row is a module because all rows are equal, and no larger
    part is.

    Timing, numerics and source: :class:`SystolicArray`, :class:`gen.cta.pe.PE`.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    x, ctl, latch : from the left; ``latch`` reaches all PEs at once
    ap_in[b], sum_in[b], res_in[b] / ap_out[b], sum_out[b], res_out[b] : from and to the next row
    shortcut[b], shift[b] : one a column
    cacc_en, cacc_x, cacc_acc / cacc_sum; cavg_en, cavg_x, cavg_value / cavg_sum : for CAG
    """

    module_name = "cta_systolic_row"

    def __init__(self, cfg):
        b = cfg.b
        left, value, acc = shape(cfg.left), shape(cfg.value), shape(cfg.acc)
        csum, mean = shape(cfg.csum), signed(cfg.left.width + cfg.value.width)
        super().__init__({
            "x": In(left), "ctl": In(PEControl), "latch": In(1),
            "ap_in": In(shape(cfg.fmt.ap)).array(b), "sum_in": In(acc).array(b),
            "res_in": In(acc).array(b),
            "shortcut": In(shape(cfg.fmt.qkv)).array(b), "shift": In(1).array(b),
            "ap_out": Out(shape(cfg.fmt.ap)).array(b), "sum_out": Out(acc).array(b),
            "res_out": Out(acc).array(b),
            "cacc_en": In(1), "cacc_x": In(left), "cacc_acc": In(csum), "cacc_sum": Out(csum),
            "cavg_en": In(1), "cavg_x": In(left), "cavg_value": In(value), "cavg_sum": Out(mean),
        })
        self.cfg = cfg

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        pes = [PE(cfg) for _ in range(cfg.columns)]
        lent = {cfg.cacc_column: (self.cacc_en, self.cacc_x, 1, self.cacc_acc),
                cfg.cavg_column: (self.cavg_en, self.cavg_x, self.cavg_value, 0)}
        for j, pe in enumerate(pes):
            m.submodules[f"pe_{j}"] = place(platform, pe)
            x = ctl = total = value = 0
            if j < cfg.b:
                x = self.x if j == 0 else pes[j - 1].x_out
                ctl = self.ctl if j == 0 else pes[j - 1].ctl_out
                total, value = self.sum_in[j], self.shortcut[j]
                m.d.comb += [
                    pe.latch.eq(self.latch), pe.shift.eq(self.shift[j]),
                    pe.ap_in.eq(self.ap_in[j]), pe.res_in.eq(self.res_in[j]),
                    self.ap_out[j].eq(pe.ap_out), self.sum_out[j].eq(pe.sum_out),
                    self.res_out[j].eq(pe.res_out),
                ]
            if j in lent:
                en, x_lent, value_lent, total_lent = lent[j]
                # The addend comes two cycles after its operand; for that sum alone it is lent.
                adds = delay(m, en, 2, reset=True)
                x, value = Mux(en, x_lent, x), Mux(en, value_lent, value)
                total = Mux(adds, total_lent, total)
                # A borrowed cycle is of dataflow 1, whatever control passes by.
                ctl = Mux(en, 0, Value.cast(ctl))
                m.d.comb += pe.svc.eq(en)
            m.d.comb += [pe.x_in.eq(x), pe.ctl_in.eq(ctl), pe.sum_in.eq(total),
                         pe.shortcut.eq(value)]
        m.d.comb += [self.cacc_sum.eq(pes[cfg.cacc_column].sum_out),
                     self.cavg_sum.eq(pes[cfg.cavg_column].sum_out)]
        return m


class SystolicArray(wiring.Component):
    """``sum[j] = inject[j] + sum over rows i of x[i] * value[i][j]``, a result a column a cycle.

    In dataflow 2 each PE (i, j) sums x[i] * ap[j] over the cycles instead. Row 0 is at the
    bottom.

    CAG borrows one column as d adders (CACC: acc + x) and one as d multipliers (CAVG: x * value).

    Timing (X: cycle in which ``x[0]`` gives the operand to column 0; row i in X+i, its ``ctl``
    with it): ``ap[j]`` in X+j, ``inject[j]`` in X+2+j, ``sum[j]`` in X+d+2+j, ``ap_top[j]`` in
    X+d+j.
    Values: those of columns b-1..0 enter row i as ``x[i]`` in b consecutive cycles, ``latch[i]``
    in the next, which may carry the first operand. ``ctl[i].sc`` in cycle c makes PE (i, j) take
    ``shortcut[j]`` of cycle c+j. The results of column j are final in X'+d+2+j, X' the X of the
    last operand; ``res[j]`` shows row d-1, and with each ``shift[j]`` the next row below, which
    comes with zeros behind it.
    Borrowed: ``cacc_x``, ``cavg_x``, ``cavg_value`` with their ``_en`` in cycle c, ``cacc_acc``
    in c+2, sums in c+3, all rows at once. An operand that comes from the left in a cycle with
    ``_en`` is lost, and so is the value the column held.
    Numerics: exact, see :class:`gen.cta.pe.PE`; golden ``model.cta`` lsh, linear, score, output,
    centroid.
    Source: Sec. IV-B(1), Fig. 7, Fig. 8. CAG's spare columns are ours (docs/decisions).

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    x[d], ctl[d], latch[d] : rows, skewed by one cycle a row
    ap[b], inject[b], shortcut[b], shift[b] : columns, skewed by one cycle a column
    sum[b], ap_top[b], res[b] : the top of the columns
    cacc_en, cacc_x[d], cacc_acc[d] / cacc_sum[d] : ``acc + x``
    cavg_en, cavg_x[d], cavg_value / cavg_sum[d] : ``x * value``
    """

    module_name = "cta_systolic_array"

    def __init__(self, cfg):
        b, d = cfg.b, cfg.d
        left, acc, ap = shape(cfg.left), shape(cfg.acc), shape(cfg.fmt.ap)
        mean = signed(cfg.left.width + cfg.value.width)
        super().__init__({
            "x": In(left).array(d), "ctl": In(PEControl).array(d), "latch": In(1).array(d),
            "ap": In(ap).array(b), "inject": In(acc).array(b),
            "shortcut": In(shape(cfg.fmt.qkv)).array(b), "shift": In(1).array(b),
            "sum": Out(acc).array(b), "ap_top": Out(ap).array(b), "res": Out(acc).array(b),
            "cacc_en": In(1), "cacc_x": In(left).array(d),
            "cacc_acc": In(shape(cfg.csum)).array(d), "cacc_sum": Out(shape(cfg.csum)).array(d),
            "cavg_en": In(1), "cavg_x": In(left).array(d), "cavg_value": In(shape(cfg.value)),
            "cavg_sum": Out(mean).array(d),
        })
        self.cfg = cfg

    def elaborate(self, platform):
        m = Module()
        rows = [SystolicRow(self.cfg) for _ in range(self.cfg.d)]
        for i, row in enumerate(rows):
            m.submodules[f"row_{i}"] = place(platform, row)
            m.d.comb += [
                row.x.eq(self.x[i]), row.ctl.eq(self.ctl[i]), row.latch.eq(self.latch[i]),
                row.cacc_en.eq(self.cacc_en), row.cacc_x.eq(self.cacc_x[i]),
                row.cacc_acc.eq(self.cacc_acc[i]), self.cacc_sum[i].eq(row.cacc_sum),
                row.cavg_en.eq(self.cavg_en), row.cavg_x.eq(self.cavg_x[i]),
                row.cavg_value.eq(self.cavg_value), self.cavg_sum[i].eq(row.cavg_sum),
            ]
            for j in range(self.cfg.b):
                below = rows[i - 1]
                m.d.comb += [
                    row.shortcut[j].eq(self.shortcut[j]), row.shift[j].eq(self.shift[j]),
                    row.sum_in[j].eq(below.sum_out[j] if i else self.inject[j]),
                    row.ap_in[j].eq(below.ap_out[j] if i else self.ap[j]),
                ]
                # Zeros follow the results up from below row 0.
                if i:
                    m.d.comb += row.res_in[j].eq(below.res_out[j])
        for j in range(self.cfg.b):
            m.d.comb += [self.sum[j].eq(rows[-1].sum_out[j]),
                         self.ap_top[j].eq(rows[-1].ap_out[j]),
                         self.res[j].eq(rows[-1].res_out[j])]
        return m
