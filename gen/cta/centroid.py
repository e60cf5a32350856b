"""CAG: cluster tables and tokens to centroids, on two borrowed columns (CTA, Sec. IV-B (3))."""

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
    """Means of the members of each cluster, a job a slice of a clustering.

    CACC (:class:`CentroidSums`) adds up the tokens and CAVG (:class:`CentroidMeans`) divides, one
    job behind it, so that each works every cycle on its own column and its own bank of sums.

    Timing: ``model.cta.timing.cag_times`` gives all cycles of a job. ``job`` needs count cycles; it
    is not taken while the last but one job is still being averaged. Nothing else can stall.

    Numerics: golden ``model.cta.centroid.centroids``.

    Members
    -------
    job : stream of :class:`CentroidJob`
    ct_en, ct_addr, ct_lsh / ct, ct1 : cluster tables; the reply is due in the next cycle
    tok_en, tok_addr, c1_addr, residual : row request to the lanes; x is due at the column, with
        ``cacc_en``, two cycles later
    acc[d] / cacc_sum[d] : the column, two and three cycles after ``cacc_en``
    cavg_en, cavg_x[d], cavg_value / cavg_sum[d] : the other column; the product three cycles later
    c_we, c_lsh, c_slice, c_addr, c_data[d] : a row of C1 (lsh 1) or of the C0 and C2 bank
    started, done : with the first, the last ``c_we`` of a job; ``c_lsh``, ``c_slice`` say of which
    k[3] : clusters of LSH0, LSH1, LSH2, from the cycle after the last write-back of the job
    sat_centroid : elements that saturated in the row written one cycle before
    cacc_busy, cavg_busy : for the trace
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
