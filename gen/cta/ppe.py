"""Post processing element: it works on the sums that leave one column of the array."""

from enum import IntEnum

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.emit import place
from gen.fixed import floor_and_half, floor_shift, leading_one, round_half_up, saturate, shape
from model.cta.job import LSH_WIDTH
from model.cta.schedule import Op
from model.fixed import SHIFT

__all__ = ["Multiplier", "PPE", "PPEOp"]


# What a sum at the top of a column is: none, a partial sum, which passes the PPE by, or one of an
# operation of the array.
PPEOp = IntEnum("PPEOp", {"NONE": 0, "PSUM": 1, **{op.name: 2 + at for at, op in enumerate(
    (Op.HASH, Op.Q, Op.K, Op.V, Op.SCORE, Op.OUT))}}, module=__name__)


class Multiplier(wiring.Component):
    """The multiplier of a PPE, in two cycles: in one it misses 1 GHz by a fifth.

    The lower and the upper bits of the operand have a product each, which the second cycle adds. It is
    a module of its own because synthesis does not make a path faster than the longest of its module.

    Timing: ``product`` comes two cycles after ``t`` and ``factor``, one a cycle.

    Numerics: exact.

    Source: as :class:`PPE`.

    Members
    -------
    t : Operand. Format ``fmt.ppe``.
    factor : The other operand. Format ``fmt.multiplier``.
    product : Their product.
    """

    module_name = "cta_ppe_multiplier"

    def __init__(self, cfg):
        t, factor = shape(cfg.fmt.ppe), shape(cfg.fmt.multiplier)
        super().__init__({"t": In(t), "factor": In(factor),
                          "product": Out(signed(t.width + factor.width))})

    def elaborate(self, platform):
        m = Module()
        cut = len(self.t) // 2 + 1
        # All with a sign, as of multipliers that is the fastest.
        factor, lower = (Cat(part, Const(0, 1)).as_signed() for part in (self.factor, self.t[:cut]))
        upper = self.t[cut:].as_signed()
        low, high = (Signal(signed(len(factor) + len(part)), reset_less=True, name=name)
                     for name, part in (("low", lower), ("high", upper)))
        product = Signal.like(self.product, reset_less=True)
        m.d.sync += [low.eq(factor * lower), high.eq(factor * upper), product.eq(low + (high << cut))]
        m.d.comb += self.product.eq(product)
        return m


