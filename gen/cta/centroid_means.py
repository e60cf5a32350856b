"""CAVG: it makes centroids of sums and counts (CTA, Sec. IV-B (3))."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import address_width
from gen.blocks.pipeline import delay, stages
from gen.emit import place
from gen.fixed import leading_one, popcount, round_half_up, saturate, shape
from model.cta.config import CTAConfig
from model.cta.job import LSH_WIDTH
from model.cta.timing import CAG_FIRST_ROW
from model.fixed import clog2

__all__ = ["CentroidMeans", "MeanLane"]


class MeanLane(wiring.Component):
    """One lane of CAVG on either side of its multiplier: sum to operand, product to centroid.

    Timing: ``x`` comes a cycle after ``total`` and ``shift``, ``c`` and ``moved`` a cycle after
    ``product``. One row a cycle, no back-pressure.

    Numerics: round half up, and saturation of ``c``, which ``moved`` tells of.

    Source: as :class:`CentroidMeans`.

    Members
    -------
    total : Sum of the members of a cluster. Format ``cfg.csum``.
    shift : Right shift of the sum, ceil(log2 count), in the same cycle.
    x : The sum shifted right by that, rounded half up. Format ``cfg.left``.
    product : Product of ``x`` and the reciprocal, from the borrowed multiplier.
    c : The mean in the format of a centroid. Format ``fmt.centroid``.
    moved : ``c`` is saturated.
    """

    module_name = "cta_mean_lane"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "total": In(shape(cfg.csum)), "shift": In(shift_width(cfg)), "x": Out(shape(cfg.left)),
            "product": In(product_shape(cfg)), "c": Out(shape(cfg.fmt.centroid)), "moved": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        # A mean of tokens is a token, so the upper bits of the shifted sum only repeat the sign.
        scaled = round_half_up(self.total, self.shift)[:cfg.fmt.token.width].as_signed()
        # A wire: an expression would be spelt out for every bit that `saturate` looks at.
        mean = Signal(self.rounded(self.product).shape())
        value, moved = saturate(mean, cfg.fmt.centroid)
        m.d.comb += [mean.eq(self.rounded(self.product)),
                     self.x.eq(delay(m, scaled, 1, name="scaled")),
                     self.c.eq(delay(m, value, 1, name="centroid")),
                     self.moved.eq(delay(m, moved, 1, name="moved"))]
        return m

    def rounded(self, product):
        """A product brought to the point of a centroid."""
        return round_half_up(product, self.cfg.mean_reciprocal_frac + self.cfg.residual_shift)


def product_shape(cfg: CTAConfig):
    """Shape of what a borrowed multiplier gives."""
    return signed(cfg.left.width + cfg.value.width)


def shift_width(cfg: CTAConfig) -> int:
    """Bits of ceil(log2 count)."""
    return clog2(cfg.count_width + 1)


class CentroidMeans(wiring.Component):
    """Divides the sums of a job by the counts on the multipliers of a borrowed column.

        s = ceil(log2 count); t = round_half_up(sum, s)
        m = round_half_up(t * mean_table[count], mean_reciprocal_frac + residual_shift)
        c = sat_centroid(m)

    The shift first brings a sum to the size of a token, so that the PE's operand is wide enough.
    The table is the paper's, of the reciprocal's mantissa. A row passes, one cycle each:

    0. The count is read.             1. s and the table entry.
    2. ``cavg_next``; the sums; t.    3. ``cavg_x``, ``cavg_value``.
    6. ``cavg_sum``; rounded.         7. ``c_we``: the centroid is written.

    Timing: starts in the cycle in which ``full`` is high, one row a cycle, jobs without a gap.
    ``started`` and ``done`` are high with ``c_we`` of the first and the last row of a job.
    ``sat_centroid`` is one cycle later. There is no back-pressure.

    Numerics: golden ``model.cta.centroid.centroids``; t is a token, saturations are counted.

    Source: Sec. IV-B (3), Fig. 9 (b). Counts are read a cycle before the sums, so that shift and
    reciprocal wait in registers when the wide row comes.

    Members
    -------
    full : A bank has all sums of a job.
    full_lsh : Clustering of that job.
    full_slice : Slice of that job.
    full_k : Clusters of that job.
    read_en : The count of a cluster is read; its sums follow a cycle later.
    read_addr : Cluster whose count and sums are read.
    read_last : The cluster read is the last of the job; the bank is free.
    count : Members of the cluster, one cycle after ``read_en``.
    sums[d] : Sums of its members, two cycles after ``read_en``. Format ``cfg.csum``.
    cavg_next : The operand is at the borrowed column in the next cycle.
    cavg_x[d] : Operand of CAVG, the scaled sum of a cluster. Format ``cfg.left``.
    cavg_value : Factor of CAVG, the mantissa of 1/count. Format ``cfg.value``.
    cavg_sum[d] : Their product, three cycles after the operand.
    c_we : A centroid is written.
    c_lsh : Clustering of that centroid.
    c_slice : Slice of that centroid.
    c_addr : Row of its bank.
    c_data[d] : The centroid. Format ``fmt.centroid``.
    started : The first centroid of a job is written.
    done : The last centroid of a job is written.
    sat_centroid : Elements that saturated in the row written one cycle before.
    busy : A row is under way.
    """

    module_name = "cta_centroid_means"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        slices = address_width(cfg.slices)
        super().__init__({
            "full": In(1), "full_lsh": In(LSH_WIDTH), "full_slice": In(slices),
            "full_k": In(cfg.count_width),
            "read_en": Out(1), "read_addr": Out(address_width(cfg.sum_rows)), "read_last": Out(1),
            "count": In(cfg.count_width), "sums": In(shape(cfg.csum)).array(cfg.d),
            "cavg_next": Out(1), "cavg_x": Out(shape(cfg.left)).array(cfg.d),
            "cavg_value": Out(shape(cfg.value)), "cavg_sum": In(product_shape(cfg)).array(cfg.d),
            "c_we": Out(1), "c_lsh": Out(LSH_WIDTH), "c_slice": Out(slices),
            "c_addr": Out(address_width(cfg.row_depth)),
            "c_data": Out(shape(cfg.fmt.centroid)).array(cfg.d),
            "started": Out(1), "done": Out(1),
            "sat_centroid": Out(range(cfg.d + 1)), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg

        # 0: one row a cycle, as long as there is a full bank.
        row = Signal(len(self.read_addr))
        m.d.comb += [self.read_en.eq(self.full), self.read_addr.eq(row),
                     self.read_last.eq(self.full & (row == self.full_k - 1))]
        with m.If(self.full):
            m.d.sync += row.eq(row + 1)
        with m.If(self.read_last):
            m.d.sync += row.eq(0)
        valid = stages(m, self.full, CAG_FIRST_ROW, name="valid", reset=True)

        # 1: ceil(log2 count) is the place of the leading one of 2*count - 1.
        less_one = Signal(cfg.count_width)
        shift = Signal(shift_width(cfg))
        value = Signal(cfg.mean_reciprocal_frac + 1)
        table = Array(Const(int(v), len(value)) for v in cfg.mean_table)
        m.d.comb += [less_one.eq(self.count - 1), value.eq(table[self.count]),
                     shift.eq(leading_one(Cat(1, less_one))),
                     self.cavg_value.eq(delay(m, value, 2))]
        shift_due = delay(m, shift, 1)

        # 2 and 6, a lane each.
        lanes = [MeanLane(cfg) for _ in range(cfg.d)]
        for i, lane in enumerate(lanes):
            m.submodules[f"lane_{i}"] = place(platform, lane)
            m.d.comb += [lane.total.eq(self.sums[i]), lane.shift.eq(shift_due),
                         self.cavg_x[i].eq(lane.x), lane.product.eq(self.cavg_sum[i]),
                         self.c_data[i].eq(lane.c)]
        m.d.comb += [self.cavg_next.eq(valid[2]), self.c_we.eq(valid[CAG_FIRST_ROW])]
        moved = popcount(Cat(lane.moved for lane in lanes))
        m.d.sync += self.sat_centroid.eq(Mux(self.c_we, moved, 0))

        # Where the row goes. The bank may get its next job meanwhile, so this goes along.
        base = Array(Const(at, len(self.c_addr)) for at in self.bases())
        start = Signal(len(self.c_addr))
        first = Signal()
        last = Signal()
        m.d.comb += start.eq(base[Cat(self.full_slice, self.full_lsh)])
        along = Cat(self.full_lsh, self.full_slice, (start + (row << cfg.program.fast))[:len(start)],
                    row == 0, self.read_last)
        m.d.comb += [Cat(self.c_lsh, self.c_slice, self.c_addr, first, last).eq(
                         delay(m, along, CAG_FIRST_ROW, name="along")),
                     self.started.eq(self.c_we & first), self.done.eq(self.c_we & last),
                     self.busy.eq(Cat(valid).any())]
        return m

    def bases(self):
        """First row of each slice of each clustering in its bank, by {lsh, slice}."""
        cfg = self.cfg
        for start, k in (0, cfg.k0), (0, cfg.k1), (cfg.c2_base, cfg.k2):
            for at in range(1 << len(self.full_slice)):
                yield start + cfg.row_of(min(at, cfg.slices - 1), 0, k)
