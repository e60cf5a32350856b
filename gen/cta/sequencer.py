"""Sequencer: it issues the rows of the schedule to the array, one slot a cycle."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import address_width
from gen.cta.partial_sum import Inject
from gen.cta.schedule import RowDescriptor
from model.cta.config import CTAConfig
from model.cta.job import LSH, LSH_WIDTH
from model.cta.layout import TraceOp
from model.cta.schedule import Op

__all__ = ["Sequencer", "Slot"]


class Phase(enum.Enum, shape=2):
    """Part of a row."""

    LOAD = 0      # value registers, column b-1 first
    STREAM = 1
    PAUSE = 2     # shortcut, or a hazard between slices


class Slot(data.StructLayout):
    """The work of the array in one cycle.

    At most one of ``token, weight, key, value`` is read, at ``addr``. With ``residual`` the row of C1
    is taken from the token, which is ``c1_addr`` + CT1[index]; with ``centroid`` the token is brought
    to the format of a centroid. ``load_last`` ends a
    value load. ``first``, ``last`` and ``index`` are of the stream; ``entry`` is the index within
    its level. Unless ``part_last`` is set the sums are partial and further slices follow.
    ``bias_cols`` columns take a bias. ``shortcut`` tells that Q goes to the value registers after
    this slot.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({
            "op": Op, "stream": 1, "first": 1, "last": 1, "load_last": 1, "shortcut": 1,
            "index": range(max(cfg.n, cfg.keys + 1, cfg.d, cfg.b) + 1),
            "token": 1, "weight": 1, "key": 1, "value": 1, "residual": 1, "centroid": 1,
            "addr": address_width(cfg.bank_depth), "c1_addr": address_width(cfg.key_depth),
            "inject": Inject, "bias_cols": range(cfg.b + 1),
            "lsh": LSH_WIDTH, "hpass": cfg.pass_width, "part_last": 1, "level2": 1, "zero": 1,
            "entry": range(max(2, cfg.entries, cfg.k2)),
            "cols": range(cfg.b + 1),
        })