class PPE(wiring.Component):
    """The PPE makes of the sums of one column Q, K, V, scores, hash values and normalised outputs.

    One multiplier serves HASH (t * 1/w) and the drain of results (t * 1/sum), because the schedule
    never has both. Its operand comes through one shifter and its product through another, each used
    both ways. Q, K, V and SCORE have a shifter of their own, because they run while results drain.

    Timing (S: cycle of ``op`` and ``sum``): ``linear`` is valid in S+1, ``score`` in S+2, ``hash``
    in S+5. OUT takes ``ap_top`` of S-2. After ``last`` in S, ``request`` and ``index`` are up in
    S+3, and ``recip`` answers in the same cycle. ``drain`` is up from S+3 on, a cycle a result in
    ``res``, whose ``out`` comes five cycles later. Outputs hold until the next of their kind.
    There is no back-pressure. Control is reset, data are not.

    Numerics: formats of ``cfg.fmt``; golden ``model.cta`` lsh, linear, score, output. A saturation
    shows at its flag one cycle after the stage that saturates, in live columns only.

    Source: Sec. IV-B(1), where the PPE subtracts the maximum of the first k1 scores from the last
    k2 alone. That is exact after the normalisation, but an exponent may be positive
    (docs/numerics.md). The paper does not say how a sum of probabilities becomes its reciprocal:
    the table by the bits below the leading one is ours, and so are the stages.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    op : What the sum of this cycle is.
    lsh : LSH of a HASH, which selects ``inv_w``, ``pre`` and ``post``.
    first : First sum of a SCORE or OUT phase.
    last : Last sum of an OUT phase.
    level2 : SCORE is of level 2 and subtracts the maximum of level 1.
    zero : SCORE takes 0 for the sum.
    live : The column holds a query, centroid or hash function; others raise no flag.
    sum : Sum at the top of the column. Format ``cfg.acc``.
    ap_top : Probability at the top of the column, two cycles before its sum. Format ``fmt.ap``.
    res : Result register at the top of the column. Format ``cfg.acc``.
    bias : Bias of the hash function of this column, in the cycle of HASH. Format ``fmt.bias``.
    inv_w[3] : Mantissa of 1/w of LSH c. Format ``fmt.multiplier``; of the job.
    pre[3] : Right shift of a hash sum before the product with 1/w, by LSH. Of the job.
    post[3] : Right shift of that product, by LSH. Of the job.
    shift : Right shift of this sum of Q, K, V or SCORE.
    shift_out : Right shift of the product of a result and its reciprocal. Of the job.
    index : Address in the reciprocal table: the bits below the leading one of the sum.
    request : ``index`` asks the reciprocal table in this cycle.
    recip : Answer of the reciprocal table, in the cycle of the request. Format ``fmt.multiplier``.
    drain : ``res`` is a result to normalise in this cycle.
    hash : Hash value. Format ``fmt.hash``.
    linear : Element of Q, K or V. Format ``fmt.qkv``.
    score : Score, at level 2 less the maximum. Format ``fmt.score``.
    out : Normalised result. Format ``fmt.output``.
    out_valid : ``out`` is new in this cycle and the column is live.
    sat_hash : Saturations of HASH. Bit 0 is of the operand, bit 1 of the hash value.
    sat_linear : Saturation of an element of Q, K or V.
    sat_score : Saturations of SCORE. Bit 0 is of the score, bit 1 of its difference to the maximum.
    sat_output : Saturations of a result. Bit 0 is of the operand, bit 1 of the output.
    zero_row : The sum of probabilities of this column is zero.
    """

    module_name = "cta_ppe"

    def __init__(self, cfg):
        fmt, acc = cfg.fmt, shape(cfg.acc)
        super().__init__({
            "op": In(PPEOp), "lsh": In(LSH_WIDTH), "first": In(1), "last": In(1), "level2": In(1),
            "zero": In(1), "live": In(1),
            "sum": In(acc), "ap_top": In(shape(fmt.ap)), "res": In(acc),
            "bias": In(shape(fmt.bias)), "inv_w": In(shape(fmt.multiplier)).array(3),
            "pre": In(SHIFT.width).array(3), "post": In(SHIFT.width).array(3),
            "shift": In(SHIFT.width), "shift_out": In(SHIFT.width),
            "index": Out(cfg.recip_index), "request": Out(1), "recip": In(shape(fmt.multiplier)),
            "drain": In(1),
            "hash": Out(shape(fmt.hash)), "linear": Out(shape(fmt.qkv)),
            "score": Out(shape(fmt.score)), "out": Out(shape(fmt.output)), "out_valid": Out(1),
            "sat_hash": Out(2), "sat_linear": Out(1), "sat_score": Out(2), "sat_output": Out(2),
            "zero_row": Out(1),
        })
        self.cfg = cfg

    def elaborate(self, platform):
        m = Module()
        self._round_sums(m)
        exponent, empty, wanted = self._sum_probabilities(m)
        self._multiply(m, platform, exponent, empty, wanted)
        return m

    def _round_sums(self, m):
        """Q, K, V and SCORE."""
        fmt = self.cfg.fmt

        # Cycle S: one shifter, two saturations.
        is_linear, is_score = Signal(), Signal()
        m.d.comb += [is_score.eq(self.op == PPEOp.SCORE), is_linear.eq(
            (self.op == PPEOp.Q) | (self.op == PPEOp.K) | (self.op == PPEOp.V))]
        rounded = Signal(signed(len(self.sum) + 1))
        m.d.comb += rounded.eq(round_half_up(self.sum, self.shift))

        linear, moved = saturate(rounded, fmt.qkv)
        m.d.sync += self.sat_linear.eq(is_linear & self.live & moved)
        with m.If(is_linear):
            m.d.sync += self.linear.eq(linear)

        score = Signal(shape(fmt.score), reset_less=True)
        kept, moved = saturate(rounded, fmt.score)
        m.d.sync += self.sat_score[0].eq(is_score & self.live & moved & ~self.zero)
        with m.If(is_score):
            m.d.sync += score.eq(Mux(self.zero, 0, kept))

        # Cycle S+1: the maximum of level 1, or its subtraction.
        scored, live, first, level2 = Signal(), Signal(), Signal(), Signal()
        m.d.sync += [scored.eq(is_score), live.eq(self.live), first.eq(self.first),
                     level2.eq(self.level2)]
        maximum = Signal(shape(fmt.score), reset_less=True)
        less, moved = saturate(score - maximum, fmt.score)
        m.d.sync += self.sat_score[1].eq(scored & live & level2 & moved)
        with m.If(scored):
            m.d.sync += self.score.eq(Mux(level2, less, score))
            with m.If(~level2 & (first | (score > maximum))):
                m.d.sync += maximum.eq(score)

    def _sum_probabilities(self, m):
        """OUT: the denominator as 2**exponent * (1 + index / 2**recip_index)."""
        cfg = self.cfg

        # Cycles S-2 and S-1: a probability leaves the top before its products join the results.
        ap = delay(m, self.ap_top, 2)

        # Cycle S.
        total = Signal(shape(cfg.ap_sum), reset_less=True)
        wanted, ended, known = Signal(), Signal(), Signal()
        with m.If(self.op == PPEOp.OUT):
            m.d.sync += total.eq(Mux(self.first, 0, total) + ap)
            with m.If(self.last):
                m.d.sync += wanted.eq(self.live)
        m.d.sync += ended.eq((self.op == PPEOp.OUT) & self.last)

        # Cycle S+1: the leading one.
        exponent = Signal(range(cfg.ap_sum.width), reset_less=True)
        empty = Signal(reset_less=True)
        with m.If(ended):
            m.d.sync += [exponent.eq(leading_one(total)), empty.eq(total == 0)]
        m.d.sync += [self.zero_row.eq(ended & wanted & (total == 0)), known.eq(ended)]

        # Cycle S+2: the bits below it, zeros where there are none. S+3: the table answers.
        with m.If(known):
            below = Cat(Const(0, cfg.recip_index), total) >> exponent
            m.d.sync += self.index.eq(below[:cfg.recip_index])
        m.d.sync += self.request.eq(known)
        return exponent, empty, wanted

    def _multiply(self, m, platform, exponent, empty, wanted):
        """HASH, from cycle S, and the drain of results, from cycle S+3: five cycles each."""
        cfg, fmt = self.cfg, self.cfg.fmt

        # First cycle: the operand, and how far it is shifted.
        hashes, drains, live = Signal(), Signal(), Signal()
        operand = Signal(signed(cfg.acc.width + cfg.result_guard), reset_less=True)
        shift, drop = (Signal(SHIFT.width, reset_less=True, name=name) for name in ("shift", "drop"))
        m.d.sync += [hashes.eq(self.op == PPEOp.HASH), drains.eq(self.drain), live.eq(self.live)]
        with m.If(self.op == PPEOp.HASH):
            m.d.sync += [operand.eq(self.sum + self.bias), shift.eq(Array(self.pre)[self.lsh]),
                         drop.eq(Array(self.post)[self.lsh])]
        with m.Else():
            m.d.sync += [operand.eq(Mux(empty, 0, self.res << cfg.result_guard)),
                         shift.eq(exponent), drop.eq(self.shift_out)]

        # Second cycle: both factors. The reciprocal stays for the whole drain.
        t = Signal(shape(fmt.ppe), reset_less=True)
        factor = Signal(shape(fmt.multiplier), reset_less=True)
        held, moved = saturate(floor_shift(operand, shift), fmt.ppe)
        inv_w = delay(m, Array(self.inv_w)[self.lsh], 1, name="inv_w")
        with m.If(hashes | drains):
            m.d.sync += t.eq(held)
        with m.If(hashes):
            m.d.sync += factor.eq(inv_w)
        with m.Elif(self.request):
            m.d.sync += factor.eq(self.recip)
        m.d.sync += [self.sat_hash[0].eq(hashes & live & moved),
                     self.sat_output[0].eq(drains & wanted & moved)]

        # Third and fourth cycle: the one multiplier.
        multiplier = Multiplier(cfg)
        m.submodules.multiplier = place(platform, multiplier)
        m.d.comb += [multiplier.t.eq(t), multiplier.factor.eq(factor)]
        product = multiplier.product

        # Fifth cycle: the floor is a hash value, the floor and the half an output.
        is_hash, is_out, live = (delay(m, flag, 3, reset=True) for flag in
                                 (hashes, drains & wanted, hashes & live))
        drop = delay(m, drop, 3)
        floor, half = floor_and_half(product, drop)
        hashed, hash_moved = saturate(floor, fmt.hash)
        out, out_moved = saturate(floor + half, fmt.output)
        with m.If(is_hash):
            m.d.sync += self.hash.eq(hashed)
        with m.If(is_out):
            m.d.sync += self.out.eq(out)
        m.d.sync += [self.sat_hash[1].eq(live & hash_moved), self.out_valid.eq(is_out),
                     self.sat_output[1].eq(is_out & out_moved)]
