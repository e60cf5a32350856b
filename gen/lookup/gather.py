"""Gather: it makes y of rows, as weighted sums of table rows (LookupFFN, eq. 7)."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.emit import place
from gen.lookup.gather_accumulate import GatherAccumulate
from gen.lookup.gather_output import GatherOutput, residual_layout, y_layout
from gen.lookup.hash import row_layout
from gen.lookup.internal_tables import InternalTables
from gen.lookup.row_scores import RowScores
from gen.lookup.row_store import RowStore
from gen.lookup.table_address import TableAddress
from gen.lookup.tile import Tile
from model.fixed import SHIFT
from model.lookup.config import LookupConfig
from model.lookup.layout import HOST_LANES
from model.lookup.timing import SUM_STAGES

__all__ = ["Gather"]


class Gather(wiring.Component):
    """The sum y = round_half_up(sum_k sum_i s_ki T_k[code_ki] + bias) + residual.

    Rows wait in :class:`RowStore`. One walk over them gives addresses, as far ahead as
    ``outstanding`` beats; a second walk in the same order gives each beat that comes its score.
    Token-major, addresses go to the table port. Table-major, they go to :class:`Tile`, which fills
    itself from the port; all else is the same. Without ``cfg.tile`` all jobs are token-major. The
    lanes take a beat a cycle. Sums of one token (token-major) or batch leave by
    :class:`GatherOutput`; a second bank takes the next token.

    A reset forgets the reads in flight: the memory behind the port must forget them too.

    Timing: ``ADDRESS_STAGES`` cycles from a row to its first request, ``SUM_STAGES`` from a token's
    last beat to the reading of its sums, ``OUTPUT_STAGES`` + 1 from there to y. A beat a cycle as
    long as ``outstanding`` covers the latency of the memory, and y (d/8 beats a token) is not
    slower; ``model.lookup.gather_cycles`` gives every cycle. The memory may answer in any cycle
    after the request, in order.

    Numerics: golden ``model.lookup.gather``.

    Source: Sec. 3.1, eq. 7; Sec. 5 for the two orders.

    Members
    -------
    start : A job begins; rows are taken from the next cycle on.
    tokens : Tokens of the job. Read with ``start``.
    shift_y : Right shift of the sums. Stable while ``busy``.
    rows : Stream of rows. Payload :func:`gen.lookup.hash.row_layout`.
    y : Stream of outputs, d/8 beats a token. Payload :func:`gen.lookup.gather_output.y_layout`.
    o_en : The bias of an element is written.
    o_addr : Element whose bias is written.
    o_data : Bias of that element. Format ``fmt.out_bias``.
    sat_output : Elements that saturated in this cycle.
    beats : The table port delivers a beat in this cycle.
    busy : From the cycle after ``start`` until the last beat of y has left.
    order : The job is table-major, else token-major. Stable while ``busy``. With ``cfg.tile`` only.
    residual : Stream of residuals, d/8 beats a token. With ``cfg.residual`` only.
    t_en : A beat of the tables is written. With internal tables only, and so are the next two.
    t_addr : Number of that beat: row * row_beats + beat.
    t_data : Beat of the tables: ``lanes`` entries of 8 bits, signed, the first lowest.
    request : Stream of beat numbers that are read. With external tables only.
    response : Stream of the beats read, in order. With external tables only.
    """

    module_name = "lookup_gather"
    static_inputs = "order", "shift_y"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        members = {
            "start": In(1), "tokens": In(16), "shift_y": In(SHIFT.width),
            "rows": In(stream.Signature(row_layout(cfg))),
            "y": Out(stream.Signature(y_layout(cfg))),
            "o_en": In(1), "o_addr": In(range(cfg.d)), "o_data": In(cfg.fmt.out_bias.width),
            "sat_output": Out(range(HOST_LANES + 1)), "beats": Out(1), "busy": Out(1)}
        if cfg.tile:
            members["order"] = In(1)
        if cfg.residual:
            members["residual"] = In(stream.Signature(residual_layout(cfg)))
        if cfg.tables == "internal":
            members |= {"t_en": In(1), "t_addr": In(cfg.address_width), "t_data": In(8 * cfg.lanes)}
        else:
            members |= {"request": Out(stream.Signature(cfg.address_width)),
                        "response": In(stream.Signature(8 * cfg.lanes))}
        super().__init__(members)
        if not cfg.tile:
            self.static_inputs = ("shift_y",)

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        order = self.order if cfg.tile else Const(0, 1)

        def add(name, component):
            m.submodules[name] = place(platform, component)
            return component

        store, address = add("store", RowStore(cfg)), add("address", TableAddress(cfg))
        scores = add("scores", RowScores(cfg))
        lanes, output = add("accumulate", GatherAccumulate(cfg)), add("output", GatherOutput(cfg))
        request, response = self._port(m, add)
        tile = add("tile", Tile(cfg)) if cfg.tile else None
        for block in (address, scores, output, *([tile] if cfg.tile else ())):
            m.d.comb += [block.start.eq(self.start), block.order.eq(order),
                         block.tokens.eq(self.tokens)]

        # Rows: kept, read for their codes, and later for their scores.
        wiring.connect(m, wiring.flipped(self.rows), store.rows)
        m.d.comb += [store.start.eq(self.start), store.enable.eq(self.busy),
                     *(to.row_in.eq(store.row_in) for to in (address, scores)),
                     *(to.token_in.eq(store.token_in) for to in (address, scores)),
                     store.code_en.eq(address.code_en), store.code_addr.eq(address.code_addr),
                     address.code.eq(store.code),
                     store.score_en.eq(scores.score_en), store.score_addr.eq(scores.score_addr)]

        # Requests: of a row, or of the next tile; never more than may be in flight.
        flight = Signal(range(cfg.outstanding + 1))
        room, sent, came = Signal(), Signal(), Signal()

        def chosen(of_tile, of_row):
            """What counts in the order of the job."""
            return Mux(order, of_tile(), of_row) if cfg.tile else of_row

        m.d.comb += [
            room.eq(flight != cfg.outstanding),
            request.valid.eq(chosen(lambda: tile.fill.valid, address.beat.valid) & room),
            request.payload.eq(chosen(lambda: tile.fill.payload, address.beat.payload)),
            sent.eq(request.valid & request.ready), came.eq(response.valid & response.ready),
            address.beat.ready.eq(chosen(lambda: tile.read.ready, sent)), self.beats.eq(came)]
        m.d.sync += flight.eq(flight + sent - came)

        # Beats: from the port or from the tile, to the lanes as soon as their bank is free.
        owned, full = Signal(2), Signal(2)
        beat, last_beat, ends = Signal(range(max(2, cfg.row_beats))), Signal(), Signal()
        may, come = Signal(), Signal()
        m.d.comb += [
            may.eq(scores.valid & ~owned.bit_select(scores.bank, 1)),
            come.eq(may & chosen(lambda: tile.beat.valid, response.valid)),
            response.ready.eq(order | may if cfg.tile else may),
            last_beat.eq(come & (beat == cfg.row_beats - 1)), scores.done.eq(last_beat),
            ends.eq(last_beat & scores.ends_batch), store.free.eq(Mux(ends, scores.size, 0)),
            lanes.en.eq(come), lanes.bank.eq(scores.bank), lanes.word.eq(scores.word + beat),
            lanes.first.eq(scores.first), lanes.score.eq(store.score),
            lanes.entries.eq(chosen(lambda: tile.beat.payload, response.payload))]
        if cfg.tile:
            m.d.comb += [
                tile.fill.ready.eq(sent), tile.read.valid.eq(address.beat.valid & order),
                tile.read.payload.eq(address.beat.payload),
                tile.ends_table.eq(address.ends_table), tile.come.eq(came & order),
                tile.data.eq(response.payload), tile.beat.ready.eq(may)]
        with m.If(come):
            m.d.sync += beat.eq(Mux(last_beat, 0, beat + 1))

        # Sums: a bank is owned from a token's last beat until its sums have left.
        mine = chosen(lambda: 3, 1 << scores.bank)
        written = delay(m, Mux(ends, mine, 0), SUM_STAGES - 1, reset=True, name="written")
        m.d.sync += [owned.eq((owned & ~output.clear) | Mux(ends, mine, 0)),
                     full.eq((full & ~output.clear) | written)]
        m.d.comb += [
            output.full.eq(full), lanes.take.eq(output.take),
            lanes.take_bank.eq(output.take_bank), lanes.take_word.eq(output.take_word),
            output.sums.eq(lanes.sums), output.shift_y.eq(self.shift_y),
            output.o_en.eq(self.o_en), output.o_addr.eq(self.o_addr), output.o_data.eq(self.o_data),
            self.sat_output.eq(output.sat_output)]
        wiring.connect(m, output.y, wiring.flipped(self.y))
        if cfg.residual:
            wiring.connect(m, wiring.flipped(self.residual), output.residual)

        # The job, until its last beat of y has left.
        left = Signal(16)
        with m.If(self.y.valid & self.y.ready & self.y.payload.last):
            m.d.sync += left.eq(left - 1)
        with m.If(self.start):
            m.d.sync += left.eq(self.tokens)
        m.d.comb += self.busy.eq(left != 0)
        return m

    def _port(self, m, add):
        """The table port, or the tables."""
        if self.cfg.tables == "external":
            return self.request, self.response
        tables = add("tables", InternalTables(self.cfg))
        m.d.comb += [tables.t_en.eq(self.t_en), tables.t_addr.eq(self.t_addr),
                     tables.t_data.eq(self.t_data)]
        return tables.request, tables.response