class Sequencer(wiring.Component):
    """Turns a row into its slots: value load, stream, pause.

    The next row is taken in the last slot of the one before, so that rows follow each other without
    a gap (Fig. 10: rule a costs nothing, b the b cycles of the value load, c the pause for the
    shortcut, d nothing). With no row at hand slots stay empty.

    Timing: a row taken in cycle c has its first slot in c+1.

    Source: Sec. V-B, Fig. 10. The shortcut pauses 3 cycles instead of 1, since operand, product and
    PPE result are registered.

    Members
    -------
    rows : Stream of rows from the schedule. Payload ``RowDescriptor``.
    stop : The row under way is dropped.
    slot : Work for the array in this cycle. Its ``op`` is 0 in an empty slot.
    busy : A row is under way.
    activity : What the array does, for the trace. As :class:`model.cta.layout.TraceOp`.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({"rows": In(stream.Signature(RowDescriptor(cfg))), "stop": In(1),
                          "slot": Out(Slot(cfg)), "busy": Out(1), "activity": Out(TraceOp)})

    def elaborate(self, platform):
        m = Module()
        cfg, slot, b = self.cfg, self.slot, self.cfg.b
        row, busy, phase = Signal(RowDescriptor(cfg)), Signal(), Signal(Phase)
        index = Signal.like(slot.index)
        m.d.comb += self.busy.eq(busy)

        # Phases of the row under way.
        loading = busy & (phase == Phase.LOAD)
        streaming = busy & (phase == Phase.STREAM)
        last, row_end = Signal(), Signal()
        with m.Switch(phase):
            with m.Case(Phase.LOAD):
                m.d.comb += last.eq(index == b - 1)
            with m.Case(Phase.STREAM):
                m.d.comb += [last.eq(index + 1 == row.length), row_end.eq(last & (row.pad == 0))]
            with m.Case(Phase.PAUSE):
                m.d.comb += [last.eq(index + 1 == row.pad), row_end.eq(last)]
        with m.If(busy):
            m.d.sync += index.eq(index + 1)
            with m.If(last):
                m.d.sync += [index.eq(0),
                             phase.eq(Mux(phase == Phase.LOAD, Phase.STREAM, Phase.PAUSE))]
            with m.If(row_end):
                m.d.sync += busy.eq(0)
        m.d.comb += self.rows.ready.eq(~busy | row_end)
        with m.If(self.rows.valid & self.rows.ready):
            m.d.sync += [row.eq(self.rows.payload), busy.eq(1), index.eq(0),
                         phase.eq(Mux(self.rows.payload.load, Phase.LOAD, Phase.STREAM))]
        with m.If(self.stop):
            m.d.sync += busy.eq(0)

        # The slot. In a value load slot q carries the value of column b-1-q.
        column = Signal(range(max(2, b)))
        number = Signal.like(row.batch)      # hash function or centroid row of that column
        m.d.comb += [column.eq(b - 1 - index), number.eq(row.batch + column)]
        exists = loading & (number < row.rows)
        second = ((row.op == Op.K) | (row.op == Op.V)) & (number >= row.split)
        level2 = index >= row.split
        m.d.comb += [
            slot.op.eq(Mux(busy, row.op, 0)), slot.stream.eq(streaming), slot.index.eq(index),
            slot.first.eq(streaming & (index == 0)), slot.last.eq(streaming & last),
            slot.load_last.eq(loading & last), slot.lsh.eq(row.lsh), slot.hpass.eq(row.hpass),
            slot.part_last.eq(row.part_last), slot.cols.eq(row.cols),
            slot.addr.eq(Mux(loading, Mux(second, row.load_c2, row.load_addr) + column,
                             row.addr + index)),
            slot.c1_addr.eq(row.c1_addr),
        ]
        with m.Switch(row.op):
            with m.Case(Op.HASH):
                m.d.comb += [slot.weight.eq(exists), slot.token.eq(streaming),
                             slot.residual.eq(streaming & (row.lsh == LSH.RESIDUAL)),
                             slot.inject.eq(Mux(row.part_first, Inject.ZERO, Inject.PARTIAL))]
            with m.Case(Op.K, Op.V):
                # A V bias goes to level 1 alone: the probabilities of each level sum to one.
                of_c1 = Mux(row.split > row.batch, row.split - row.batch, 0)
                m.d.comb += [slot.key.eq(exists & ~row.exact), slot.token.eq(exists & row.exact),
                             slot.centroid.eq(exists & row.exact), slot.weight.eq(streaming),
                             slot.inject.eq(Mux(row.part_first, Mux(row.op == Op.V, Inject.BIAS,
                                                                    Inject.ZERO), Inject.PARTIAL)),
                             slot.bias_cols.eq(Mux(of_c1 < b, of_c1, b))]
            with m.Case(Op.Q):
                m.d.comb += [slot.value.eq(exists & ~row.exact), slot.token.eq(exists & row.exact),
                             slot.centroid.eq(exists & row.exact), slot.weight.eq(streaming),
                             slot.shortcut.eq(slot.last & row.part_last),
                             slot.inject.eq(Mux(row.part_first, Inject.BIAS, Inject.PARTIAL)),
                             slot.bias_cols.eq(b)]
            with m.Case(Op.SCORE):
                m.d.comb += [slot.zero.eq(row.exact & slot.last), slot.level2.eq(level2),
                             slot.key.eq(streaming & ~slot.zero)]
            with m.Case(Op.OUT):
                m.d.comb += [slot.value.eq(streaming), slot.level2.eq(level2),
                             slot.entry.eq(Mux(level2, index - row.split, index))]

        with m.If(~busy):
            m.d.comb += self.activity.eq(TraceOp.IDLE)
        with m.Elif(phase == Phase.PAUSE):
            m.d.comb += self.activity.eq(TraceOp.PAUSE)
        with m.Elif(phase == Phase.LOAD):
            m.d.comb += self.activity.eq(TraceOp.LOAD)
        with m.Else():
            m.d.comb += self.activity.eq(row.op)
        return m
