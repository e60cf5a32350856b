"""CAG: it makes centroids of tables and tokens on two borrowed columns (CTA, Sec. IV-B (3))."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.cta.centroid_means import CentroidMeans
from gen.cta.centroid_sums import CentroidSums
from gen.emit import place
from model.cta.config import CTAConfig

__all__ = ["CentroidAggregation"]

BETWEEN = ("full", "full_lsh", "full_slice", "full_k", "read_en", "read_addr", "read_last", "count",
           "sums")
"""Ports that join CACC and CAVG."""


class CentroidAggregation(wiring.Component):
    """CAG computes the mean of the members of each cluster, a job a slice of a clustering.

    CACC (:class:`CentroidSums`) adds up the tokens and CAVG (:class:`CentroidMeans`) divides, one
    job behind it, so that each works every cycle on its own column and its own bank of sums.

    Timing: ``model.cta.timing.cag_times`` gives all cycles of a job. ``job`` needs count cycles; it
    is not taken while the last but one job is still being averaged. Nothing else can stall.

    Numerics: golden ``model.cta.centroid.centroids``.

    Source: Sec. IV-B (3), Fig. 9 (a) and (b). The two borrowed columns are ours.

    Members
    -------
    job : Stream of jobs. Payload :class:`CentroidJob`.
    turn : Parity of this cycle, which decides whether a job may be taken.
    ct_en : An entry of a cluster table is asked for.
    ct_addr : Token of that entry.
    ct_lsh : Clustering of that entry.
    ct : Cluster of that token, one cycle after ``ct_en``.
    ct1 : Cluster of the same token in LSH1, for a residual.
    tok_en : The lanes are asked for a row; its x is due at the column two cycles later.
    tok_addr : Row of the token banks.
    c1_addr : Row of C1, for a residual: in the value bank, or with ``c1_copy`` in the key bank.
    c1_copy : The row of C1 is that of the first slice.
    residual : The row is the token less its C1.
    cacc_next : The operand of CACC is at the column in the next cycle, two cycles after ``tok_en``.
    acc[d] : Addend of CACC, two cycles after the operand. Format ``cfg.csum``.
    cacc_sum[d] : Sum of CACC, three cycles after the operand. Format ``cfg.csum``.
    k[3] : Clusters of LSH0, LSH1, LSH2, from the cycle after the last write-back of the job.
    cacc_busy : CACC has a token under way.
    cavg_next : The operand of CAVG is at the other column in the next cycle.
    cavg_x[d] : Operand of CAVG, the scaled sum of a cluster. Format ``cfg.left``.
    cavg_value : Factor of CAVG, the mantissa of 1/count. Format ``cfg.value``.
    cavg_sum[d] : Their product, three cycles after the operand.
    c_we : A centroid is written.
    c_lsh : Clustering of that centroid; 1 goes to the C1 banks, 0 and 2 to those of C0 and C2.
    c_slice : Slice of that centroid.
    c_addr : Row of its bank.
    c_data[d] : The centroid. Format ``fmt.centroid``.
    started : The first centroid of a job is written; ``c_lsh`` and ``c_slice`` say of which.
    done : The last centroid of a job is written; ``c_lsh`` and ``c_slice`` say of which.
    sat_centroid : Elements that saturated in the row written one cycle before.
    cavg_busy : CAVG has a row under way.
    """

    module_name = "cta_centroid"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        self.sums, self.means = CentroidSums(cfg), CentroidMeans(cfg)
        members = {}
        for part, busy in ((self.sums, "cacc_busy"), (self.means, "cavg_busy")):
            members |= {busy if name == "busy" else name: member
                        for name, member in part.signature.members.items() if name not in BETWEEN}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.sums = place(platform, self.sums)
        m.submodules.means = place(platform, self.means)
        for name in BETWEEN:
            pair = getattr(self.sums, name), getattr(self.means, name)
            source, sink = pair if self.sums.signature.members[name].flow == Out else pair[::-1]
            for to, what in zip(*map(_elements, (sink, source))):
                m.d.comb += to.eq(what)
        for part, busy in ((self.sums, "cacc_busy"), (self.means, "cavg_busy")):
            for name, member in part.signature.members.items():
                if name in BETWEEN:
                    continue
                inner, outer = getattr(part, name), getattr(self, busy if name == "busy" else name)
                if member.is_signature:
                    wiring.connect(m, wiring.flipped(outer), inner)
                    continue
                for mine, its in zip(_elements(outer), _elements(inner)):
                    m.d.comb += its.eq(mine) if member.flow == In else mine.eq(its)
        return m


def _elements(port):
    """A port, or the ports of an array of them."""
    return port if isinstance(port, (list, tuple)) else [port]
