"""Cluster tables: CT0, CT1 and CT2 keep the cluster of every token."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.emit import place
from model.cta.config import CTAConfig
from model.cta.job import LSH_WIDTH

__all__ = ["ClusterTables"]


class ClusterTables(wiring.Component):
    """Three tables of n cluster indices, each in an even and an odd bank.

    There are three kinds of readers, at most one of the first two at a time: ``pair`` (PAG: tokens
    2p and 2p+1 of all tables), ``one`` (sequencer for residuals, output: token t of all tables),
    and ``cag`` (one token, by its own port).

    Timing: data come in the cycle after the address; a written index can be read in the next cycle.
    There is no back-pressure.

    Source: Sec. IV-A. The cluster tables lie in the weight memory of the paper. Here they have
    banks of their own, since PAG reads two entries of two tables every cycle.

    Members
    -------
    identity : Exact mode: CT0 and CT1 give the token itself, CT2 gives 0, on ``pair`` and ``one``.
    w_en : An index is written.
    w_lsh : Table of the write.
    w_addr : Token of the write.
    w_data : Cluster of that token.
    pair_en : Two tokens are read from all tables.
    pair_addr : Number p of the pair of tokens 2p and 2p+1.
    pair[6] : Their clusters: even and odd token of CT0, of CT1, of CT2.
    one_en : One token is read from all tables.
    one_addr : Token that is read from all tables.
    one[3] : Clusters of the one token in CT0, CT1, CT2, one cycle after ``one_en``.
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
            "identity": In(1),
            "w_en": In(1), "w_lsh": In(LSH_WIDTH), "w_addr": In(index), "w_data": In(index),
            "pair_en": In(1), "pair_addr": In(index), "pair": Out(index).array(6),
            "one_en": In(1), "one_addr": In(index), "one": Out(index).array(3),
            "cag_en": In(1), "cag_lsh": In(LSH_WIDTH), "cag_addr": In(index),
            "cag": Out(index), "cag_ct1": Out(index),
        })

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        depth = -(-cfg.n // 2)
        row = address_width(depth)
        # The addresses a cycle later, to pick the bank and to answer for the identity.
        pair_at = Signal.like(self.pair_addr)
        one_at, cag_at = Signal.like(self.one_addr), Signal.like(self.cag_addr)
        lsh_at = Signal(LSH_WIDTH)
        for at, en, addr in ((pair_at, self.pair_en, self.pair_addr),
                             (one_at, self.one_en, self.one_addr),
                             (cag_at, self.cag_en, self.cag_addr)):
            with m.If(en):
                m.d.sync += at.eq(addr)
        with m.If(self.cag_en):
            m.d.sync += lsh_at.eq(self.cag_lsh)

        cag = []
        for c in range(3):
            even_odd = []
            for odd in range(2):
                bank = SRAM(width=cfg.token_id_width, depth=depth, rw=True)
                m.submodules[f"ct{c}_{'odd' if odd else 'even'}"] = place(platform, bank)
                m.d.comb += [
                    bank.w_en.eq(self.w_en & (self.w_lsh == c) & (self.w_addr[0] == odd)),
                    bank.w_addr.eq(self.w_addr[1:]), bank.w_data.eq(self.w_data),
                    bank.r_en.eq(self.pair_en | (self.one_en & (self.one_addr[0] == odd))),
                    bank.r_addr.eq(Mux(self.pair_en, self.pair_addr[:row], self.one_addr[1:])),
                    bank.q_en.eq(self.cag_en & (self.cag_addr[0] == odd)),
                    bank.q_addr.eq(self.cag_addr[1:]),
                ]
                even_odd.append(bank)
                token = Cat(odd, pair_at) if c < 2 else 0
                m.d.comb += self.pair[2 * c + odd].eq(Mux(self.identity, token, bank.r_data))
            even, odd = even_odd
            m.d.comb += self.one[c].eq(Mux(self.identity, one_at if c < 2 else 0,
                                           Mux(one_at[0], odd.r_data, even.r_data)))
            cag.append(Mux(cag_at[0], odd.q_data, even.q_data))
        with m.Switch(lsh_at):
            for c, value in enumerate(cag):
                with m.Case(c):
                    m.d.comb += self.cag.eq(value)
        m.d.comb += self.cag_ct1.eq(cag[1])
        return m
