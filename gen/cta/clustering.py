"""Clustering: it turns hash values into clusters, cluster tables and centroids."""

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.cta.centroid import CentroidAggregation
from gen.cta.cluster_index import ClusterIndex
from gen.cta.cluster_order import ClusterOrder
from gen.cta.cluster_table import ClusterTables
from gen.cta.interfaces import (
    BorrowedColumns,
    ClusterCounts,
    HashFlags,
    PairLookup,
    ResidualLookup,
    TokenLookup,
)
from gen.cta.lanes import CentroidRows
from gen.cta.words import JobWord
from gen.emit import place
from gen.fixed import shape
from model.cta.config import CTAConfig
from model.cta.job import LSH, Mode

__all__ = ["Clustering"]


class Clustering(wiring.Component):
    """Compresses the tokens: hash values to cluster tables, tables and tokens to centroids.

    The cut is all that is of tokens and clusters and of no batch: CIM, the tables it fills, CAG,
    and the order in which CAG takes the clusterings. It is over before the first linear; what is
    left then is the counts and the tables, which the others look up.

    Timing: as the blocks in here. ``clusters`` and ``overflow`` hold from the end of a clustering
    to the next job. There is no back-pressure. Reset and ``start`` drop the clusterings under way.

    Numerics: golden ``model.cta.cluster_index`` and ``model.cta.centroid``.

    Source: Sec. III-A, IV-B (2) and (3), Table I steps 1 to 4.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    start : A job starts.
    job : The word of the job, held while it runs.
    turn : Parity of this cycle, as the program counts it.
    hash[hash_columns] : Hash value of column j, j cycles after ``flags``. Format ``fmt.hash``.
    flags : What goes with the hash value of column 0.
    residual : A token is looked up whose residual is formed.
    output : A token of the job before is looked up, whose output is sent.
    copy : Copy of the tables that the job has.
    pairs : Pairs of tokens are looked up for their probabilities.
    rows : Rows that CAG reads and writes.
    columns : Use of the borrowed columns.
    clusters : Clusters of the job.
    overflow[3] : Tokens of LSH0, LSH1, LSH2 that found a layer full.
    c1_done : All rows of C1 are written.
    centroids_done : All centroids are written.
    sat_centroid : Elements that saturated in the row written one cycle before.
    cim : CIM gives an index in this cycle, for the trace.
    cacc : CACC works, for the trace.
    cavg : CAVG works, for the trace.
    """

    module_name = "cta_clustering"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "start": In(1), "job": In(JobWord), "turn": In(1),
            "hash": In(shape(cfg.fmt.hash)).array(cfg.hash_columns), "flags": In(HashFlags(cfg)),
            "residual": In(ResidualLookup(cfg)), "output": In(TokenLookup(cfg)),
            "copy": Out(1), "pairs": In(PairLookup(cfg)), "rows": Out(CentroidRows(cfg)),
            "columns": Out(BorrowedColumns(cfg)), "clusters": Out(ClusterCounts(cfg)),
            "overflow": Out(cfg.count_width).array(3), "c1_done": Out(1),
            "centroids_done": Out(1), "sat_centroid": Out(range(cfg.d + 1)),
            "cim": Out(1), "cacc": Out(1), "cavg": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg, job = self.cfg, self.job
        cim, order = ClusterIndex(cfg), ClusterOrder(cfg)
        tables, cag = ClusterTables(cfg), CentroidAggregation(cfg)
        for name, block in (("cluster_index", cim), ("cluster_order", order),
                            ("cluster_tables", tables), ("centroid", cag)):
            m.submodules[name] = place(platform, block)
        exact = job.mode == Mode.EXACT

        # Hash values to indices, in the order of the tokens, to tables.
        m.d.comb += [
            *(to.eq(by) for to, by in zip(cim.hash, self.hash)),
            *(getattr(cim, name).eq(getattr(self.flags, name))
              for name in self.flags.signature.members),
            order.start.eq(self.start), order.job.eq(job), order.lost.eq(cim.overflow),
            *(getattr(order, name).eq(getattr(cim, name))
              for name in ("ct_valid", "ct_first", "ct_last", "ct_lsh")),
            tables.turn.eq(self.start & ~job.reuse), self.copy.eq(tables.copy),
            tables.w_en.eq(cim.ct_valid), tables.w_lsh.eq(cim.ct_lsh),
            tables.w_addr.eq(order.ct_index), tables.w_data.eq(cim.ct), self.cim.eq(cim.ct_valid),
        ]

        # Tables and tokens to centroids, on two columns of the array.
        wiring.connect(m, order.jobs, cag.job)
        rows, columns = self.rows, self.columns
        copied = (cag.c_lsh == LSH.KEY) & (cag.c_slice == 0)     # where K will be
        m.d.comb += [
            cag.turn.eq(self.turn), tables.cag_en.eq(cag.ct_en), tables.cag_lsh.eq(cag.ct_lsh),
            tables.cag_addr.eq(cag.ct_addr), cag.ct.eq(tables.cag), cag.ct1.eq(tables.cag_ct1),
            rows.read.en.eq(cag.tok_en), rows.read.residual.eq(cag.residual),
            rows.read.addr.eq(cag.tok_addr), rows.read.c1_addr.eq(cag.c1_addr),
            rows.read.copy.eq(cag.c1_copy),
            columns.cacc_next.eq(cag.cacc_next), columns.cavg_next.eq(cag.cavg_next),
            columns.cavg_value.eq(cag.cavg_value),
            rows.write.key.eq(cag.c_we & ((cag.c_lsh == LSH.QUERY) | copied)),
            rows.write.key_addr.eq(Mux(copied, (cag.c_addr >> cfg.program.fast) + cfg.key_base, cag.c_addr)),
            rows.write.value.eq(cag.c_we & (cag.c_lsh != LSH.QUERY)), rows.write.value_addr.eq(cag.c_addr),
            *(to.eq(by) for pairs in ((columns.cacc_acc, cag.acc), (cag.cacc_sum, columns.cacc_sum),
                                      (columns.cavg_x, cag.cavg_x),
                                      (cag.cavg_sum, columns.cavg_sum), (rows.data, cag.c_data))
              for to, by in zip(*pairs)),
            order.done.eq(cag.done), order.done_lsh.eq(cag.c_lsh),
            order.done_slice.eq(cag.c_slice), self.sat_centroid.eq(cag.sat_centroid),
            self.cacc.eq(cag.cacc_busy), self.cavg.eq(cag.cavg_busy),
        ]

        # What the others ask: clusters of tokens, how many there are, how far it is.
        clusters, pairs = self.clusters, self.pairs
        wiring.connect(m, wiring.flipped(self.output), tables.output)
        m.d.comb += [
            tables.residual_en.eq(self.residual.en), tables.residual_addr.eq(self.residual.addr),
            self.residual.ct1.eq(tables.residual),
            tables.pair_en.eq(pairs.en), tables.pair_addr.eq(pairs.addr),
            *(to.eq(by) for to, by in zip((pairs.ct1_even, pairs.ct1_odd, pairs.ct2_even,
                                           pairs.ct2_odd), tables.pair)),
            clusters.k0.eq(Mux(exact, job.m, cag.k[0])), clusters.k1.eq(Mux(exact, job.n, cag.k[1])),
            clusters.k2.eq(Mux(exact, 0, cag.k[2])), clusters.k.eq(clusters.k1 + clusters.k2),
            *(to.eq(by) for to, by in zip(self.overflow, order.overflow)),
            self.c1_done.eq(order.c1_done), self.centroids_done.eq(order.centroids_done),
        ]
        return m
