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

__all__ = ["Lane", "LaneCommand", "ValueRead", "LinearWrite", "WriteBack", "CentroidRead", "CentroidWrite", "LoadWrite"]


class ValueRead(data.StructLayout):
    """A value for the array on its way to the second value registers, with ``push``.

    At most one of the banks reads, at ``addr``, and none where the column is empty. A token is brought
    to the format of a centroid. Where weights stay, values are weights and queries alone.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"push": 1, **dict.fromkeys(self.banks(cfg), 1),
                          "addr": address_width(cfg.bank_depth)})

    @staticmethod
    def banks(cfg: CTAConfig) -> tuple[str, ...]:
        """What values are read from."""
        return ("weight", "query") if cfg.program.weights_stay else ("token", "weight", "key", "value")


class LaneCommand(data.StructLayout):
    """What row i reads and how it drives the array; enters lane 0 and climbs a lane a cycle.

    At most one of the banks reads, at ``addr``. ``residual``
    subtracts row ``c1_addr`` of C1 from the token. ``pe`` goes to the array with the x that this
    command reads. ``shadow`` reads a value beside it, of another bank. Where weights stay none is an
    operand, and ``centroid`` brings a token to the format of a centroid; it is ``counted`` if it saturates.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({
            **dict.fromkeys(self.banks(cfg), 1), "residual": 1,
            **({"centroid": 1, "counted": 1} if cfg.program.weights_stay else {}),
            "addr": address_width(cfg.bank_depth), "c1_addr": address_width(cfg.value_depth),
            "pe": PEControl, "shadow": ValueRead(cfg),
        })

    @staticmethod
    def banks(cfg: CTAConfig) -> tuple[str, ...]:
        """What operands are read from."""
        return ("token", "key", "value") if cfg.program.weights_stay else ("token", "weight", "key", "value")


class WriteBack(data.StructLayout):
    """``en``: what column ``col`` shows at the top is written to row ``addr`` of a bank: of K and V,
    to the value bank with ``v`` and to the key bank without."""

    def __init__(self, cfg: CTAConfig, depth: int):
        super().__init__({"en": 1, "v": 1, "col": address_width(cfg.b), "addr": address_width(depth)})


