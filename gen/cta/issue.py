"""Issue: it spreads a slot over the cycles in which the edges of the array need its parts."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import address_width
from gen.blocks.pipeline import delay
from gen.cta.lane_commands import LaneCommand
from gen.cta.partial_sum import AlphaRead, Inject, InjectControl, PartialSumWrite
from gen.cta.ppe import PPEOp
from gen.cta.ppe_row import PPEControl
from gen.cta.sequencer import Slot
from model.cta.config import CTAConfig
from model.cta.job import LSH
from model.cta.schedule import Op
from model.cta.timing import ap_latency, issue_delay, shortcut_pause, slice_interval, top_latency

__all__ = ["Issue"]

PPE_OP = {op: PPEOp[op.name] for op in Op if op is not Op.ALPHA}


class Issue(wiring.Component):
    """Delays the parts of a slot until the left, bottom and top edge of the array need them.

    The edges see a slot at different times. The pulse of the shortcut follows the last weight by
    ``shortcut_pause`` cycles and one.

    Timing (I: cycle of the slot; D = ``issue_delay``; X = I+D+2): ``ct_en`` asks in I+D-2 for the
    cluster of a residual, which answers in I+D-1. The command reaches lane 0 in I+D and its x the
    array in X. ``bias_en`` asks in X-1, and ``inject`` of X enters with that x. ``ap_en`` comes
    ``ap_latency`` cycles before X, so that AP comes in X. ``partial`` comes with the sum of
    column 0, in I + ``top_latency``, and ``ppe`` a cycle earlier. There is no back-pressure.

    Source: Sec. IV-B(1) for the skew of the array; the spread of control over it is ours.

    Members
    -------
    slot : The slot of this cycle.
    cmd : Command for lane 0.
    weights_next : The command of the next cycle reads the weight bank.
    ct_en : The cluster of a token is asked for, for its residual.
    ct_addr : Token whose cluster is asked for.
    ct1 : Cluster of that token in LSH1, one cycle after ``ct_en``.
    bias_en : A bias is asked for.
    bias_v : The bias asked for is one of V, else of Q.
    bias_addr : Dimension of the bias asked for. Where weights stay, that of column 0 in X-1 and one more
        in each of the b-1 cycles behind it.
    inject : What enters the bottom of column 0; its ``bias`` comes from elsewhere in this cycle.
    ap_en : An AP is asked for.
    ap_last : The AP asked for is the last of the batch.
    ap_level2 : The AP asked for is of level 2.
    ap_entry : Index of the AP asked for, within its level.
    ppe : What the sum at the top of column 0 is in the next cycle.
    alpha : Asks for the alpha of the row whose ``inject`` comes next. Only with fast products, where biases
        and betas are asked for two cycles earlier than said above, for all groups.
    bias_k : The beta asked for is one of K. Only with fast products.
    partial : Whether the sum at the top of column 0 is kept for the next slice, and where.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "slot": In(Slot(cfg)), "cmd": Out(LaneCommand(cfg)), "weights_next": Out(1),
            "ct_en": Out(1), "ct_addr": Out(cfg.token_id_width), "ct1": In(cfg.token_id_width),
            "bias_en": Out(1), "bias_v": Out(1), "bias_addr": Out(address_width(cfg.d)),
            "inject": Out(InjectControl(cfg)),
            "ap_en": Out(1), "ap_last": Out(1), "ap_level2": Out(1),
            "ap_entry": Out(range(max(2, cfg.entries, cfg.k2))),
            "ppe": Out(PPEControl(cfg)), "partial": Out(PartialSumWrite(cfg)),
            **({"alpha": Out(AlphaRead(cfg)), "bias_k": Out(1)} if cfg.program.fast else {}),
        })

    def elaborate(self, platform):
        m = Module()
        cfg, slot = self.cfg, self.slot
        wait = issue_delay(cfg)

        # Residuals need the cluster of the token first.
        early = self._later(m, slot, wait - 2, reset=True)
        m.d.comb += [self.ct_en.eq(early.residual), self.ct_addr.eq(early.index)]
        known = self._later(m, early, 1, reset=True)
        cmd = self.cmd
        streams = 0 if cfg.program.weights_stay else known.weight
        m.d.comb += self.weights_next.eq(streams | known.shadow.weight)
        m.d.sync += [
            *(cmd[name].eq(known[name]) for name in cmd.shape().members
              if name not in ("c1_addr", "pe")),
            cmd.c1_addr.eq(known.c1_addr + Mux(known.residual, self.ct1 << cfg.program.fast, 0)),
            *([cmd.pe.pair.eq(known.stream & (self._linear(known) | (known.op == Op.ALPHA)))]
              if cfg.program.fast else []),
            cmd.pe.df2.eq((known.op == Op.OUT) & known.stream), cmd.pe.first.eq(known.first),
            cmd.pe.sc.eq(delay(m, known.shortcut, shortcut_pause(cfg) + 1, reset=True)),
            cmd.pe.swap.eq(known.swap),
        ]

        # AP meets the x of its command.
        ap = self._later(m, slot, wait + 2 - ap_latency(cfg), reset=True)
        m.d.comb += [self.ap_en.eq((ap.op == Op.OUT) & ap.stream),
                     self.ap_last.eq((ap.op == Op.OUT) & ap.last),
                     self.ap_level2.eq(ap.level2), self.ap_entry.eq(ap.entry)]

        # Bottom: partial sums of K and V, and of Q or the hash, have rows of their own.
        before = self._later(m, known, 2, reset=True)      # a cycle before X
        below = self._later(m, before, 1, reset=True)
        stay = cfg.program.weights_stay
        second = below.turn if stay else below.op == Op.V     # what has partial sums behind the first
        partial = below.index + Mux(second, slice_interval(cfg) if stay else cfg.d, 0)
        m.d.comb += [self.inject.kind.eq(Mux(below.stream, below.inject, Inject.ZERO)),
                     self.inject.addr.eq(partial)]
        if cfg.program.fast:
            begins = self._begins(before)
            m.d.comb += [self.inject.begins.eq(self._begins(below)), self.alpha.en.eq(begins),
                         self.alpha.addr.eq(self._row(before))]
            self._ask_biases(m, known, known.first & self._begins(known))
            m.d.comb += self.inject.first.eq(below.first)
        elif stay:
            self._ask_biases(m, before, before.first & (before.inject == Inject.BIAS))
            m.d.comb += self.inject.first.eq(below.first)
        else:
            m.d.comb += [self.bias_en.eq(before.stream & (before.inject == Inject.BIAS)),
                         self.bias_v.eq(before.op == Op.V), self.bias_addr.eq(before.index),
                         self.inject.cols.eq(below.bias_cols)]

        # Top: what becomes of the sum.
        rest = top_latency(cfg) - wait - 2
        result = data.StructLayout({"ppe": PPEControl(cfg), "partial": PartialSumWrite(cfg)})
        fate = Signal(result)
        stays = below.stream & ~below.part_last & (below.op != Op.SCORE) & (below.op != Op.OUT)
        m.d.comb += [
            *(getattr(fate.ppe, name).eq(getattr(below, name))
              for name in ("lsh", "hpass", "first", "last", "level2", "zero", "cols")),
            fate.partial.en.eq(stays),
            fate.partial.addr.eq(partial),
        ]
        if cfg.program.fast:
            alpha = below.stream & below.part_last & (below.op == Op.ALPHA)
            m.d.comb += fate.partial.alpha.eq(alpha)
            with m.If(alpha):
                m.d.comb += fate.partial.addr.eq(self._row(below))
        with m.If(stays):
            m.d.comb += fate.ppe.op.eq(PPEOp.PSUM)
        with m.Elif(below.stream):
            with m.Switch(below.op):
                for op, fits in PPE_OP.items():
                    with m.Case(op):
                        m.d.comb += fate.ppe.op.eq(fits)
        early = data.View(result, delay(m, fate.as_value(), rest - 1, reset=True))
        m.d.comb += self.ppe.eq(early.ppe)
        m.d.sync += self.partial.eq(early.partial)
        return m

    @staticmethod
    def _linear(slot):
        return (slot.op == Op.K) | (slot.op == Op.V) | (slot.op == Op.Q)

    def _begins(self, slot):
        """Whether the sum of a linear begins with a slot."""
        return slot.stream & self._linear(slot) & (slot.inject != Inject.PARTIAL)

    def _row(self, slot):
        """The alpha of a slot: those of queries lie behind those of keys."""
        queries = (slot.op == Op.Q) | (slot.op == Op.ALPHA) & (slot.lsh == LSH.QUERY)
        return slot.index + Mux(queries, self.cfg.keys, 0)

    def _ask_biases(self, m, before, asks):
        """Where weights stay: the biases of a group, one a cycle from its first slot on, which ``asks``."""
        begins, column = Signal(), Signal(range(self.cfg.b + 1))
        v, addr = Signal(), Signal.like(self.bias_addr)
        if self.cfg.program.fast:
            k = Signal()
            m.d.comb += self.bias_k.eq(Mux(begins, before.op == Op.K, k))
            with m.If(self.bias_en):
                m.d.sync += k.eq(self.bias_k)
        m.d.comb += [begins.eq(asks),
                     self.bias_en.eq(begins | (column != 0)),
                     self.bias_v.eq(Mux(begins, before.op == Op.V, v)),
                     self.bias_addr.eq(Mux(begins, before.dim, addr))]
        with m.If(self.bias_en):
            m.d.sync += [addr.eq(self.bias_addr + 1), v.eq(self.bias_v),
                         column.eq(Mux(begins, 1, column + 1))]
        with m.If(~begins & (column == self.cfg.b - 1)):
            m.d.sync += column.eq(0)

    def _later(self, m, slot, cycles, reset=False):
        return data.View(Slot(self.cfg), delay(m, slot, cycles, reset=reset))
