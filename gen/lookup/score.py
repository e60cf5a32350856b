"""Score: it makes code and score of a row of a table's tau elements (LookupFFN, eqs. 6 to 8)."""

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.fixed import floor_and_half, saturate, shape
from model.fixed import SHIFT
from model.lookup.config import LookupConfig
from model.lookup.timing import score_latency, score_sums

__all__ = ["Score"]


def _bit(value, at: int):
    """The bit that a rounding adds: 0 where nothing is cut, or more than there is."""
    return value[at] if 0 <= at < len(value) else 0


class Score(wiring.Component):
    """Code and score of one row of N(z): s = <z, S> * 2**-log, with sums in place of products.

    Every |z_j| has its own copy of the table of log2(1 + exp(-2|z|)): 128 x 10 bits of logic, and
    no port to share, so that a table of the layer takes a cycle. The sum of the logarithms goes
    through a table of powers of two; the only wide multiplier stands before the only rounding. A
    neighbour (``entry`` j + 1: bit j flipped) is a pass of its own over the same elements, in which
    nothing but the small part behind the sums toggles.

    Timing: ``code, score, saturated`` are valid ``score_latency`` cycles after ``z, entry``, and
    ``shift`` is taken ``score_sums`` + 1 cycles after them. One row a cycle, no stalls.

    Numerics: golden ``model.lookup.hash.codes`` and ``scores``.

    Source: Sec. 3.1, eqs. 6 to 8.

    Members
    -------
    z : The tau elements of a table. Format ``fmt.z``.
    shift : Right shift of the score of that table, ``score_sums`` + 1 cycles later.
    code : Row of the table; the sign of the first element is its highest bit.
    score : Weight of that row. Format ``cfg.score``.
    saturated : The weight is saturated.
    entry : Row asked for: 0 the heaviest, j + 1 the one at bit j flipped. With ``cfg.neighbours``
        only.
    """

    module_name = "lookup_score"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        members = {
            "z": In(data.ArrayLayout(shape(cfg.fmt.z), cfg.tau)), "shift": In(SHIFT.width),
            "code": Out(cfg.tau), "score": Out(shape(cfg.score)), "saturated": Out(1)}
        if cfg.neighbours:
            members["entry"] = In(range(cfg.tau + 1))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        cfg, tau = self.cfg, self.cfg.tau
        sums = score_sums(cfg)

        # Cycle 1: sign and magnitude. Bit 0 of the hash is the most significant of the code.
        bits = Signal(tau, reset_less=True)
        magnitude = [Signal(shape(cfg.magnitude), name=f"magnitude_{j}", reset_less=True)
                     for j in range(tau)]
        for j, each in enumerate(magnitude):
            z = self.z[j]
            m.d.sync += [each.eq(Mux(z < 0, -z, z)), bits[tau - 1 - j].eq(z > 0)]

        # Cycle 2: logarithms. From here on a cycle for each two levels of the sums.
        table = Array(Const(int(v), cfg.log_mantissa) for v in cfg.log_table)
        terms = [Signal(cfg.log_mantissa, name=f"term_{j}", reset_less=True) for j in range(tau)]
        for term, each in zip(terms, magnitude):
            index = each >> cfg.log_step
            inside = ~index[cfg.log_index:].any()
            m.d.sync += term.eq(Mux(inside, table[index[:cfg.log_index]], 0))
        ready = sums - cfg.neighbours
        log = self._tree(m, terms, ready - 2, cfg.log_sum.width, "log")
        inner = self._tree(m, magnitude, ready - 1, cfg.magnitude_sum.width, "inner")

        code = delay(m, bits, ready - 1, name="bits")
        if cfg.neighbours:
            log, inner, code = self._neighbour(m, magnitude, log, inner, code, ready)

        # Cycle sums + 1: exponent e = -r in units of 1/64; i = e >> 6, f = e & 63.
        rounded = Signal(cfg.log_sum.width + 1)
        half = cfg.log_mantissa - cfg.exp_index
        m.d.comb += rounded.eq((log >> half) + _bit(log, half - 1))
        fraction = Signal(cfg.exp_index, reset_less=True)
        # Where all logarithms are small, rounding up still gives a place.
        right = Signal(max(1, len(rounded) + 1 - cfg.exp_index), reset_less=True)
        m.d.sync += [fraction.eq(-rounded),
                     right.eq((rounded + ((1 << cfg.exp_index) - 1)) >> cfg.exp_index)]

        # Cycle sums + 2: mantissa and shift; beyond the width of the product nothing is left.
        powers = Array(Const(int(v), cfg.exp_mantissa) for v in cfg.exp_table)
        mantissa = Signal(cfg.exp_mantissa, reset_less=True)
        if cfg.gelu_scaled:
            inner = delay(m, inner, 2, name="inner")
            product = Signal((inner * mantissa).shape(), reset_less=True)
        else:
            product = Signal(cfg.exp_mantissa + cfg.fmt.z.frac, reset_less=True)
        most = len(product) + 1
        shift = Signal(range(most + 1), reset_less=True)
        places = Signal(range((1 << len(right)) + 31))
        m.d.comb += places.eq(right + self.shift)
        m.d.sync += [mantissa.eq(powers[fraction]), shift.eq(Mux(places > most, most, places))]

        # Cycle sums + 3: the product. Then shift and rounding.
        if cfg.gelu_scaled:
            m.d.sync += product.eq(inner * mantissa)
        else:
            m.d.sync += product.eq(mantissa << cfg.fmt.z.frac)
        floor, up = floor_and_half(product, delay(m, shift, 1, name="shift"))
        whole, carry = Signal(floor.shape(), reset_less=True), Signal(reset_less=True)
        m.d.sync += [whole.eq(floor), carry.eq(up)]
        score, moved = saturate(whole + carry, cfg.score)
        m.d.sync += [self.score.eq(score), self.saturated.eq(moved)]
        behind = score_latency(cfg) - sums
        m.d.comb += self.code.eq(delay(m, code, behind, name="code"))
        return m

    def _neighbour(self, m, magnitude, log, inner, code, ready):
        """The sums and the code of the row at one flipped bit; entry 0 flips none."""
        cfg, tau = self.cfg, self.cfg.tau
        # Cycle 2: the flipped |z_j|, 0 for entry 0. Cycle 3: times 2 log2 e. Cycle 4: rounded.
        chosen = Signal.like(magnitude[0], reset_less=True)
        flip = Signal(tau, reset_less=True)
        m.d.sync += [chosen.eq(0), flip.eq(0)]
        with m.Switch(delay(m, self.entry, 1, name="entry")):
            for j, each in enumerate(magnitude):
                with m.Case(j + 1):
                    m.d.sync += [chosen.eq(each), flip.eq(1 << (tau - 1 - j))]
        product = Signal((chosen * cfg.flip_factor).shape(), reset_less=True)
        m.d.sync += product.eq(chosen * cfg.flip_factor)
        cost = Signal(max(1, len(product) - cfg.flip_shift + 1), reset_less=True)
        m.d.sync += cost.eq((product >> cfg.flip_shift) + _bit(product, cfg.flip_shift - 1))

        # Cycle `ready`: all meet.
        cost = delay(m, cost, ready - 4, name="cost")
        chosen = delay(m, chosen, ready - 2, name="chosen")
        flip = delay(m, flip, ready - 2, name="flip")
        flipped_log = Signal(cfg.log_sum.width, reset_less=True)
        flipped_inner = Signal(shape(cfg.inner), reset_less=True)
        flipped_code = Signal(tau, reset_less=True)
        m.d.sync += [flipped_log.eq(log + cost), flipped_inner.eq(inner - (chosen << 1)),
                     flipped_code.eq(code ^ flip)]
        return flipped_log, flipped_inner, flipped_code

    @staticmethod
    def _tree(m, values, cycles, width, name):
        """The sum of ``values``, ``cycles`` later: four to one a cycle, then registers only."""
        for level in range(cycles):
            sums = [Signal(width, name=f"{name}_{level}_{i}", reset_less=True)
                    for i in range(-(-len(values) // 4))]
            m.d.sync += [to.eq(sum(values[4 * i:4 * i + 4])) for i, to in enumerate(sums)]
            values = sums
        value, = values
        return value