def LinearWrite(cfg: CTAConfig) -> data.StructLayout:
    """Write-back of a linear. Where centroids stay, :class:`WriteBack` of a row of K or V. Where weights
    stay, ``en``: what the columns show is row ``addr`` of dimensions ``group`` * b and up, of Q with
    ``q``, of V with ``v``, else of K."""
    if not cfg.program.weights_stay:
        return WriteBack(cfg, cfg.row_depth)
    return data.StructLayout({"en": 1, "v": 1, "q": 1, "group": address_width(-(-cfg.d // cfg.b)),
                              "addr": address_width(cfg.row_depth)})


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
    (C1 and C2, and V behind them) and output (O, and before it Q where Q is kept). In exact mode, where
    the array takes the tokens for centroids, K and V have the rows of the centroids as well. An operand
    and a value are read in one cycle and never from one bank: while C0 is loaded V may stream, while C1
    and C2 are, weights. Where weights stay, it is weights or Q that are loaded, while all else streams.
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
    linear[b] : Elements of K and V at the top of the columns. Format ``fmt.qkv``. Where weights stay, a
        column is a dimension and so has one lane: the element of that column alone.
    kv : Write-back of K and V, from the lane below; of Q as well where weights stay.
    kv_up : Write-back of K and V for the lane above, ``kv`` of one cycle before. Not where weights stay.
    out[b] : Outputs at the top of the columns. Format ``fmt.output``.
    o : Write-back of O, from the lane above.
    o_down : Write-back of O for the lane below, ``o`` of one cycle before.
    load : Write of the loader.
    load_data : Element of that write, in the same cycle.
    cag : Row that CAG asks for.
    cag_x : Element of that row, two cycles later. Format ``cfg.left``.
    cag_moved : ``cag_x`` is a residual that saturated.
    token_moved : ``shadow``, or a counted ``x``, is a token that saturated as a centroid.
    c : Write of a centroid.
    c_data : Element of that centroid, in the same cycle. Format ``fmt.centroid``.
    read_en : The output reads a row of O.
    read_addr : Row of O that the output reads.
    read_data : Element of that row, one cycle later, as the bank holds it.
    """

    module_name = "cta_lane"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        f, stay = cfg.fmt, cfg.program.weights_stay
        super().__init__({
            "cmd": In(LaneCommand(cfg)), "cmd_up": Out(LaneCommand(cfg)),
            "x": Out(shape(cfg.left)), "pe": Out(PEControl), "push": Out(1),
            "shadow": Out(shape(cfg.value)),
            "linear": In(shape(f.qkv)).array(1 if stay else cfg.b),
            "kv": In(LinearWrite(cfg)), **({} if stay else {"kv_up": Out(LinearWrite(cfg))}),
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
        cfg, f, cmd, stay = self.cfg, self.cfg.fmt, self.cmd, self.cfg.program.weights_stay
        weight_width = max(f.weight.width, f.lsh_a.width)
        row = max(f.centroid.width, f.qkv.width)
        banks = {"token": SRAM(width=f.token.width, depth=cfg.token_depth, rw=True),
                 "weight": SRAM(width=weight_width, depth=cfg.weight_depth),
                 "key": SRAM(width=row, depth=cfg.key_depth),
                 "value": SRAM(width=row, depth=cfg.value_depth, rw=True),
                 "output": SRAM(width=max(f.output.width, f.qkv.width if stay else 0), depth=cfg.queries)}
        for name, bank in banks.items():
            m.submodules[f"{name}_bank"] = place(platform, bank)
        token, weight, key, value, output = banks.values()

        # Cycle c: the banks read. CACC needs C1 before the array needs C1, C2 or V.
        subtracts, load = self.cag.en & self.cag.residual, cmd.shadow

        def reads(name):
            """Whether a bank is read for operand or value, and where."""
            asked = cmd[name] if name in LaneCommand.banks(cfg) else 0
            loads = load[name] if name in ValueRead.banks(cfg) else 0
            return asked | loads, Mux(loads, load.addr, cmd.addr)

        of_value, value_addr = reads("value")
        m.d.comb += [
            *(wire.eq(by) for bank, name in ((token, "token"), (weight, "weight"), (key, "key"))
              for wire, by in zip((bank.r_en, bank.r_addr), reads(name))),
            value.r_en.eq(cmd.residual), value.r_addr.eq(cmd.c1_addr),
            token.q_en.eq(self.cag.en), token.q_addr.eq(self.cag.addr),
            value.q_en.eq(of_value | subtracts),
            value.q_addr.eq(Mux(subtracts, self.cag.c1_addr, value_addr)),
            output.r_en.eq(self.read_en), output.r_addr.eq(self.read_addr),
            self.read_data.eq(output.r_data),
        ]
        if stay:       # Q is loaded when the outputs of the job before have left
            m.d.comb += [output.r_en.eq(self.read_en | load.query),
                         output.r_addr.eq(Mux(load.query, load.addr, self.read_addr))]
        m.d.sync += self.cmd_up.eq(cmd)

        # Cycle c+1: choose, or subtract the centroid.
        residual, _ = self._residual(token.r_data, value.r_data)
        centroid, moved = self._centroid(token.r_data)
        chosen = Signal(shape(cfg.left))
        at = self.cmd_up     # the command one cycle later
        bank_data = {"token": token.r_data.as_signed(), "weight": weight.r_data.as_signed(),
                     "key": key.r_data.as_signed(), "value": value.q_data.as_signed()}
        m.d.comb += chosen.eq(bank_data["value"])
        for name in reversed(LaneCommand.banks(cfg)[:-1]):
            with m.If(at[name]):
                m.d.comb += chosen.eq(bank_data[name])
        if stay:
            with m.If(at.centroid):
                m.d.comb += chosen.eq(centroid)
        with m.If(at.residual):
            m.d.comb += chosen.eq(residual)
        loaded = Signal(shape(cfg.value))
        bank_data |= {"token": centroid, "query": output.r_data[:f.qkv.width].as_signed()}
        *others, last = ValueRead.banks(cfg)
        m.d.comb += loaded.eq(bank_data[last])
        for name in reversed(others):
            with m.If(at.shadow[name]):
                m.d.comb += loaded.eq(bank_data[name])
        x, pe = Signal(shape(cfg.left), reset_less=True), Signal(PEControl)
        shadow, push = Signal(shape(cfg.value), reset_less=True), Signal()
        m.d.sync += [x.eq(chosen), pe.eq(at.pe), shadow.eq(loaded), push.eq(at.shadow.push),
                     self.token_moved.eq((at.centroid & at.counted if stay else at.shadow.token) & moved)]
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
        m.d.sync += [kv.eq(self.kv), o.eq(self.o), o_data.eq(Array(self.out)[self.o.col]),
                     kv_data.eq(self.linear[0] if stay else Array(self.linear)[self.kv.col])]
        k_comes, v_comes = kv.en & ~kv.v, kv.en & kv.v
        if stay:
            k_comes &= ~kv.q
        else:
            m.d.comb += self.kv_up.eq(kv)
        m.d.comb += [
            self.o_down.eq(o),
            token.w_en.eq(self.load.token), token.w_addr.eq(self.load.addr),
            token.w_data.eq(self.load_data),
            weight.w_en.eq(self.load.weight), weight.w_addr.eq(self.load.addr),
            weight.w_data.eq(self.load_data),
            *(wire.eq(by) for bank, mine, c in ((key, k_comes, self.c.key),
                                                (value, v_comes, self.c.value))
              for wire, by in ((bank.w_en, mine | c),
                               (bank.w_addr, Mux(mine, kv.addr, self.c.addr)),
                               (bank.w_data, Mux(mine, kv_data, self.c_data)))),
            output.w_en.eq(o.en), output.w_addr.eq(o.addr), output.w_data.eq(o_data),
        ]
        if stay:       # all of Q is there before the first O
            with m.If(kv.en & kv.q):
                m.d.comb += [output.w_en.eq(1), output.w_addr.eq(kv.addr), output.w_data.eq(kv_data)]
        return m

    def _residual(self, token, centroid):
        """The left adder: token less centroid, both as bits of their banks."""
        aligned = centroid.as_signed() << self.cfg.residual_shift
        return saturate(token.as_signed() - aligned, self.cfg.fmt.token)

    def _centroid(self, token):
        """The mean of a token alone, from the bits of its bank."""
        rounded = round_half_up(token.as_signed(), self.cfg.residual_shift)
        return saturate(rounded, self.cfg.fmt.centroid)
