"""Loader: it brings weights, biases, shifts and internal tables from the host to the blocks."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.lookup.words import BEAT, LoadCommand
from model.lookup.config import LookupConfig
from model.lookup.layout import Parameter, Target, shift_rows, table_parts
from model.lookup.weight_layout import weight_beats

__all__ = ["Loader"]


class Loader(wiring.Component):
    """Takes a load command and its beats, one a cycle; ``en[t]`` marks a beat of target t.

    Beats of internal tables wider than the host stream are put together first, lowest part first. A
    command is refused if its target is unknown, if its beats go beyond the target, if one of its
    shifts means nothing, or if it has only parts of a table beat. A refused command takes and drops
    what it announces and raises ``error``, which the next job reports.

    Timing: a command is taken in one cycle, its first beat in the next; a beat is at its block one
    cycle after its transfer. Beats are taken whenever they are offered while a command runs.

    Source: ours; the paper has no hardware.

    Members
    -------
    enable : Commands may be taken.
    load : Stream of load commands. Payload ``LoadCommand``.
    data : Stream of beats of eight elements of 16 bits.
    en : Target of the beat, one bit for each ``model.lookup.layout.Target``.
    addr : Number of the beat in its target.
    beat : The beat, one cycle after its transfer.
    table : A whole beat of the tables, with ``en`` of TABLE.
    busy : From the command to the last write.
    error : A command was refused.
    clear_error : ``error`` falls.
    """

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        super().__init__({
            "enable": In(1), "load": In(stream.Signature(LoadCommand)),
            "data": In(stream.Signature(BEAT)),
            "en": Out(len(Target)), "addr": Out(28), "beat": Out(BEAT),
            "table": Out(8 * cfg.lanes),
            "busy": Out(1), "error": Out(1), "clear_error": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        cfg, command = self.cfg, self.load.payload
        internal = cfg.tables == "internal"
        parts = table_parts(cfg)
        limits = {Target.WEIGHT: weight_beats(cfg), Target.Z_BIAS: cfg.codes,
                  Target.OUT_BIAS: cfg.d, Target.SHIFT_S: cfg.h, Target.SHIFT: Parameter.END,
                  Target.TABLE: cfg.rows * cfg.row_beats * parts if internal else 0}
        limit = Signal(33)
        with m.Switch(command.target):
            for target, beats in limits.items():
                with m.Case(target):
                    m.d.comb += limit.eq(beats)
        after = Signal(33)
        m.d.comb += after.eq(command.base + command.beats)
        meant = [(after <= last) & ((command.base >= first) if first else 1)
                 for first, last in shift_rows(cfg)]
        legal = ((after <= limit) & (command.target < len(Target))
                 & ((command.target != Target.SHIFT) | Cat(meant).any()))
        if internal and parts > 1:
            # A table beat begun or ended half-way would be written with a part of another.
            split = ((command.base | command.beats) & (parts - 1)) != 0
            legal &= ~((command.target == Target.TABLE) & split)

        busy, drop = Signal(), Signal()
        target, left, addr = Signal(4), Signal(32), Signal(28)
        m.d.comb += [self.load.ready.eq(self.enable & ~busy & ~self.busy), self.data.ready.eq(busy)]
        with m.If(self.clear_error):
            m.d.sync += self.error.eq(0)
        with m.If(self.load.valid & self.load.ready):
            m.d.sync += [busy.eq(command.beats != 0), drop.eq(~legal), target.eq(command.target),
                         left.eq(command.beats), addr.eq(command.base)]
            with m.If(~legal):
                m.d.sync += self.error.eq(1)

        take = Signal()
        m.d.comb += take.eq(busy & self.data.valid)
        is_table = target == Target.TABLE
        part = addr[:(parts - 1).bit_length()]
        whole = part == parts - 1 if parts > 1 else 1
        m.d.sync += [
            self.en.eq(Mux(take & ~drop & (~is_table | whole), 1 << target, 0)),
            self.addr.eq(Mux(is_table, addr >> (parts - 1).bit_length(), addr)),
            self.beat.eq(self.data.payload),
        ]
        if internal and parts > 1:
            with m.If(take):
                m.d.sync += self.table.eq(Cat(self.table[BEAT:], self.data.payload))
        else:
            m.d.comb += self.table.eq(self.beat)
        with m.If(take):
            m.d.sync += [addr.eq(addr + 1), left.eq(left - 1)]
            with m.If(left == 1):
                m.d.sync += busy.eq(0)
        m.d.comb += self.busy.eq(busy | (self.en != 0))
        return m
