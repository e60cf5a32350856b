"""Lane: it holds all that belongs to one dimension of the token, outside the array."""

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.cta.pe import PEControl
from gen.emit import place
from gen.fixed import round_half_up, saturate, shape
from model.cta.config import CTAConfig
from model.cta.layout import ELEMENT_WIDTH

__all__ = ["Lane", "LaneCommand", "ValueRead", "WriteBack", "CentroidRead", "CentroidWrite", "LoadWrite"]


class ValueRead(data.StructLayout):
    """A value for the array on its way to the second value registers, with ``push``.

    At most one of ``token``, ``weight``, ``key``, ``value`` reads, at ``addr``, and none where the
    column is empty. A token is brought to the format of a centroid.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"push": 1, "token": 1, "weight": 1, "key": 1, "value": 1,
                          "addr": address_width(cfg.bank_depth)})


class LaneCommand(data.StructLayout):
    """What row i reads and how it drives the array; enters lane 0 and climbs a lane a cycle.

    At most one of ``token``, ``weight``, ``key``, ``value`` reads, at ``addr``. ``residual``
    subtracts row ``c1_addr`` of C1 from the token. ``pe`` goes to the array with the x that this
    command reads. ``shadow`` reads a value beside it, of another bank.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({
            "token": 1, "weight": 1, "key": 1, "value": 1, "residual": 1,
            "addr": address_width(cfg.bank_depth), "c1_addr": address_width(cfg.value_depth),
            "pe": PEControl, "shadow": ValueRead(cfg),
        })


class WriteBack(data.StructLayout):
    """``en``: what column ``col`` shows at the top is written to row ``addr`` of a bank: of K and V,
    to the value bank with ``v`` and to the key bank without."""

    def __init__(self, cfg: CTAConfig, depth: int):
        super().__init__({"en": 1, "v": 1, "col": address_width(cfg.b), "addr": address_width(depth)})


class CentroidRead(data.StructLayout):
    """``en``: CACC reads token row ``addr``, less C1 row ``c1_addr`` if ``residual`` is set."""

    def __init__(self, cfg: CTAConfig):
        super().__init__({"en": 1, "residual": 1, "addr": address_width(cfg.token_depth),
                          "c1_addr": address_width(cfg.value_depth)})


class CentroidWrite(data.StructLayout):
    """CAVG writes a finished centroid to row ``addr`` of the key bank or of the value bank."""

    def __init__(self, cfg: CTAConfig):
        super().__init__({"key": 1, "value": 1,
                          "addr": address_width(cfg.row_depth)})


class LoadWrite(data.StructLayout):
    """The loader writes to row ``addr`` of the token bank or of the weight bank."""

    def __init__(self, cfg: CTAConfig):
        super().__init__({"token": 1, "weight": 1,
                          "addr": address_width(max(cfg.token_depth, cfg.weight_depth))})


