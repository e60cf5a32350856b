"""Lanes: they hold what lies outside the array, a lane for each of its rows."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import stages
from gen.cta.interfaces import LeftEdge, RowRead
from gen.cta.lane import CentroidRead, CentroidWrite, Lane, LaneCommand, LinearWrite, LoadWrite, WriteBack
from gen.cta.words import beat_width
from gen.emit import place
from gen.fixed import popcount, shape
from model.cta.config import CTAConfig
from model.cta.layout import ELEMENT_WIDTH

__all__ = ["Lanes", "LaneControl", "LaneLoad", "CentroidRows"]


class LaneControl(wiring.Signature):
    """What the lanes read and write for the array.

    Members
    -------
    cmd : What lane 0 reads; each lane above does so a cycle later.
    kv : Write-back of K and V, for lane 0; each lane above has it a cycle later. Where weights stay, of
        Q, K and V for column 0; each column to the right has it a cycle later.
    o : Write-back of O, for lane d-1; each lane below has it a cycle later.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"cmd": Out(LaneCommand(cfg)), "kv": Out(LinearWrite(cfg)),
                          "o": Out(WriteBack(cfg, cfg.queries))})


class LaneLoad(wiring.Signature):
    """A beat of the loader on its way to the banks.

    Members
    -------
    write : Bank and row of the beat.
    group : Lanes of the beat, which are group*lanes and up.
    beat : Its elements, that of the lowest lane lowest.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"write": Out(LoadWrite(cfg)), "group": Out(range(max(2, cfg.groups))),
                          "beat": Out(beat_width(cfg))})


class CentroidRows(wiring.Signature):
    """Rows that CAG reads of the lanes, for CACC, and writes, from CAVG.

    Members
    -------
    read : Row that CACC asks for; its operand is at the column two cycles later.
    write : Row that CAVG writes.
    data[d] : Element i of the row that CAVG writes, in the same cycle. Format ``fmt.centroid``.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"read": Out(CentroidRead(cfg)), "write": Out(CentroidWrite(cfg)),
                          "data": Out(shape(cfg.fmt.centroid)).array(cfg.d)})


class Lanes(wiring.Component):
    """Keeps tokens, weights, centroids, K, V and O, and feeds the array from the left.

    The cut is all that holds vectors of the token dimension; lane i has their elements i. Commands
    enter at one end and climb, so each row of the array gets its operand a cycle after the row
    below; K and V climb with their columns, O comes down because row d-1 leaves first. Other banks,
    e.g. one for K and V and one for Q and O, are a change in here and in :class:`Lane`.

    Timing: ``ctl.cmd`` in cycle c gives ``left`` of row i in c+2+i, operand and value alike.
    ``centroids.read`` in cycle c gives ``cacc_x`` in c+2. ``rows.data`` comes in the cycle after
    ``rows.en``. There is no back-pressure. Reset clears the commands under way, never a bank.

    Numerics: as :class:`Lane`.

    Source: Fig. 7 (memories, left column of adders), Sec. V-B.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    ctl : What is read and written for the array.
    load : Beats of the loader.
    linear[b] : Elements of K and V at the top of the columns. Format ``fmt.qkv``.
    out[b] : Outputs at the top of the columns. Format ``fmt.output``.
    centroids : Rows that CAG reads and writes.
    rows : Rows of O that the output reads.
    left : Operands of the array.
    cacc_x[d] : Row that CACC has asked for, two cycles later. Format ``cfg.left``.
    sat_residual : Elements of that row that are residuals and saturated, a cycle after it.
    sat_token : Elements of tokens that saturated in the cycle before as centroids of an exact job.
    """

    module_name = "cta_lanes"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "ctl": In(LaneControl(cfg)), "load": In(LaneLoad(cfg)),
            "linear": In(shape(cfg.fmt.qkv)).array(cfg.b),
            "out": In(shape(cfg.fmt.output)).array(cfg.b),
            "centroids": In(CentroidRows(cfg)), "rows": In(RowRead(cfg)),
            "left": Out(LeftEdge(cfg)), "cacc_x": Out(shape(cfg.left)).array(cfg.d),
            "sat_residual": Out(range(cfg.d + 1)), "sat_token": Out(range(cfg.d + 1))})

    def elaborate(self, platform):
        m = Module()
        cfg, load, left, centroids = self.cfg, self.load, self.left, self.centroids
        lanes = [Lane(cfg) for _ in range(cfg.d)]
        if cfg.program.weights_stay:
            kv = [self.ctl.kv.shape()(each) for each in stages(m, self.ctl.kv, cfg.b - 1, reset=True)]
        for i, lane in enumerate(lanes):
            m.submodules[f"lane_{i}"] = place(platform, lane)
            below, above = lanes[i - 1] if i else None, lanes[i + 1] if i + 1 < cfg.d else None
            at = i % cfg.lanes * ELEMENT_WIDTH
            mine = load.group == i // cfg.lanes
            m.d.comb += [
                lane.load.token.eq(load.write.token & mine),
                lane.load.weight.eq(load.write.weight & mine),
                lane.load.addr.eq(load.write.addr),
                lane.load_data.eq(load.beat[at:at + ELEMENT_WIDTH]),
                lane.cmd.eq(below.cmd_up if below else self.ctl.cmd),
                lane.o.eq(above.o_down if above else self.ctl.o),
                *(to.eq(by) for to, by in zip(lane.out, self.out)),
                left.x[i].eq(lane.x), left.ctl[i].eq(lane.pe), left.push[i].eq(lane.push),
                left.shadow[i].eq(lane.shadow),
                lane.cag.eq(centroids.read), self.cacc_x[i].eq(lane.cag_x),
                lane.c.eq(centroids.write), lane.c_data.eq(centroids.data[i]),
                lane.read_en.eq(self.rows.en), lane.read_addr.eq(self.rows.addr),
                self.rows.data[i].eq(lane.read_data),
            ]
            if cfg.program.weights_stay:
                group, column = divmod(i, cfg.b)
                m.d.comb += [lane.kv.eq(kv[column]), lane.linear[0].eq(self.linear[column]),
                             lane.kv.en.eq(kv[column].en & (kv[column].group == group))]
            else:
                m.d.comb += [lane.kv.eq(below.kv_up if below else self.ctl.kv),
                             *(to.eq(by) for to, by in zip(lane.linear, self.linear))]
        m.d.sync += [self.sat_residual.eq(popcount(Cat(lane.cag_moved for lane in lanes))),
                     self.sat_token.eq(popcount(Cat(lane.token_moved for lane in lanes)))]
        return m
