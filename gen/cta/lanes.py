"""Lanes: they hold what lies outside the array, a lane for a few of its rows."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import stages
from gen.cta.interfaces import LeftEdge, RowRead
from gen.cta.lane import Lane
from gen.cta.lane_commands import CentroidRead, CentroidWrite, LaneCommand, LinearWrite, LoadWrite, WriteBack
from gen.cta.load_queue import LoadQueue
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
    cmd : What the lowest lane reads; each lane above does so ``lane_rows`` cycles later.
    weights_next : The lowest lane reads its weight bank in the next cycle.
    kv : Write-back of K and V, for the lowest lane; each lane above has it ``lane_rows`` cycles later. Where
        weights stay, of Q, K and V for column 0; each column to the right has it a cycle later.
    o : Write-back of O, for the highest lane; each lane below has it ``lane_rows`` cycles later.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"cmd": Out(LaneCommand(cfg)), "weights_next": Out(1),
                          "kv": Out(LinearWrite(cfg)), "o": Out(WriteBack(cfg, cfg.queries))})


class LaneLoad(wiring.Signature):
    """A beat of the loader on its way to the banks.

    Members
    -------
    write : Bank and row of the beat.
    group : Rows of the beat, which are group*lanes and up.
    beat : Its elements, that of the lowest row lowest.
    hold[groups] : No beat of a weight may be taken for a group: its banks are read in the next cycle, so
        that none is written, or its queue is full.
    busy : Beats wait in a queue.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"write": Out(LoadWrite(cfg)), "group": Out(range(max(2, cfg.groups))),
                          "beat": Out(beat_width(cfg)), "hold": In(1).array(cfg.groups), "busy": In(1)})


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

    The cut is all that holds vectors of the token dimension; a lane has ``lane_rows`` of their elements.
    Commands enter at one end and climb, so each row of the array gets its operand a cycle after the row
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
            "sat_residual": Out(range(cfg.d + 1)),
            "sat_token": Out(range((1 + cfg.program.fast) * cfg.d + 1))})

    def elaborate(self, platform):
        m = Module()
        cfg, left, centroids = self.cfg, self.left, self.centroids
        each = cfg.lane_rows
        lanes = [Lane(cfg) for _ in range(cfg.d // each)]
        if cfg.program.weights_stay:
            kv = [self.ctl.kv.shape()(at) for at in stages(m, self.ctl.kv, cfg.b - 1, name="kv", reset=True)]
        reads = [self.ctl.weights_next, *(lane.reads_next for lane in lanes)]
        a_group = cfg.lanes // each
        next_reads = [Cat(reads[at * a_group:(at + 1) * a_group]).any() for at in range(cfg.groups)]
        writes = self._writes(m, platform, next_reads)
        for at, lane in enumerate(lanes):
            m.submodules[f"lane_{at}"] = place(platform, lane)
            below, above = lanes[at - 1] if at else None, lanes[at + 1] if at + 1 < len(lanes) else None
            rows = slice(at * each, (at + 1) * each)
            first = rows.start % cfg.lanes * ELEMENT_WIDTH
            write, beat = writes[rows.start // cfg.lanes]
            m.d.comb += [
                lane.load.eq(write), lane.load_data.eq(beat[first:first + each * ELEMENT_WIDTH]),
                lane.cmd.eq(below.cmd_up if below else self.ctl.cmd),
                lane.o.eq(above.o_down if above else self.ctl.o),
                lane.cag.eq(centroids.read), lane.c.eq(centroids.write),
                lane.read_en.eq(self.rows.en), lane.read_addr.eq(self.rows.addr),
                *(to.eq(by) for tos, bys in (
                    (lane.out, self.out), (left.x[rows], lane.x),
                    *([(left.y[rows], lane.y)] if cfg.program.fast else []),
                    (left.ctl[rows], lane.pe), (left.push[rows], lane.push),
                    (left.shadow[rows], lane.shadow), (self.cacc_x[rows], lane.cag_x),
                    (lane.c_data, centroids.data[rows]), (self.rows.data[rows], lane.read_data))
                  for to, by in zip(tos, bys, strict=True)),
            ]
            if cfg.program.weights_stay:
                group, column = divmod(rows.start, cfg.b)
                m.d.comb += [lane.kv.eq(kv[column]),
                             lane.kv.en.eq(kv[column].en & (kv[column].group == group)),
                             *(to.eq(by) for to, by in zip(lane.linear, self.linear[column:column + each]))]
            else:
                m.d.comb += [lane.kv.eq(below.kv_up if below else self.ctl.kv),
                             *(to.eq(by) for to, by in zip(lane.linear, self.linear))]
        m.d.sync += self.sat_residual.eq(popcount(Cat(bit for lane in lanes for bit in lane.cag_moved)))
        counts = [Signal(range(cfg.d + 1), name=f"moved_{which}") for which in range(1 + cfg.program.fast)]
        m.d.sync += [count.eq(popcount(Cat(bit[which] for lane in lanes for bit in lane.token_moved)))
                     for which, count in enumerate(counts)]
        m.d.comb += self.sat_token.eq(sum(counts))
        return m

    def _writes(self, m, platform, reads):
        """A group's write of the loader and its beat: as it comes, or out of a queue of the group. ``reads``:
        whether weight banks of a group are read in the next cycle."""
        cfg, load, writes, busy = self.cfg, self.load, [], []
        for group, next_read in enumerate(reads):
            write, mine = Signal(LoadWrite(cfg), name=f"write_{group}"), load.group == group
            m.d.comb += [write.eq(load.write), write.token.eq(load.write.token & mine),
                         write.weight.eq(load.write.weight & mine)]
            if not cfg.load_queue:
                writes.append((write, load.beat))
                m.d.comb += load.hold[group].eq(next_read)
                continue
            m.submodules[f"queue_{group}"] = place(platform, queue := LoadQueue(cfg))
            m.d.comb += [queue.put.eq(write), queue.beat.eq(load.beat), queue.hold.eq(next_read),
                         load.hold[group].eq(queue.full)]
            writes.append((queue.get, queue.taken))
            busy.append(queue.busy)
        m.d.comb += load.busy.eq(Cat(busy).any() if busy else 0)
        return writes
