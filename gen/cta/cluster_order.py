"""Clustering order: it hands the slices of a clustering to CAG as soon as its table begins."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.cta.centroid_sums import CentroidJob
from gen.cta.words import JobWord
from model.cta.config import CTAConfig
from model.cta.job import LSH, LSH_WIDTH, Mode

__all__ = ["ClusterOrder"]


class ClusterOrder(wiring.Component):
    """Feeds CAG and keeps what the host will ask for: sizes, overflows, how far C1 and all are.

    The indices of a clustering come one a cycle once they come, and CACC reads them one a cycle, so
    a clustering may be summed from the cycle after its first index on. In exact mode there is
    nothing to sum: a token is its own centroid.

    Timing: ``jobs`` is valid from the cycle after ``ct_first`` on. ``c1_done`` and
    ``centroids_done`` rise in the cycle after the last write of C1, and of all centroids.

    Source: Table I, steps 1 to 4. The order is that of the program.

    Members
    -------
    start : A job begins; unless it reuses the clusters, everything is forgotten.
    job : The job word, stable while the job runs.
    ct_valid : CIM gives the cluster index of a token.
    ct_first : The token is the first of its clustering.
    ct_last : The token is the last of its clustering.
    ct_lsh : Clustering of the token.
    lost : Tokens of the clustering so far that found a layer full.
    ct_index : Number of that token, which is its address in the cluster tables.
    jobs : Stream of slices to aggregate. Payload ``CentroidJob``.
    done : The last centroid of a slice is written.
    done_lsh : Clustering of that slice.
    done_slice : Number of that slice.
    c1_done : All of C1 is written.
    centroids_done : All centroids of the job are written.
    overflow[3] : Tokens of LSH0, LSH1, LSH2 that found a layer full.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "start": In(1), "job": In(JobWord),
            "ct_valid": In(1), "ct_first": In(1), "ct_last": In(1), "ct_lsh": In(LSH_WIDTH),
            "lost": In(cfg.count_width),
            "ct_index": Out(cfg.token_id_width),
            "jobs": Out(stream.Signature(CentroidJob(cfg))),
            "done": In(1), "done_lsh": In(LSH_WIDTH), "done_slice": In(cfg.slice_width),
            "c1_done": Out(1), "centroids_done": Out(1), "overflow": Out(cfg.count_width).array(3),
        })

    def elaborate(self, platform):
        m = Module()
        cfg, job, out = self.cfg, self.job, self.jobs.payload
        running, position = Signal(), Signal(range(len(LSH)))
        part = Signal(range(max(2, cfg.slices)))
        begun = Signal(len(LSH))

        # Token numbers of the indices that CIM gives.
        number = Signal(cfg.token_id_width)
        m.d.comb += self.ct_index.eq(number)
        with m.If(self.ct_first & self.ct_valid):
            m.d.comb += self.ct_index.eq(0)
            m.d.sync += begun.bit_select(self.ct_lsh, 1).eq(1)
        with m.If(self.ct_valid):
            m.d.sync += number.eq(self.ct_index + 1)
            with m.If(self.ct_last):
                with m.Switch(self.ct_lsh):
                    for c in range(3):
                        with m.Case(c):
                            m.d.sync += self.overflow[c].eq(self.lost)

        order = cfg.program.clusterings()
        lsh = Array(order)[position]
        m.d.comb += [
            out.lsh.eq(lsh), out.slice.eq(part), out.residual.eq(lsh == LSH.RESIDUAL),
            out.count.eq(job.n), self.jobs.valid.eq(running & begun.bit_select(lsh, 1)),
        ]
        with m.If(lsh == LSH.QUERY):
            m.d.comb += [out.count.eq(job.m), out.first.eq(Mux(job.cross, job.n, 0))]
        with m.If(self.jobs.valid & self.jobs.ready):
            m.d.sync += part.eq(part + 1)
            with m.If(part == cfg.slices - 1):
                m.d.sync += [part.eq(0), position.eq(position + 1)]
                with m.If(lsh == order[-1]):
                    m.d.sync += running.eq(0)

        with m.If(self.done & (self.done_slice == cfg.slices - 1)):
            with m.If(self.done_lsh == LSH.KEY):
                m.d.sync += self.c1_done.eq(1)
            with m.If(self.done_lsh == order[-1]):
                m.d.sync += self.centroids_done.eq(1)

        with m.If(self.start & ~job.reuse):
            exact = job.mode == Mode.EXACT      # has no table that begins, and so no job
            m.d.sync += [running.eq(1), position.eq(0), part.eq(0), begun.eq(0),
                         self.c1_done.eq(0), self.centroids_done.eq(exact),
                         *(count.eq(0) for count in self.overflow)]
        return m
