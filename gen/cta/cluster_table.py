"""Cluster tables: CT0, CT1 and CT2 keep the cluster of every token."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.cta.interfaces import TokenLookup
from gen.emit import place
from model.cta.config import CTAConfig
from model.cta.job import LSH_WIDTH

__all__ = ["ClusterTables"]


class ClusterTables(wiring.Component):
    """Three tables of n cluster indices, each in an even and an odd bank, and all that twice.

    One copy is of the job that runs; of the other the outputs of the job before are still sent.
    ``turn`` exchanges them. Within a copy there are three kinds of readers: ``pair`` (PAG: tokens 2p
    and 2p+1 of CT1 and CT2), ``residual`` (sequencer: token t of CT1) and ``cag`` (one token, by its own
    port). ``output`` reads CT0 of either copy at any time, since nobody else does by that port. With
    ``all`` it reads all three, for which it waits while PAG reads its copy.

    Timing: data come in the cycle after the address; a written index can be read in the next cycle.

    Source: Sec. IV-A. The cluster tables lie in the weight memory of the paper. Here they have
    banks of their own, since PAG reads two entries of two tables every cycle.

    Members
    -------
    turn : The other copy becomes that of the job that runs.
    copy : Which copy that is.
    w_en : An index is written.
    w_lsh : Table of the write.
    w_addr : Token of the write.
    w_data : Cluster of that token.
    pair_en : Two tokens are read from CT1 and CT2.
    pair_addr : Number p of the pair of tokens 2p and 2p+1.
    pair[4] : Their clusters: even and odd token of CT1, of CT2.
    residual_en : One token is read from CT1.
    residual_addr : Token that is read from CT1.
    residual : Cluster of that token, one cycle after ``residual_en``.
    output : Looks up a token whose output is sent.
    cag_en : CAG reads one token.
    cag_lsh : Table of that read.
    cag_addr : Token of that read.
    cag : Cluster of CAG's token in the table ``cag_lsh``, one cycle after ``cag_en``.
    cag_ct1 : Cluster of CAG's token in CT1, one cycle after ``cag_en``.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        index = cfg.token_id_width
        super().__init__({
            "turn": In(1), "copy": Out(1),
            "w_en": In(1), "w_lsh": In(LSH_WIDTH), "w_addr": In(index), "w_data": In(index),
            "pair_en": In(1), "pair_addr": In(index), "pair": Out(index).array(4),
            "residual_en": In(1), "residual_addr": In(index), "residual": Out(index),
            "output": In(TokenLookup(cfg)),
            "cag_en": In(1), "cag_lsh": In(LSH_WIDTH), "cag_addr": In(index),
            "cag": Out(index), "cag_ct1": Out(index),
        })

    def elaborate(self, platform):
        m = Module()
        output, copy = self.output, self.copy
        with m.If(self.turn):
            m.d.sync += copy.eq(~copy)
        copies = [self._copy(m, platform, at) for at in range(2)]

        def held(value, en):
            """The value that came with the last ``en``."""
            last = Signal.like(value)
            with m.If(en):
                m.d.sync += last.eq(value)
            return last

        # The addresses a cycle later, to pick bank and copy and to answer for the identity.
        cag_odd, lsh = held(self.cag_addr[0], self.cag_en), held(self.cag_lsh, self.cag_en)
        residual_odd = held(self.residual_addr[0], self.residual_en)
        at, of = held(output.addr, output.en), held(output.copy, output.en)
        identity = held(output.identity, output.en)

        def one(banks, odd, port):
            """The entry of one token in the bank of its parity."""
            return Mux(odd, getattr(banks[1], port), getattr(banks[0], port))

        m.d.comb += output.ready.eq(~self.pair_en | (output.copy != copy))
        for c in range(3):
            found = [one(banks[c], at[0], "r_data") for banks in copies]
            m.d.comb += output.ct[c].eq(Mux(identity, at if c < 2 else 0, Mux(of, *found[::-1])))
        mine = [[[Mux(copy, getattr(copies[1][c][odd], port), getattr(copies[0][c][odd], port))
                  for odd in range(2)] for c in range(3)] for port in ("r_data", "q_data")]
        (_, ct1, ct2), cag = mine
        m.d.comb += [*(to.eq(by) for to, by in zip(self.pair, ct1 + ct2)),
                     self.residual.eq(Mux(residual_odd, ct1[1], ct1[0])),
                     self.cag_ct1.eq(Mux(cag_odd, cag[1][1], cag[1][0]))]
        with m.Switch(lsh):
            for c, (even, odd) in enumerate(cag):
                with m.Case(c):
                    m.d.comb += self.cag.eq(Mux(cag_odd, odd, even))
        return m

    def _copy(self, m, platform, at):
        """The banks of a copy, by table and parity."""
        cfg, output = self.cfg, self.output
        depth = -(-cfg.n // 2)
        mine, sent = self.copy == at, output.en & (output.copy == at)
        tables = []
        for c in range(3):
            pair = mine & self.pair_en if c else 0
            residual = mine & self.residual_en if c == 1 else 0
            tables.append([])
            for odd in range(2):
                bank = SRAM(width=cfg.token_id_width, depth=depth, ports="1rw1r")
                m.submodules[f"ct{c}_{'odd' if odd else 'even'}_{at}"] = place(platform, bank)
                asked = sent & (output.addr[0] == odd) & (output.all if c else 1)
                m.d.comb += [
                    bank.w_en.eq(mine & self.w_en & (self.w_lsh == c) & (self.w_addr[0] == odd)),
                    bank.w_addr.eq(self.w_addr[1:]), bank.w_data.eq(self.w_data),
                    bank.r_en.eq(pair | (residual & (self.residual_addr[0] == odd)) | asked),
                    bank.r_addr.eq(Mux(pair, self.pair_addr[:address_width(depth)],
                                       Mux(residual, self.residual_addr[1:], output.addr[1:]))),
                    bank.q_en.eq(mine & self.cag_en & (self.cag_addr[0] == odd)),
                    bank.q_addr.eq(self.cag_addr[1:]),
                ]
                tables[-1].append(bank)
        return tables