class Lane(wiring.Component):
    """Row i outside the array: its banks, its left adder, its share of the write-back paths.

    There is one lane module, d times. The banks are token, weight, key (C0, and K behind it), value
    (C1 and C2, and V behind them) and output. In exact mode, where the array takes the tokens
    for centroids, K and V have the rows of the centroids as well. An operand and a value are read in
    one cycle and never from one bank: while C0 is loaded V may stream, while C1 and C2 are, weights.
    Each lane has its own small banks, so that the skew of the array is a skew of addresses (a register
    a lane) and not of d*(d-1)/2 data registers. Why these: docs/decisions/0022-memories.md.

    Timing: ``cmd`` in cycle c reads the banks; ``x``, ``pe``, ``shadow`` and ``push`` are valid in c+2 and
    ``cmd_up`` in c+1. ``cag`` in cycle c gives ``cag_x`` and ``cag_moved`` in c+2. ``linear`` and
    ``out`` are taken in the cycle of their write-back command and written one later. ``read_data``
    comes in the cycle after ``read_en``. There is no back-pressure: the sequencer knows every
    cycle. Reset clears the commands under way, never a bank.

    Numerics: residual = saturate(token - (C1 << residual_shift)); golden
    ``model.cta.centroid.residuals``. It is formed twice, for LSH2 and later for CACC, because the
    cluster of a token is known only when its row has long left the array; the second is counted. A
    token as a centroid is saturate(round_half_up(token, residual_shift)); golden
    ``model.cta.centroid.centroids`` of a single token.

    Source: Fig. 7 (memories, left column of adders), Sec. V-B (reuse of memories). The paper has
    two memories; the banks follow from what must be read and written in one cycle.

    Members
    -------
    cmd : What the lane reads for the array.
    cmd_up : Command for the lane above, ``cmd`` of one cycle before.
    x : Operand for row i of the array, two cycles after ``cmd``. Format ``cfg.left``.
    pe : Control of that operand, in the same cycle.
    push : The second value registers of row i take a value.
    shadow : Value of that load. Format ``cfg.value``.
    linear[b] : Elements of K and V at the top of the columns. Format ``fmt.qkv``.
    kv : Write-back of K and V, from the lane below.
    kv_up : Write-back of K and V for the lane above, ``kv`` of one cycle before.
    out[b] : Outputs at the top of the columns. Format ``fmt.output``.
    o : Write-back of O, from the lane above.
    o_down : Write-back of O for the lane below, ``o`` of one cycle before.
    load : Write of the loader.
    load_data : Element of that write, in the same cycle.
    cag : Row that CAG asks for.
    cag_x : Element of that row, two cycles later. Format ``cfg.left``.
    cag_moved : ``cag_x`` is a residual that saturated.
    token_moved : ``shadow`` is a token that saturated as a centroid.
    c : Write of a centroid.
    c_data : Element of that centroid, in the same cycle. Format ``fmt.centroid``.
    read_en : The output reads a row of O.
    read_addr : Row of O that the output reads.
    read_data : Element of that row, one cycle later, as the bank holds it.
    """

    module_name = "cta_lane"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        f = cfg.fmt
        super().__init__({
            "cmd": In(LaneCommand(cfg)), "cmd_up": Out(LaneCommand(cfg)),
            "x": Out(shape(cfg.left)), "pe": Out(PEControl), "push": Out(1),
            "shadow": Out(shape(cfg.value)),
            "linear": In(shape(f.qkv)).array(cfg.b),
            "kv": In(WriteBack(cfg, cfg.row_depth)), "kv_up": Out(WriteBack(cfg, cfg.row_depth)),
            "out": In(shape(f.output)).array(cfg.b),
            "o": In(WriteBack(cfg, cfg.queries)), "o_down": Out(WriteBack(cfg, cfg.queries)),
            "load": In(LoadWrite(cfg)), "load_data": In(ELEMENT_WIDTH),
            "cag": In(CentroidRead(cfg)), "cag_x": Out(shape(cfg.left)), "cag_moved": Out(1),
            "token_moved": Out(1),
            "c": In(CentroidWrite(cfg)), "c_data": In(shape(f.centroid)),
            "read_en": In(1), "read_addr": In(address_width(cfg.queries)),
            "read_data": Out(f.output.width),
        })

    def elaborate(self, platform):
        m = Module()
        cfg, f, cmd = self.cfg, self.cfg.fmt, self.cmd
        weight_width = max(f.weight.width, f.lsh_a.width)
        row = max(f.centroid.width, f.qkv.width)
        banks = {"token": SRAM(width=f.token.width, depth=cfg.token_depth, ports="1rw1r"),
                 "weight": SRAM(width=weight_width, depth=cfg.weight_depth),
                 "key": SRAM(width=row, depth=cfg.key_depth),
                 "value": SRAM(width=row, depth=cfg.value_depth, ports="1rw1r"),
                 "output": SRAM(width=f.output.width, depth=cfg.queries)}
        for name, bank in banks.items():
            m.submodules[f"{name}_bank"] = place(platform, bank)
        token, weight, key, value, output = banks.values()

        # Cycle c: the banks read. CACC needs C1 before the array needs C1, C2 or V.
        subtracts, load = self.cag.en & self.cag.residual, cmd.shadow
        m.d.comb += [
            *(wire.eq(by) for bank, reads, loads in (
                (token, cmd.token, load.token), (weight, cmd.weight, load.weight),
                (key, cmd.key, load.key))
              for wire, by in ((bank.r_en, reads | loads),
                               (bank.r_addr, Mux(loads, load.addr, cmd.addr)))),
            value.r_en.eq(cmd.residual), value.r_addr.eq(cmd.c1_addr),
            token.q_en.eq(self.cag.en), token.q_addr.eq(self.cag.addr),
            value.q_en.eq(cmd.value | load.value | subtracts),
            value.q_addr.eq(Mux(subtracts, self.cag.c1_addr, Mux(load.value, load.addr, cmd.addr))),
            output.r_en.eq(self.read_en), output.r_addr.eq(self.read_addr),
            self.read_data.eq(output.r_data),
        ]
        m.d.sync += self.cmd_up.eq(cmd)

        # Cycle c+1: choose, or subtract the centroid.
        residual, _ = self._residual(token.r_data, value.r_data)
        centroid, moved = self._centroid(token.r_data)
        chosen = Signal(shape(cfg.left))
        at = self.cmd_up     # the command one cycle later
        with m.If(at.residual):
            m.d.comb += chosen.eq(residual)
        with m.Elif(at.token):
            m.d.comb += chosen.eq(token.r_data.as_signed())
        with m.Elif(at.weight):
            m.d.comb += chosen.eq(weight.r_data.as_signed())
        with m.Elif(at.key):
            m.d.comb += chosen.eq(key.r_data.as_signed())
        with m.Else():
            m.d.comb += chosen.eq(value.q_data.as_signed())
        loaded = Signal(shape(cfg.value))
        with m.If(at.shadow.token):
            m.d.comb += loaded.eq(centroid)
        with m.Elif(at.shadow.weight):
            m.d.comb += loaded.eq(weight.r_data.as_signed())
        with m.Elif(at.shadow.key):
            m.d.comb += loaded.eq(key.r_data.as_signed())
        with m.Else():
            m.d.comb += loaded.eq(value.q_data.as_signed())
        x, pe = Signal(shape(cfg.left), reset_less=True), Signal(PEControl)
        shadow, push = Signal(shape(cfg.value), reset_less=True), Signal()
        m.d.sync += [x.eq(chosen), pe.eq(at.pe), shadow.eq(loaded), push.eq(at.shadow.push),
                     self.token_moved.eq(at.shadow.token & moved)]
        m.d.comb += [self.x.eq(x), self.pe.eq(pe), self.shadow.eq(shadow), self.push.eq(push)]

        # The same for CACC, from the second ports.
        subtract = Signal()
        difference, moved = self._residual(token.q_data, value.q_data)
        cag_x, cag_moved = Signal(shape(cfg.left), reset_less=True), Signal()
        asked = Signal()
        m.d.sync += [asked.eq(self.cag.en), subtract.eq(self.cag.residual),
                     cag_x.eq(Mux(subtract, difference, token.q_data.as_signed())),
                     cag_moved.eq(asked & subtract & moved)]
        m.d.comb += [self.cag_x.eq(cag_x), self.cag_moved.eq(cag_moved)]

        # Writes. The banks of keys and of values take CAVG first, and K and V behind it.
        kv, kv_data = Signal.like(self.kv), Signal(shape(f.qkv), reset_less=True)
        o, o_data = Signal.like(self.o), Signal(shape(f.output), reset_less=True)
        m.d.sync += [kv.eq(self.kv), kv_data.eq(Array(self.linear)[self.kv.col]),
                     o.eq(self.o), o_data.eq(Array(self.out)[self.o.col])]
        m.d.comb += [
            self.kv_up.eq(kv), self.o_down.eq(o),
            token.w_en.eq(self.load.token), token.w_addr.eq(self.load.addr),
            token.w_data.eq(self.load_data),
            weight.w_en.eq(self.load.weight), weight.w_addr.eq(self.load.addr),
            weight.w_data.eq(self.load_data),
            *(wire.eq(by) for bank, mine, c in ((key, kv.en & ~kv.v, self.c.key),
                                                (value, kv.en & kv.v, self.c.value))
              for wire, by in ((bank.w_en, mine | c),
                               (bank.w_addr, Mux(mine, kv.addr, self.c.addr)),
                               (bank.w_data, Mux(mine, kv_data, self.c_data)))),
            output.w_en.eq(o.en), output.w_addr.eq(o.addr), output.w_data.eq(o_data),
        ]
        return m

    def _residual(self, token, centroid):
        """The left adder: token less centroid, both as bits of their banks."""
        aligned = centroid.as_signed() << self.cfg.residual_shift
        return saturate(token.as_signed() - aligned, self.cfg.fmt.token)

    def _centroid(self, token):
        """The mean of a token alone, from the bits of its bank."""
        rounded = round_half_up(token.as_signed(), self.cfg.residual_shift)
        return saturate(rounded, self.cfg.fmt.centroid)
