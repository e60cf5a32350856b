"""Lane: it holds all that belongs to a few dimensions of the token, outside the array."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.blocks.pipeline import delay, stages
from gen.cta.lane_commands import (
    CentroidRead,
    CentroidWrite,
    LaneCommand,
    LinearWrite,
    LoadWrite,
    ValueRead,
    WriteBack,
)
from gen.cta.pe import PEControl
from gen.cta.row_pair import RowPair
from gen.emit import place
from gen.fixed import round_half_up, saturate, shape
from model.cta.config import CTAConfig
from model.cta.layout import ELEMENT_WIDTH

__all__ = ["Lane"]


class Lane(wiring.Component):
    """``lane_rows`` rows of the array, outside of it: their banks, left adders, write-back paths.

    There is one lane module, d / lane_rows times. The banks are token (even and odd), weight, key (C0, and K
    behind it), value (C1 and C2, and V behind them) and output (O, and before it Q where Q is kept); a word
    has the elements of all rows of the lane. In exact mode, where the array takes the tokens for centroids,
    K and V have the rows of the centroids as well. An operand and a value are read in one cycle and never
    from one bank: while C0 is loaded V may stream, while C1 and C2 are, weights. Where weights stay, it is
    weights or Q that are loaded, while all else streams. The skew of the array is one of addresses from
    lane to lane, and of data registers within one. With fast products there are two banks of keys and
    of values, for even and odd rows, and two slices of a centroid lie side by side in them, as those of a
    token do in the two of tokens (:meth:`model.cta.memories.Memories.row_of`).

    Ports: the banks of even and of odd tokens have one each, since the hash reads the one and CACC the other
    in every cycle (``turn`` of the program); loads come when neither does. The weight bank has one, since
    loads wait where it is read (``reads_next``). The output bank has one, since no O of a job is written
    until those of the job before have left; where Q is kept it has two, as O is written beside loads of
    Q. Of C1 two rows are read in one cycle, for the hash of LSH2 and
    for CACC behind it, but only while the last slice is hashed, when CACC is at the first; so that slice is
    written twice, and CACC reads it where K will be. Why these banks:
    docs/decisions/0022-memories.md, docs/decisions/0026-ports.md.

    Timing: ``cmd`` in cycle c reads the banks; ``x[i]``, ``pe[i]``, ``shadow[i]`` and ``push[i]`` are valid
    in c+2+i and ``cmd_up`` in c+lane_rows. ``cag`` in cycle c gives ``cag_x`` and ``cag_moved`` in c+2.
    ``kv`` in cycle c takes element i of ``linear`` in c+i, ``o`` that of ``out`` in c+lane_rows-1-i; both are
    written in c+lane_rows. ``read_data`` comes in the cycle after ``read_en``. There is no back-pressure: the
    sequencer knows every cycle. Reset clears the commands under way, never a bank.

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
    cmd_up : Command for the lane above, ``cmd`` of lane_rows cycles before.
    reads_next : The lane above reads its weight bank in the next cycle.
    x[lane_rows] : Operands for the rows of the array, of row i 2 + i cycles after ``cmd``. Format
        ``cfg.left``.
    y[lane_rows] : Operands of the second slice, with those of the first. Format ``cfg.value``. Only with
        fast products.
    pe[lane_rows] : Control of those operands, in the same cycles.
    push[lane_rows] : The second value registers of a row take a value.
    shadow[lane_rows] : Values of that load. Format ``cfg.value``.
    linear[b] : Elements of K and V at the top of the columns. Format ``fmt.qkv``. Where weights stay a
        column is a dimension: those of the lane's lane_rows dimensions alone.
    kv : Write-back of K and V, from the lane below; of Q as well where weights stay.
    kv_up : Write-back of K and V for the lane above, ``kv`` of lane_rows cycles before. Not where weights
        stay.
    out[b] : Outputs at the top of the columns. Format ``fmt.output``.
    o : Write-back of O, from the lane above.
    o_down : Write-back of O for the lane below, ``o`` of lane_rows cycles before.
    load : Write of the loader.
    load_data : Elements of that write, 16 bits each, in the same cycle.
    cag : Row that CAG asks for.
    cag_x[lane_rows] : Elements of that row, two cycles later. Format ``cfg.left``.
    cag_moved[lane_rows] : ``cag_x`` is a residual that saturated.
    token_moved[lane_rows] : A token saturated as a centroid, in the cycle of ``shadow[0]`` or, counted, of
        ``x[0]``. With fast products bit 1 is of the second slice.
    c : Write of a centroid.
    c_data[lane_rows] : Elements of that centroid, in the same cycle. Format ``fmt.centroid``.
    read_en : The output reads a row of O.
    read_addr : Row of O that the output reads.
    read_data[lane_rows] : Elements of that row, one cycle later, as the bank holds them.
    """

    module_name = "cta_lane"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        f, each = cfg.fmt, cfg.lane_rows
        kv, o, stay = LinearWrite(cfg), WriteBack(cfg, cfg.queries), cfg.program.weights_stay
        super().__init__({
            "cmd": In(LaneCommand(cfg)), "cmd_up": Out(LaneCommand(cfg)), "reads_next": Out(1),
            "x": Out(shape(cfg.left)).array(each), "pe": Out(PEControl(cfg)).array(each),
            **({"y": Out(shape(cfg.value)).array(each)} if cfg.program.fast else {}),
            "push": Out(1).array(each), "shadow": Out(shape(cfg.value)).array(each),
            "linear": In(shape(f.qkv)).array(each if stay else cfg.b), "kv": In(kv),
            **({} if stay else {"kv_up": Out(kv)}),
            "out": In(shape(f.output)).array(cfg.b), "o": In(o), "o_down": Out(o),
            "load": In(LoadWrite(cfg)), "load_data": In(each * ELEMENT_WIDTH),
            "cag": In(CentroidRead(cfg)), "cag_x": Out(shape(cfg.left)).array(each),
            "cag_moved": Out(1).array(each), "token_moved": Out(1 + cfg.program.fast).array(each),
            "c": In(CentroidWrite(cfg)), "c_data": In(shape(f.centroid)).array(each),
            "read_en": In(1), "read_addr": In(address_width(cfg.queries)),
            "read_data": Out(cfg.result_width).array(each),
        })

    def elaborate(self, platform):
        m = Module()
        cfg, cmd, each, stay = self.cfg, self.cmd, self.cfg.lane_rows, self.cfg.program.weights_stay
        banks = self._banks(m, platform)
        *tokens, weight, key, value, output = banks
        fast = cfg.program.fast

        # Cycle c: the banks read. CACC needs C1 before the array needs C1, C2 or V.
        load, cag = cmd.shadow, self.cag
        of_key, of_value = (cag.en & cag.residual & at for at in (cag.copy, ~cag.copy))

        def reads(name):
            """Whether a bank is read for operand or value, and where."""
            asked = cmd[name] if name in LaneCommand.banks(cfg) else Const(0)
            loads = load[name] if name in ValueRead.banks(cfg) else Const(0)
            return asked | loads, Mux(loads, load.addr, cmd.addr)

        (of_array, array), (weighs, weight_addr) = reads("token"), reads("weight")
        (keys, key_addr), (values, value_addr) = reads("key"), reads("value")
        both = cmd.pe.pair if fast else Const(0)
        for odd, bank in enumerate(tokens):
            writes, for_cag = self.load.token & (self.load.addr[0] == odd), cag.en & (cag.addr[0] == odd)
            m.d.comb += [
                bank.w_en.eq(writes), bank.r_en.eq(of_array & (both | (array[0] == odd)) | for_cag),
                bank.addr.eq(Mux(writes, self.load.addr, Mux(for_cag, cag.addr, array)) >> 1)]
        m.d.comb += [
            weight.r_en.eq(weighs), weight.addr.eq(Mux(self.load.weight, self.load.addr, weight_addr)),
            *(bank.both.eq(both) for bank in (key, value) if fast),
            key.r_en.eq(keys | of_key), key.r_addr.eq(Mux(of_key, cag.c1_addr, key_addr)),
            value.r_en.eq(values | cmd.residual | of_value),
            value.r_addr.eq(Mux(of_value, cag.c1_addr, Mux(cmd.residual, cmd.c1_addr, value_addr))),
            output.r_en.eq(self.read_en | (load.query if stay else 0)),
            *(to.eq(by) for to, by in zip(self.read_data, self._elements(output.r_data))),
        ]
        climb = [LaneCommand(cfg)(at) for at in stages(m, cmd, each, name="cmd", reset=True)]
        m.d.comb += self.cmd_up.eq(climb[each])
        above = climb[each - 1]
        m.d.comb += self.reads_next.eq(above.shadow.weight | (0 if stay else above.weight))

        # Cycle c+1: choose, or subtract the centroid; row i has it i cycles later.
        at, before = climb[1], Signal(CentroidRead(cfg), name="before", reset_less=True)
        asked = Signal()
        m.d.sync += [before.eq(cag), asked.eq(cag.en)]
        even, odd = (bank.r_data for bank in tokens)
        for_array, for_cacc = Signal(len(even)), Signal(len(even))
        which = at.addr[0] if stay else Mux(at.shadow.token, at.shadow.addr[0], at.addr[0])
        m.d.comb += [for_array.eq(Mux(which, odd, even)),
                     for_cacc.eq(Mux(before.addr[0], odd, even))]
        rows = zip(*(self._elements(word) for word in (for_array, for_cacc, weight.r_data, key.r_data,
                                                       value.r_data, output.r_data)))
        if fast:
            self._second_slice(m, at, Mux(which, even, odd), key.r_other, value.r_other)
        for i, (of_token, of_cacc, of_weight, of_key, of_value, of_query) in enumerate(rows):
            residual, _ = self._residual(of_token, of_value)
            centroid, moved = self._centroid(of_token)
            of = {"token": of_token.as_signed(), "weight": of_weight.as_signed(),
                  "key": of_key.as_signed(), "value": of_value.as_signed(),
                  "query": of_query[:cfg.fmt.qkv.width].as_signed()}
            as_centroid = [(at.centroid, centroid)] if stay else []
            counts = self._counts(at)
            chosen = Signal(shape(cfg.left), name=f"chosen_{i}")
            loaded = Signal(shape(cfg.value), name=f"loaded_{i}")
            m.d.comb += [
                chosen.eq(self._choice((at.residual, residual), *as_centroid,
                                       *((at[name], of[name]) for name in LaneCommand.banks(cfg)))),
                loaded.eq(self._choice(*((at.shadow[name], centroid if name == "token" else of[name])
                                         for name in ValueRead.banks(cfg)))),
                self.x[i].eq(delay(m, chosen, 1 + i)),
                self.shadow[i].eq(delay(m, self._difference(m, at, loaded) if fast else loaded, 1 + i)),
                self.pe[i].eq(delay(m, at.pe, 1 + i, name=f"pe_{i}", reset=True)),
                self.push[i].eq(delay(m, at.shadow.push, 1 + i, name=f"push_{i}", reset=True)),
                self.token_moved[i][0].eq(delay(m, counts & moved, 1, reset=True, name=f"token_moved_{i}"))]

            # The same for CACC.
            c1 = Signal(len(of_key), name=f"c1_{i}")
            m.d.comb += c1.eq(Mux(before.copy, of_key, of_value))
            difference, moved = self._residual(of_cacc, c1)
            m.d.comb += [
                self.cag_x[i].eq(delay(m, Mux(before.residual, difference, of_cacc.as_signed()), 1,
                                       name=f"cag_x_{i}")),
                self.cag_moved[i].eq(delay(m, asked & before.residual & moved, 1, reset=True,
                                           name=f"cag_moved_{i}"))]
        self._writes(m, banks)
        return m

    def _banks(self, m, platform):
        """The memories, as wide as the lane."""
        cfg, f, each = self.cfg, self.cfg.fmt, self.cfg.lane_rows
        rows = RowPair if cfg.program.fast else SRAM
        row, weight = each * max(f.centroid.width, f.qkv.width), each * max(f.weight.width, f.lsh_a.width)
        banks = {
            **{f"token_{name}": SRAM(width=each * f.token.width, depth=cfg.token_depth // 2, ports="1rw")
               for name in ("even", "odd")},
            "weight": SRAM(width=weight, depth=cfg.weight_depth, ports="1rw"),
            "key": rows(width=row, depth=cfg.key_depth), "value": rows(width=row, depth=cfg.value_depth),
            "output": SRAM(width=each * cfg.result_width, depth=cfg.queries,
                           **({} if cfg.program.weights_stay else {"ports": "1rw"}))}
        for name, bank in banks.items():
            m.submodules[f"{name}_bank"] = place(platform, bank)
        return banks.values()

    def _counts(self, at):
        """Whether tokens that saturate as centroids count."""
        return at.centroid & at.counted if self.cfg.program.weights_stay else at.shadow.token

    def _second_slice(self, m, at, token, key, value):
        """The same row of the slice behind, from the other bank of each."""
        for i, (of_token, of_key, of_value) in enumerate(zip(*map(self._elements, (token, key, value)))):
            centroid, moved = self._centroid(of_token)
            second = Signal(shape(self.cfg.value), name=f"second_{i}")
            m.d.comb += [
                second.eq(self._choice((at.centroid, centroid), (at.key, of_key.as_signed()),
                                       (at.value, of_value.as_signed()))),
                self.y[i].eq(delay(m, second, 1 + i)),
                self.token_moved[i][1].eq(delay(m, self._counts(at) & at.pe.pair & moved, 1, reset=True,
                                                name=f"second_moved_{i}"))]

    @staticmethod
    def _difference(m, at, loaded):
        """What is pushed: the value that was read two cycles before, less that of the next column with
        ``less``. Where no bank has been read the value is 0."""
        read, pushed = Signal.like(loaded), Signal.like(loaded)
        m.d.comb += [read.eq(Mux(at.shadow.weight | at.shadow.query, loaded, 0)),
                     pushed.eq(delay(m, read, 2) - Mux(at.shadow.less, read, 0))]
        return pushed

    def _writes(self, m, banks):
        """The banks of keys and of values take CAVG first, and K and V behind it."""
        each, stay = self.cfg.lane_rows, self.cfg.program.weights_stay
        *tokens, weight, key, value, output = banks
        kvs = [self.kv.shape()(at) for at in stages(m, self.kv, each, name="kv", reset=True)]
        os = [self.o.shape()(at) for at in stages(m, self.o, each, name="o", reset=True)]
        kv, o = kvs[each], os[each]
        columns, tops = Array(self.linear), Array(self.out)
        kv_data = [delay(m, self.linear[i] if stay else columns[kvs[i].col], each - i,
                         name=f"kv_{i}_data") for i in range(each)]
        o_data = [delay(m, tops[os[each - 1 - i].col], i + 1, name=f"o_{i}_data") for i in range(each)]
        width = len(key.w_data) // each
        m.d.comb += [
            self.o_down.eq(o),
            *(bank.w_data.eq(Cat(self.load_data.word_select(i, ELEMENT_WIDTH)[:len(bank.w_data) // each]
                                 for i in range(each))) for bank in (*tokens, weight)),
            weight.w_en.eq(self.load.weight),
            *(wire.eq(by) for bank, mine, c, addr in (
                (key, kv.en & ~kv.v & ~(kv.q if stay else 0), self.c.key, self.c.key_addr),
                (value, kv.en & kv.v, self.c.value, self.c.value_addr))
              for wire, by in ((bank.w_en, mine | c), (bank.w_addr, Mux(mine, kv.addr, addr)),
                               *((bank.w_data[i * width:(i + 1) * width],
                                  Mux(mine, kv_data[i], self.c_data[i])) for i in range(each)))),
            output.w_en.eq(o.en),
        ]
        size = len(output.w_data) // each
        o_word = Cat(_fit(data, size) for data in o_data)
        if stay:           # all of Q is there before the first O
            load, query = self.cmd.shadow, kv.en & kv.q
            m.d.comb += [output.w_en.eq(o.en | query), output.w_addr.eq(Mux(query, kv.addr, o.addr)),
                         output.w_data.eq(Mux(query, Cat(_fit(data, size) for data in kv_data), o_word)),
                         output.r_addr.eq(Mux(load.query, load.addr, self.read_addr))]
        else:
            m.d.comb += [self.kv_up.eq(kv), output.w_data.eq(o_word),
                         output.addr.eq(Mux(o.en, o.addr, self.read_addr))]

    def _elements(self, word):
        """The elements of a word, as bits."""
        size = len(word) // self.cfg.lane_rows
        return [word[i * size:(i + 1) * size] for i in range(self.cfg.lane_rows)]

    @staticmethod
    def _choice(*ways):
        """The value of the first way whose flag is set, or of the last."""
        *ways, (_, chosen) = ways
        for flag, value in reversed(ways):
            chosen = Mux(flag, value, chosen)
        return chosen

    def _residual(self, token, centroid):
        """The left adder: token less centroid, both as bits of their banks."""
        aligned = centroid.as_signed() << self.cfg.residual_shift
        return saturate(token.as_signed() - aligned, self.cfg.fmt.token)

    def _centroid(self, token):
        """The mean of a token alone, from the bits of its bank."""
        rounded = round_half_up(token.as_signed(), self.cfg.residual_shift)
        return saturate(rounded, self.cfg.fmt.centroid)


def _fit(value, width):
    """The bits of a value, sign-extended to ``width``."""
    return Cat(value, value[-1].replicate(max(0, width - len(value))))[:width]
