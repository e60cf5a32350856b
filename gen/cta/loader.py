"""Loader: it brings tokens, weights and parameters from the host streams to the banks."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import address_width
from gen.cta.claims import Claim
from gen.cta.lane_commands import LoadWrite
from gen.cta.words import LoadCommand, beat_width
from model.cta.config import CTAConfig
from model.cta.job import Matrix
from model.cta.layout import SET_WIDTH, Target, parameter_rows

__all__ = ["Loader"]


class Loader(wiring.Component):
    """Takes a load command and its beats, one beat a cycle, into the lanes.

    A row of dw elements comes slice by slice, ``lanes`` elements a beat; group g of a slice belongs
    to lanes g*lanes and up. The element of a lane and its write are registered.

    The beats of a command wait while the running job has a claim on what they would overwrite, and
    those of a weight while its bank, which has one port, is about to be read, or while the queue in front of
    it is full. A command is refused if
    its target or set is unknown, if its rows go beyond the target, or if one of its parameter rows means
    nothing. A refused command takes and drops as many beats as it
    announces (of an unknown target a beat a row and lane group and slice, as of tokens) and raises
    ``error``, which the next job reports.

    ``tokens`` counts those that are there for the next job: the rows that loads have brought without
    a gap from row 0 on, in ascending order, since the last job that used tokens up (``used``) or the
    reset.

    Timing: a command is taken in one cycle, its first beat in the next; a beat is in its bank two
    cycles after its transfer. Beats are taken whenever they are offered while a command runs and
    its bank is free.

    Source: ours; the paper leaves the host side open.

    Members
    -------
    enable : Commands may be taken.
    claim : What the running job still reads.
    load : Stream of load commands. Payload ``LoadCommand``.
    data : Stream of beats of ``lanes`` elements.
    write : Banks that take the beat, and its row in them.
    group : Lane group of the beat.
    beat : The beat, one cycle after its transfer.
    hold[groups] : No beat of a weight may be taken for a lane group; with a queue, of a token neither.
    p_en : The beat is a parameter, in its low 32 bits.
    p_set : Weight set of the parameter.
    p_addr : Row of the parameter. As :class:`model.cta.layout.Parameter` counts them.
    busy : From the command to the last write.
    error : A command was refused.
    clear_error : ``error`` falls.
    used : A job uses the tokens up.
    tokens : Tokens that are there.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "enable": In(1), "claim": In(Claim), "load": In(stream.Signature(LoadCommand)),
            "data": In(stream.Signature(beat_width(cfg))),
            "write": Out(LoadWrite(cfg)), "group": Out(range(max(2, cfg.groups))),
            "beat": Out(beat_width(cfg)), "hold": In(1).array(cfg.groups),
            "p_en": Out(1), "p_set": Out(SET_WIDTH), "p_addr": Out(16),
            "busy": Out(1), "error": Out(1), "clear_error": In(1),
            "used": In(1), "tokens": Out(range(cfg.tokens + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        cfg, command = self.cfg, self.load.payload
        T = cfg.slices
        # Per target: rows it has, first bank row, bank rows from one slice to the next.
        table = {Target.TOKEN: (cfg.tokens, 0, cfg.token_stride)}
        for matrix in Matrix:
            each = cfg.matrix_rows(matrix)
            table[Target[matrix.name]] = (each, cfg.weight_base(matrix), each)
        table[Target.PARAMETER] = (parameter_rows(cfg)[-1][1], 0, 0)
        after = Signal(17)
        m.d.comb += after.eq(command.base + command.rows)

        width = address_width(max(cfg.token_depth, cfg.weight_depth))
        limit, start, stride = Signal(16), Signal(width), Signal(width)
        token, weight, parameter = Signal(), Signal(), Signal()
        with m.Switch(command.target):
            for target, (rows, first, step) in table.items():
                with m.Case(target):
                    m.d.comb += [limit.eq(rows), start.eq(first), stride.eq(step),
                                 token.eq(target == Target.TOKEN),
                                 weight.eq((Target.WQ <= target) & (target <= Target.A2)),
                                 parameter.eq(target == Target.PARAMETER)]
        meant = [(after <= last) & ((command.base >= first) if first else 1)
                 for first, last in parameter_rows(cfg)]
        known = token | weight | parameter
        legal = (known & (command.set < cfg.sets)
                 & (after <= limit) & (~parameter | Cat(meant).any()))
        set_base = Array([k * cfg.weight_rows for k in range(cfg.sets)])[command.set]

        busy, drop = Signal(), Signal()
        is_token, is_weight, is_parameter = Signal(), Signal(), Signal()
        rows, row_addr, addr, step = Signal(16), Signal(width), Signal(width), Signal(width)
        index, group, part = Signal(16), Signal(range(max(2, cfg.groups))), Signal(range(max(2, T)))
        which = Signal(SET_WIDTH)
        last_group = is_parameter | (group == cfg.groups - 1)
        last_part = is_parameter | (part == T - 1)
        # A command is taken at once, so that its stream does not depend on it; its beats wait.
        claim, is_q, is_a = self.claim, Signal(), Signal()
        of_set = (is_weight & Mux(is_q, claim.q, Mux(is_a, claim.a, claim.kv))) | (is_parameter & claim.q)
        claimed, may = (is_token & claim.tokens) | (of_set & (which == claim.set)), Signal()
        waits = is_weight | (is_token if cfg.load_queue else 0)
        reads = waits & Array(self.hold)[group]
        m.d.comb += [may.eq(busy & (drop | ~(claimed | reads))), self.data.ready.eq(may),
                     self.load.ready.eq(self.enable & ~busy & ~self.busy)]

        with m.If(self.clear_error):
            m.d.sync += self.error.eq(0)
        with m.If(self.load.valid & self.load.ready):
            m.d.sync += [
                busy.eq(command.rows != 0), drop.eq(~legal), rows.eq(command.rows),
                is_token.eq(token), is_weight.eq(weight), is_parameter.eq(parameter),
                row_addr.eq(start + command.base + Mux(weight, set_base, 0)),
                addr.eq(start + command.base + Mux(weight, set_base, 0)), step.eq(stride),
                is_q.eq(command.target == Target.WQ), is_a.eq(command.target >= Target.A0),
                index.eq(command.base), which.eq(command.set), group.eq(0), part.eq(0),
            ]
            with m.If(~legal):
                m.d.sync += self.error.eq(1)
            with m.If(legal & token & (command.base <= self.tokens) & (after > self.tokens)):
                m.d.sync += self.tokens.eq(after)
        with m.If(self.used):
            m.d.sync += self.tokens.eq(0)

        take, stays, row = Signal(), Const(0), addr
        m.d.comb += take.eq(may & self.data.valid)
        if cfg.program.fast:     # two slices of a token lie side by side, in the other order if it is odd
            stays, row = is_token & ~part[0], Mux(is_token, Cat(addr[0] ^ part[0], addr), addr)
        m.d.sync += [
            self.write.token.eq(take & is_token & ~drop),
            self.write.weight.eq(take & is_weight & ~drop),
            self.write.addr.eq(row), self.group.eq(group), self.beat.eq(self.data.payload),
            self.p_en.eq(take & is_parameter & ~drop), self.p_set.eq(which), self.p_addr.eq(index),
        ]
        with m.If(take):
            m.d.sync += group.eq(Mux(last_group, 0, group + 1))
            with m.If(last_group):
                m.d.sync += [part.eq(Mux(last_part, 0, part + 1)), addr.eq(addr + Mux(stays, 0, step))]
                with m.If(last_part):
                    m.d.sync += [row_addr.eq(row_addr + 1), addr.eq(row_addr + 1),
                                 index.eq(index + 1), rows.eq(rows - 1)]
                    with m.If(rows == 1):
                        m.d.sync += busy.eq(0)
        m.d.comb += self.busy.eq(busy | self.write.token | self.write.weight | self.p_en)
        return m
