"""Sequencer: it issues the rows of the schedule to the array, one slot a cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import address_width
from gen.cta.lane_commands import LaneCommand, ValueRead
from gen.cta.partial_sum import Inject
from gen.cta.row_descriptor import RowDescriptor
from model.cta.config import CTAConfig
from model.cta.job import LSH, LSH_WIDTH
from model.cta.layout import TraceOp
from model.cta.schedule import Op
from model.cta.timing import load_slots

__all__ = ["Sequencer", "Slot"]


class Slot(data.StructLayout):
    """The work of the array in one cycle.

    At most one of the banks of :class:`gen.cta.lane_commands.LaneCommand` is read, at ``addr``. With
    ``residual`` the row of C1
    is taken from the token, which is ``c1_addr`` + CT1[index]. ``shadow`` reads a value for a later
    stream; ``swap`` comes with the first slot of that stream. ``first``, ``last`` and ``index`` are of
    the stream; ``entry`` is the index within its level. Unless ``part_last`` is set the sums are
    partial and further slices follow. ``bias_cols`` columns take a bias. ``shortcut`` tells that Q goes
    to the value registers after this slot. Where weights stay, ``dim`` is the dimension of column 0,
    ``turn`` tells groups in turn apart, and ``final`` marks the last row of a linear.
    """

    def __init__(self, cfg: CTAConfig):
        stay = cfg.program.weights_stay
        super().__init__({
            "op": Op, "stream": 1, "first": 1, "last": 1, "final": 1, "swap": 1, "shortcut": 1,
            "index": range(max(cfg.n, cfg.keys + 1, cfg.d, cfg.b) + 1),
            **dict.fromkeys(LaneCommand.banks(cfg), 1), "residual": 1,
            **({"centroid": 1, "counted": 1, "turn": 1, "dim": range(cfg.d)} if stay else {}),
            "addr": address_width(cfg.bank_depth), "c1_addr": address_width(cfg.value_depth),
            "shadow": ValueRead(cfg),
            "inject": Inject, "bias_cols": range(cfg.b + 1),
            "lsh": LSH_WIDTH, "hpass": cfg.pass_width, "part_last": 1, "level2": 1, "zero": 1,
            "entry": range(max(2, cfg.entries, cfg.k2)),
            "cols": range(cfg.b + 1),
        })


class Sequencer(wiring.Component):
    """Turns a row into its slots: value load, stream, pause.

    A row that loads values is taken while the one before it streams, and loads them behind it; it
    streams when both are through. Other rows are taken in the last slot of the row before. So rows
    follow each other without a gap where the load is no longer than the stream (Fig. 10: rule a and d
    cost nothing, c the pause for the shortcut; b, which costs the paper the b cycles of a value load,
    only without ``cfg.ahead``). With no row at hand slots stay empty.

    Timing: a row without a load that is taken in cycle c has its first slot in c+1. A load begins in the
    cycle after its row was taken, but b-1 slots after the first slot of the values before, which take as
    long to pass from column to column, and that of Q not beside scores, whose K lies in the same bank.

    Source: Sec. V-B, Fig. 10. The shortcut pauses 3 cycles instead of 1, since operand, product and
    PPE result are registered. The second value registers are ours, and so are weights that stay.

    Members
    -------
    rows : Stream of rows from the schedule. Payload ``RowDescriptor``.
    stop : The rows under way are dropped.
    turn : Parity of this cycle. A hash begins in one that differs in it from its first token.
    slot : Work for the array in this cycle. Its ``op`` is 0 in an empty slot.
    busy : A row is under way.
    activity : What the array does, for the trace. As :class:`model.cta.layout.TraceOp`.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({"rows": In(stream.Signature(RowDescriptor(cfg))), "stop": In(1),
                          "turn": In(1),
                          "slot": Out(Slot(cfg)), "busy": Out(1), "activity": Out(TraceOp)})

    def elaborate(self, platform):
        m = Module()
        cfg, slot = self.cfg, self.slot
        row, busy, pausing = Signal(RowDescriptor(cfg)), Signal(), Signal()
        ahead, loading = Signal(RowDescriptor(cfg)), Signal()
        index = Signal.like(slot.index)
        m.d.comb += self.busy.eq(busy | loading)

        # The row under way.
        last, row_end, free = Signal(), Signal(), Signal()
        m.d.comb += [last.eq(index + 1 == Mux(pausing, row.pad, row.length)),
                     row_end.eq(busy & last & (pausing | (row.pad == 0))), free.eq(~busy | row_end)]
        with m.If(busy):
            m.d.sync += index.eq(index + 1)
            with m.If(last):
                m.d.sync += [index.eq(0), pausing.eq(1)]
            with m.If(row_end):
                m.d.sync += busy.eq(0)

        # The row that loads, until it moves on. It waits for its turn, and no other passes it.
        moves, taken = Signal(), Signal()
        # C0 lies beside K: the first queries but one are loaded behind the first scores.
        beside = busy & (row.op == Op.SCORE) & (ahead.op == Op.Q)
        issues, loaded = self._load(m, ahead, loading & ~beside, moves)
        offer = self.rows.payload
        m.d.comb += [moves.eq(loading & loaded & free & self._fits(ahead)),
                     taken.eq(self.rows.valid & self.rows.ready),
                     self.rows.ready.eq(Mux(offer.load & cfg.ahead, ~loading | moves,
                                             free & ~loading & (offer.load | self._fits(offer))))]
        with m.If(moves):
            m.d.sync += [row.eq(ahead), busy.eq(1), index.eq(0), pausing.eq(0), loading.eq(0)]
        with m.If(taken & offer.load):
            m.d.sync += [ahead.eq(offer), loading.eq(1)]
        with m.If(taken & ~offer.load):
            m.d.sync += [row.eq(offer), busy.eq(1), index.eq(0), pausing.eq(0)]
        with m.If(self.stop):
            m.d.sync += [busy.eq(0), loading.eq(0)]

        self._stream(m, row, busy & ~pausing, index, last)
        m.d.comb += slot.op.eq(Mux(busy, row.op, Mux(issues, ahead.op, 0)))
        with m.If(busy & pausing):
            m.d.comb += self.activity.eq(TraceOp.PAUSE)
        with m.Elif(busy):
            m.d.comb += self.activity.eq(row.op)
        with m.Elif(issues):
            m.d.comb += self.activity.eq(TraceOp.LOAD)
        with m.Else():
            m.d.comb += self.activity.eq(TraceOp.IDLE)
        return m

    def _fits(self, row):
        """Whether a row may begin in the next cycle: CACC has the tokens of the other parity
        (docs/decisions/0026-ports.md)."""
        odd = row.odd if self.cfg.program.fast else 0
        return (row.op != Op.HASH) | (row.addr[0] ^ odd == self.turn)

    def _load(self, m, ahead, loading, moves):
        """The reads of a load, column b-1 first. Whether one is issued, and whether it is the last or
        all have been."""
        b, read = self.cfg.b, self.slot.shadow
        slots = load_slots(self.cfg)
        step, done = Signal(range(max(2, slots))), Signal()
        since = Signal(range(b))              # slots until the values before have reached all columns
        issues, ends = Signal(), Signal()
        m.d.comb += [issues.eq(loading & ~done & (since == 0)), ends.eq(issues & (step == slots - 1))]
        with m.If(since != 0):
            m.d.sync += since.eq(since - 1)
        with m.If(issues):
            m.d.sync += step.eq(step + 1)
        with m.If(ends):
            m.d.sync += [step.eq(0), done.eq(1)]
        with m.If(moves):
            m.d.sync += [done.eq(0), since.eq(b - 1)]
        with m.If(self.stop):
            m.d.sync += [step.eq(0), done.eq(0), since.eq(0)]

        column = Signal(range(max(2, b)))
        number = Signal.like(ahead.batch)     # hash function, centroid row, dimension or query of that column
        exists = issues & (number < ahead.rows)
        m.d.comb += number.eq(ahead.batch + column)
        if self.cfg.program.fast:
            self._load_pairs(m, ahead, step, issues, column, exists)
            return issues, ends | done
        m.d.comb += [column.eq(b - 1 - step), read.push.eq(issues)]
        if self.cfg.program.weights_stay:
            m.d.comb += [read.addr.eq(ahead.load_addr + column),
                         read.query.eq(exists & (ahead.op == Op.SCORE)),
                         read.weight.eq(exists & (ahead.op != Op.SCORE))]
            return issues, ends | done
        keys = (ahead.op == Op.K) | (ahead.op == Op.V)
        second = keys & (number >= ahead.split)
        m.d.comb += [
            read.addr.eq(Mux(second, ahead.load_c2, ahead.load_addr) + column),
            read.weight.eq(exists & (ahead.op == Op.HASH)),
            read.token.eq(exists & (ahead.op != Op.HASH) & ahead.exact),
            read.value.eq(exists & keys & ~ahead.exact),
            read.key.eq(exists & (ahead.op == Op.Q) & ~ahead.exact)]
        return issues, ends | done

    def _load_pairs(self, m, ahead, step, issues, column, exists):
        """The reads of a load with fast products: two a column, the second slice before the first. A value
        is pushed two cycles after it is read, less the next one of its slice."""
        b, d, read = self.cfg.b, self.cfg.d, self.slot.shadow
        reads, first = step < 2 * b, step[0]
        pair = (ahead.op == Op.K) | (ahead.op == Op.V) | (ahead.op == Op.Q)
        weighs = pair | (ahead.op == Op.HASH)
        m.d.comb += [
            column.eq(b - 1 - (step >> 1)), read.push.eq(issues & (step >= 2)), read.less.eq(pair),
            read.addr.eq(ahead.load_addr + column + Mux(pair & ~first, d, 0)),
            read.query.eq(exists & reads & first & (ahead.op == Op.SCORE)),
            read.weight.eq(exists & reads & weighs & (first | pair))]

    def _stream(self, m, row, streaming, index, last):
        """The operands of a row, and what becomes of their sums."""
        slot, b = self.slot, self.cfg.b
        level2 = index >= row.split
        m.d.comb += [
            slot.stream.eq(streaming), slot.index.eq(index), slot.first.eq(streaming & (index == 0)),
            slot.swap.eq(slot.first & row.load), slot.last.eq(streaming & last),
            slot.lsh.eq(row.lsh), slot.hpass.eq(row.hpass), slot.part_last.eq(row.part_last),
            slot.cols.eq(row.cols), slot.addr.eq(row.addr + index), slot.c1_addr.eq(row.c1_addr),
            slot.final.eq(row.final),
        ]
        stay, row_at = self.cfg.program.weights_stay, row.addr + index
        if self.cfg.program.fast:     # slices of a token lie side by side, in the other order if it is odd
            with m.If(row.op == Op.HASH):
                m.d.comb += slot.addr.eq(Cat(row_at[0] ^ row.odd, row_at))
        if stay:
            m.d.comb += [slot.dim.eq(row.batch), slot.turn.eq(row.turn)]
            self._stream_rows(m, row, streaming, index, level2)
        with m.Switch(row.op):
            with m.Case(Op.HASH):
                m.d.comb += [slot.token.eq(streaming),
                             slot.residual.eq(streaming & (row.lsh == LSH.RESIDUAL)),
                             slot.inject.eq(Mux(row.part_first, Inject.ZERO, Inject.PARTIAL))]
            if not stay:
                with m.Case(Op.K, Op.V):
                    # A V bias goes to level 1 alone: the probabilities of each level sum to one.
                    of_c1 = Mux(row.split > row.batch, row.split - row.batch, 0)
                    m.d.comb += [slot.weight.eq(streaming),
                                 slot.inject.eq(Mux(row.part_first, Mux(row.op == Op.V, Inject.BIAS,
                                                                        Inject.ZERO), Inject.PARTIAL)),
                                 slot.bias_cols.eq(Mux(of_c1 < b, of_c1, b))]
                with m.Case(Op.Q):
                    m.d.comb += [slot.weight.eq(streaming), slot.shortcut.eq(slot.last & row.part_last),
                                 slot.inject.eq(Mux(row.part_first, Inject.BIAS, Inject.PARTIAL)),
                                 slot.bias_cols.eq(b)]
            with m.Case(Op.SCORE):
                m.d.comb += [slot.zero.eq(row.exact & slot.last), slot.level2.eq(level2),
                             slot.key.eq(streaming & ~slot.zero)]
            with m.Case(Op.OUT):
                m.d.comb += [slot.value.eq(streaming), slot.level2.eq(level2),
                             slot.entry.eq(Mux(level2, index - row.split, index))]

    def _stream_rows(self, m, row, streaming, index, level2):
        """The operands of a linear whose weights stay: centroids, or tokens in their format."""
        slot, fast = self.slot, self.cfg.program.fast
        queries = (row.op == Op.Q) | (row.op == Op.ALPHA) & (row.lsh == LSH.QUERY)
        linear = (row.op == Op.K) | (row.op == Op.V) | (row.op == Op.Q)
        with m.If(linear | (row.op == Op.ALPHA if fast else 0)):
            m.d.comb += [slot.token.eq(streaming & row.exact), slot.centroid.eq(row.exact),
                         slot.counted.eq(streaming & row.counted), slot.inject.eq(Inject.PARTIAL)]
            with m.If(row.part_first):
                m.d.comb += slot.inject.eq(Mux((row.op == Op.K) | (row.op == Op.V) & level2
                                               | (row.op == Op.ALPHA), Inject.ZERO, Inject.BIAS))
            with m.If(queries):
                m.d.comb += slot.key.eq(streaming & ~row.exact)
            with m.Else():
                m.d.comb += slot.value.eq(streaming & ~row.exact)
            at = Mux(~queries & level2, row.load_c2, row.addr) + index
            if fast:
                at = Cat(at[0] & row.exact, at)
            m.d.comb += slot.addr.eq(at)
