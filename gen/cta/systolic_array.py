"""Systolic array: it has d rows of PEs, b columns, and the spare columns of CAG."""

from amaranth.hdl import Module, Mux, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.cta.interfaces import BorrowedColumns, LeftEdge
from gen.cta.pe import PE, PEControl
from gen.emit import place
from gen.fixed import shape

__all__ = ["SystolicArray", "SystolicRow"]


class SystolicRow(wiring.Component):
    """One row of PEs: operand and control go right, sums, values and results go up.

    CAG borrows the PEs of two columns that the hash leaves free. The multiplexers sit in front of
    them, so that there is one PE module. A borrowed PE gets its value by ``svc``: the constant 1
    for CACC, the reciprocal for CAVG. PEs b and up exist where the hash leaves fewer than two
    columns; they do nothing else. A row is a module because all rows are equal, and no larger part
    is.

    Timing (c: cycle of ``x``): column j takes the operand in c+j, ``ap_in[j]`` in c+j and
    ``sum_in[j]`` in c+2+j, and shows ``ap_out[j]`` in c+1+j and ``sum_out[j]`` in c+3+j. Borrowed:
    ``cacc_x``, ``cavg_x`` and ``cavg_value`` come with their ``_en``, ``cacc_acc`` two cycles later
    and the sums after three. There is no back-pressure.

    Numerics: exact, as :class:`gen.cta.pe.PE`.

    Source: as :class:`SystolicArray`.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    x : Operand of column 0. Format ``cfg.left``.
    y : Operand of the second slice, with it. Format ``cfg.value``. Only with fast products.
    ctl : Control of that operand, in the same cycle.
    push : The second value registers shift to the right.
    shadow : Value that enters them at column 0. Format ``cfg.value``.
    ap_in[b] : Value of dataflow 2 from the row below. Format ``fmt.ap``.
    sum_in[b] : Running sum from the row below. Format ``cfg.acc``.
    res_in[b] : Result register of the row below. Format ``cfg.acc``.
    shortcut[b] : Value of column j by the shortcut, taken with ``ctl.sc``. Format ``fmt.qkv``.
    shift[b] : The result chain of column j moves up.
    ap_out[b] : Value of dataflow 2 for the row above. Format ``fmt.ap``.
    sum_out[b] : Running sum for the row above. Format ``cfg.acc``.
    res_out[b] : Result register of column j. Format ``cfg.acc``.
    cacc_next : CACC borrows its column in the next cycle.
    cacc_x : Operand of CACC. Format ``cfg.left``.
    cacc_acc : Addend of CACC, two cycles after its operand. Format ``cfg.csum``.
    cacc_sum : Sum of CACC, three cycles after its operand. Format ``cfg.csum``.
    cavg_next : CAVG borrows its column in the next cycle.
    cavg_x : Operand of CAVG. Format ``cfg.left``.
    cavg_value : Factor of CAVG. Format ``cfg.value``.
    cavg_sum : Product of CAVG, three cycles after its operand. As wide as both factors.
    """

    module_name = "cta_systolic_row"

    def __init__(self, cfg):
        b = cfg.b
        left, value, acc = shape(cfg.left), shape(cfg.value), shape(cfg.acc)
        csum, mean = shape(cfg.csum), signed(cfg.left.width + cfg.value.width)
        super().__init__({
            "x": In(left), "ctl": In(PEControl(cfg)), "push": In(1), "shadow": In(value),
            "ap_in": In(shape(cfg.fmt.ap)).array(b), "sum_in": In(acc).array(b),
            "res_in": In(acc).array(b),
            "shortcut": In(shape(cfg.fmt.qkv)).array(b), "shift": In(1).array(b),
            "ap_out": Out(shape(cfg.fmt.ap)).array(b), "sum_out": Out(acc).array(b),
            "res_out": Out(acc).array(b),
            "cacc_next": In(1), "cacc_x": In(left), "cacc_acc": In(csum), "cacc_sum": Out(csum),
            "cavg_next": In(1), "cavg_x": In(left), "cavg_value": In(value), "cavg_sum": Out(mean),
            **({"y": In(value)} if cfg.program.fast else {}),
        })
        self.cfg = cfg

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        pes = [PE(cfg) for _ in range(cfg.columns)]
        # A register in every row, since one for all would drive the control of a whole column.
        adding, multiplying = (delay(m, en, 1, reset=True) for en in (self.cacc_next, self.cavg_next))
        lent = {cfg.cacc_column: (adding, self.cacc_x, 1, self.cacc_acc),
                cfg.cavg_column: (multiplying, self.cavg_x, self.cavg_value, 0)}
        for j, pe in enumerate(pes):
            m.submodules[f"pe_{j}"] = place(platform, pe)
            x = ctl = total = value = 0
            if j < cfg.b:
                x = self.x if j == 0 else pes[j - 1].x_out
                ctl = self.ctl if j == 0 else pes[j - 1].ctl_out
                total, value = self.sum_in[j], self.shortcut[j]
                m.d.comb += [
                    pe.push.eq(self.push), pe.shadow_in.eq(pes[j - 1].shadow_out if j else self.shadow),
                    pe.shift.eq(self.shift[j]),
                    pe.ap_in.eq(self.ap_in[j]), pe.res_in.eq(self.res_in[j]),
                    self.ap_out[j].eq(pe.ap_out), self.sum_out[j].eq(pe.sum_out),
                    self.res_out[j].eq(pe.res_out),
                ]
                if cfg.program.fast:
                    m.d.comb += pe.y_in.eq(pes[j - 1].y_out if j else self.y)
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

    In dataflow 2 each PE (i, j) sums x[i] * ap[j] over the cycles instead. Row 0 is at the bottom.

    CAG borrows one column as d adders (CACC: acc + x) and one as d multipliers (CAVG: x * value).

    Timing (X: cycle in which ``x[0]`` gives the operand to column 0; row i takes its own in X+i,
    with its ``ctl``): ``ap[j]`` enters in X+j and ``inject[j]`` in X+2+j; ``sum[j]`` shows in
    X+d+2+j and ``ap_top[j]`` in X+d+j.
    Values: those of columns b-1..0 enter row i as ``shadow[i]`` in b cycles with ``push[i]``, while
    operands pass; with fast products in 2 b cycles, the second value of a column before its first.
    ``ctl[i].swap`` comes with the first operand of the stream that they are for, in the cycle after the last
    push or later; the next push b-1 cycles after it or later. ``ctl[i].sc`` in cycle c makes PE
    (i, j) take ``shortcut[j]`` of cycle c+j. The results of column j are final in X'+d+2+j, X' the X of the
    last operand. ``res[j]`` then shows row d-1, and with each ``shift[j]`` the next row below, which comes
    with zeros behind it.
    Borrowed: ``cacc_x``, ``cavg_x``, ``cavg_value`` come in cycle c, the one after their ``_next``,
    ``cacc_acc`` in c+2, and the sums in c+3, all rows at once. An operand that comes from the left
    in cycle c is lost, and so is the value that the column held. There is no
    back-pressure.

    Numerics: exact, as :class:`gen.cta.pe.PE`; golden ``model.cta`` lsh, linear, score, output,
    centroid.

    Source: Sec. IV-B(1), Fig. 7, Fig. 8. CAG's spare columns are ours (docs/decisions).

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    left : Operands and control of the rows, those of row i in X+i.
    ap[b] : Value of dataflow 2 into column j from below, in X+j. Format ``fmt.ap``.
    inject[b] : What the sum of column j starts with, in X+2+j. Format ``cfg.acc``.
    shortcut[b] : Value of column j by the shortcut. Format ``fmt.qkv``.
    shift[b] : The result chain of column j moves up.
    sum[b] : Sum of column j at the top, in X+d+2+j. Format ``cfg.acc``.
    ap_top[b] : Value of dataflow 2 at the top of column j, in X+d+j. Format ``fmt.ap``.
    res[b] : Result register at the top of column j. Format ``cfg.acc``.
    cag : Use of the borrowed columns.
    cacc_x[d] : Operand of CACC in lane i, in the cycle after ``cag.cacc_next``. Format ``cfg.left``.
    """

    module_name = "cta_systolic_array"

    def __init__(self, cfg):
        b, d = cfg.b, cfg.d
        left, acc, ap = shape(cfg.left), shape(cfg.acc), shape(cfg.fmt.ap)
        super().__init__({
            "left": In(LeftEdge(cfg)), "cag": In(BorrowedColumns(cfg)), "cacc_x": In(left).array(d),
            "ap": In(ap).array(b), "inject": In(acc).array(b),
            "shortcut": In(shape(cfg.fmt.qkv)).array(b), "shift": In(1).array(b),
            "sum": Out(acc).array(b), "ap_top": Out(ap).array(b), "res": Out(acc).array(b),
        })
        self.cfg = cfg

    def elaborate(self, platform):
        m = Module()
        left, cag = self.left, self.cag
        rows = [SystolicRow(self.cfg) for _ in range(self.cfg.d)]
        for i, row in enumerate(rows):
            m.submodules[f"row_{i}"] = place(platform, row)
            m.d.comb += [
                row.x.eq(left.x[i]), row.ctl.eq(left.ctl[i]), row.push.eq(left.push[i]),
                row.shadow.eq(left.shadow[i]), *([row.y.eq(left.y[i])] if self.cfg.program.fast else []),
                row.cacc_next.eq(cag.cacc_next), row.cacc_x.eq(self.cacc_x[i]),
                row.cacc_acc.eq(cag.cacc_acc[i]), cag.cacc_sum[i].eq(row.cacc_sum),
                row.cavg_next.eq(cag.cavg_next), row.cavg_x.eq(cag.cavg_x[i]),
                row.cavg_value.eq(cag.cavg_value), cag.cavg_sum[i].eq(row.cavg_sum),
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
