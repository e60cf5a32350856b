"""Processing element: it is the multiply-accumulate cell of the systolic array."""

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gen.fixed import shape

__all__ = ["PE", "PEControl"]


class PEControl(data.StructLayout):
    """Control that travels to the right with the operand.

    ``df2``: the product goes to the result register (dataflow 2). ``first``: that register starts
    anew with this product. ``sc``: the value register takes the shortcut. ``swap``: it takes what has
    been loaded. ``pair``: operands and values are of two slices; only with fast products.
    """

    def __init__(self, cfg):
        super().__init__({"df2": 1, "first": 1, "sc": 1, "swap": 1,
                          **({"pair": 1} if cfg.program.fast else {})})


class PE(wiring.Component):
    """The PE has one multiplier, one adder and the registers of both dataflows of Fig. 8.

    Dataflow 1 (LSH, linear, score): ``sum_out = sum_in + x * value``, and the operand goes right.
    Dataflow 2 (output): ``res += x * value``, and operand and value go right and up. The results
    leave on a chain of their own (``shift``), which dataflow 1 may overlap.

    A second value register is loaded while the first is in use: the registers of a row are a chain
    (``push``), and ``swap``, which comes with the first operand of a stream, takes over what is there.

    With fast products a PE has two values and takes two operands, of two slices a and b, and forms
    (x_a + w_b)(x_b + w_a). The sums are running ones: a value is loaded as its difference to that of the
    column on the left, so that the register of an operand on its way right is that of the sum as well
    (FFIP). The chain of a load has both registers of a PE, so that a load takes two pushes a column: the
    second value of the rightmost first, then its first. An operand without ``pair`` is alone and goes right
    as it is; a value by ``svc``, ``sc`` or ``df2`` is alone in any case.

    Operand and product are both registered. At 45 nm a multiplier and an adder in one cycle miss
    1 GHz by far, and the operand multiplexer in front of the multiplier misses it still.

    Timing: ``x_in`` in cycle c meets ``sum_in`` in c+2; ``sum_out`` shows their sum in c+3, and so
    does ``res_out`` in dataflow 2. ``ap_in`` comes with ``x_in`` and shows in ``ap_out`` in c+1, as
    ``x_in`` shows in ``x_out``. ``swap`` in c takes the loaded value, as it is in c, for operands from
    ``x_in`` of c on; ``svc`` and ``sc`` in c take ``shortcut`` of c likewise. ``push`` in c takes
    ``shadow_in`` of c, which shows in ``shadow_out`` in c+1. There is no back-pressure. Only control is
    reset: data are never read before they are written.

    Numerics: exact; :attr:`CTAConfig.acc` holds every sum of every phase.

    Source: Sec. IV-B(1), Fig. 8. The second operand register and the second value register are ours,
    and so is ``svc``, with which CAG borrows multiplier and adder. Fast products: S. Winograd, "A New
    Algorithm for Inner Product", IEEE Trans. Computers 1968; FFIP: T. E. Pogue and N. Nicolici, "Fast
    Inner-Product Algorithms and Architectures for Deep Neural Network Accelerators", IEEE Trans. Computers
    2023.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    x_in : Operand from the left, with ``pair`` x_a + w_b of the column on the left. Format ``cfg.left``.
    y_in : With ``pair`` x_b + w_a of the column on the left. Format ``cfg.value``. Only with fast products.
    ctl_in : Control of the operand that comes in this cycle.
    ap_in : Value of dataflow 2 from below, with its operand. Format ``cfg.value``.
    sum_in : Running sum of dataflow 1 from below, two cycles after its operand. Format ``cfg.acc``.
    push : The second value register takes ``shadow_in``.
    shadow_in : Value from the left, of the load. Format ``cfg.value``.
    shortcut : Value from outside, taken with ``svc`` or ``sc``. Format ``cfg.value``.
    svc : The value is ``shortcut`` in this cycle, for CAG.
    shift : The result register takes ``res_in``, unless dataflow 2 writes it in this cycle.
    res_in : Result of the PE below. Format ``cfg.acc``.
    x_out : Operand for the right, one cycle after ``x_in``. Format ``cfg.left``.
    y_out : Second factor of the product, for the right. Only with fast products.
    ctl_out : Control for the right, one cycle after ``ctl_in``.
    ap_out : The value, which goes up, one cycle after ``ap_in``. Format ``cfg.value``.
    sum_out : Sum of dataflow 1, three cycles after its operand. Format ``cfg.acc``.
    shadow_out : The second value register, for the right. Format ``cfg.value``.
    res_out : The result register. Format ``cfg.acc``; valid three cycles after its last operand.
    """

    module_name = "cta_pe"

    def __init__(self, cfg):
        left, value, acc = shape(cfg.left), shape(cfg.value), shape(cfg.acc)
        super().__init__({
            "x_in": In(left), "ctl_in": In(PEControl(cfg)), "ap_in": In(value), "sum_in": In(acc),
            "push": In(1), "shadow_in": In(value), "shadow_out": Out(value),
            "shortcut": In(value), "svc": In(1), "shift": In(1), "res_in": In(acc),
            "x_out": Out(left), "ctl_out": Out(PEControl(cfg)), "ap_out": Out(value),
            "sum_out": Out(acc), "res_out": Out(acc),
            **({"y_in": In(value), "y_out": Out(value)} if cfg.program.fast else {}),
        })
        self._fast, self._control = cfg.program.fast, PEControl(cfg)
        self._left, self._value, self._acc = left, value, acc

    def elaborate(self, platform):
        m = Module()

        # Cycle c: operand and value.
        x = Signal(self._left, reset_less=True)
        value = Signal(self._value, reset_less=True)
        shadow = Signal(self._value, reset_less=True)
        ctl, comes = Signal(self._control), Signal.like(value)
        m.d.sync += [ctl.eq(self.ctl_in), value.eq(comes)]
        m.d.comb += comes.eq(value)
        with m.If(self.svc | self.ctl_in.sc):
            m.d.comb += comes.eq(self.shortcut)
        with m.Elif(self.ctl_in.df2):
            m.d.comb += comes.eq(self.ap_in)
        with m.Elif(self.ctl_in.swap):
            m.d.comb += comes.eq(shadow)
        with m.If(self.push):
            m.d.sync += shadow.eq(self.shadow_in)
        m.d.comb += [self.x_out.eq(x), self.ctl_out.eq(ctl), self.ap_out.eq(value)]
        if self._fast:
            factor = self._pair(m, x, value, comes, shadow)
        else:
            m.d.sync += x.eq(self.x_in)
            m.d.comb += self.shadow_out.eq(shadow)
            factor = value

        # Cycle c+1: product.
        product = Signal(signed(len(x) + len(value)), reset_less=True)
        df2, first = Signal(), Signal()
        m.d.sync += [product.eq(x * factor), df2.eq(ctl.df2), first.eq(ctl.first)]

        # Cycle c+2: the one adder.
        total = Signal(self._acc, reset_less=True)
        result = Signal(self._acc, reset_less=True)
        added = Signal(self._acc)
        m.d.comb += added.eq(product + Mux(df2, Mux(first, Const(0, self._acc), result),
                                           self.sum_in))
        with m.If(df2):
            m.d.sync += result.eq(added)
        with m.Else():
            m.d.sync += total.eq(added)
            with m.If(self.shift):
                m.d.sync += result.eq(self.res_in)
        m.d.comb += [self.sum_out.eq(total), self.res_out.eq(result)]
        return m

    def _pair(self, m, x, value, comes, shadow):
        """Both factors of a pair, each a sum that runs along the row, or the operand and the value that
        ``comes`` as they are. The second factor. A value from outside comes late and is of no pair: it is
        chosen behind the adder."""
        second, held = (Signal.like(comes, name=name, reset_less=True) for name in ("second", "held"))
        factor, own, other = Signal.like(second, reset_less=True), Signal.like(second), Signal.like(second)
        pair, swap = self.ctl_in.pair, self.ctl_in.swap
        outside = self.svc | self.ctl_in.sc | self.ctl_in.df2
        m.d.comb += [own.eq(Mux(swap, shadow, value)), other.eq(Mux(swap, held, second)),
                     self.shadow_out.eq(held), self.y_out.eq(factor)]
        m.d.sync += [second.eq(other), x.eq(self.x_in + Mux(pair, other, 0)),
                     factor.eq(Mux(outside, comes, own + Mux(pair, self.y_in, 0)))]
        with m.If(self.push):
            m.d.sync += held.eq(shadow)
        return factor
