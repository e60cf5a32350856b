"""Schedule: it steps through the program of the configuration and names the next row."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.cta.program_rows import ProgramRows
from gen.cta.row_descriptor import RowDescriptor
from gen.cta.words import JobWord
from gen.emit import place
from model.cta.config import CTAConfig
from model.cta.job import LSH, Matrix, Mode
from model.cta.schedule import Loop, Op, Wait
from model.cta.timing import drain_guard, least_stream, query_guard, shortcut_pause, value_guard

__all__ = ["Schedule"]


class Schedule(wiring.Component):
    """The program counter of ``cfg.program``, with the loops around a row.

    ``rows`` is valid where the program runs and what the next row waits for has come true; outputs,
    and the last slice of Q where it lies in their bank, also wait until those of the job before have
    left it. The row is combinational, so that it can be taken in the last slot of the row before.

    Timing: after ``start`` in cycle c, ``rows`` is valid in c+1 at the earliest.

    Source: Table I, Sec. V-B. Slices (T > 1), passes (l > b), and weights that stay are ours.

    Members
    -------
    start : A job begins; the program starts at the entry of its mode, or behind the clustering.
    job : The job word, stable while the job runs.
    k0 : Clusters of LSH0, which are the compressed queries. Like those below it is there a cycle before what
        the rows of centroids wait for, or in exact mode with ``start``.
    k1 : Clusters of LSH1, which are the compressed keys of level 1.
    k : Compressed keys of both levels.
    c1_done : All of C1 is written.
    centroids_done : All centroids are written.
    ap_done : PAG has finished a batch.
    out_issued : The last slot of an output row is issued.
    query_issued : The first slot of the last row of Q is issued. Only where weights stay.
    value_issued : The first slot of the last row of V is issued. Only where weights stay.
    outputs_free : The outputs of the job before have left.
    held : The next row waits for that alone.
    rows : Stream of rows for the sequencer. Payload :class:`RowDescriptor`.
    ended : No row is left.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        count = cfg.count_width
        super().__init__({
            "start": In(1), "job": In(JobWord), "k0": In(count), "k1": In(count),
            "k": In(range(cfg.keys + 1)),
            "c1_done": In(1), "centroids_done": In(1), "ap_done": In(1), "out_issued": In(1),
            **({"query_issued": In(1), "value_issued": In(1)} if cfg.program.weights_stay else {}),
            "outputs_free": In(1), "held": Out(1),
            "rows": Out(stream.Signature(RowDescriptor(cfg))), "ended": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        cfg, job, row = self.cfg, self.job, self.rows.payload
        program = cfg.program
        names = [entry.name for entry in program.rows]
        T, P, b, d, n, l = cfg.slices, cfg.passes, cfg.b, cfg.d, cfg.n, cfg.l  # noqa: E741
        exact, stay, groups = job.mode == Mode.EXACT, program.weights_stay, -(-d // b)

        # Where the program stands: its next row and the loops around it. ``at`` holds products of
        # the slice number, kept by addition.
        running = Signal()
        part, hpass = Signal(range(max(2, T))), Signal(range(max(2, P)))
        base = Signal(range(max(n, cfg.keys) + b + 1))
        strides = {"tokens": cfg.token_stride, "k0": cfg.k0, "k1": cfg.k1, "k2": cfg.k2, "d": d, "l": l}
        by_two = ("tokens", "k0", "k1", "k2") if program.fast else ()      # slices that lie side by side
        at = {key: Signal(range(T * step + 1), name=f"part_{key}") for key, step in strides.items()}

        # The fields of the row, from the table.
        table = ProgramRows(cfg)
        m.submodules.table = place(platform, table)
        entry = table.row
        op, lsh, sliced, fast = entry.op, entry.lsh, entry.sliced, entry.fast

        # Clusters are counted long before a row needs them, and tokens that stand for them are there from
        # the start on, so both wait in registers.
        k0, k1, k = (Signal.like(count, name=name) for name, count in
                     (("k0", self.k0), ("k1", self.k1), ("k", self.k)))
        m.d.sync += [k0.eq(self.k0), k1.eq(self.k1), k.eq(self.k)]

        # What it waits for.
        longest = drain_guard(cfg, 1)
        guard, draining = Signal(range(longest + 1)), Signal()    # from the take of outputs on
        ap_ready = Signal(range(cfg.aps + 1))     # batches that are
        m.d.sync += guard.eq(Mux(k < d, drain_guard(cfg, 0) - k, drain_guard(cfg, d)))
        events = {Wait.C1: self.c1_done, Wait.CENTROIDS: self.centroids_done,
                  Wait.PROBABILITY: ap_ready != 0, Wait.DRAIN: ~draining}
        if stay:
            events |= {Wait.QUERIES: self._once_there(m, self.query_issued, query_guard(cfg)),
                       Wait.VALUES: self._once_there(m, self.value_issued, value_guard(cfg))}
        holds = 1
        for event, level in events.items():
            holds &= ((entry.wait & event) == Wait.NONE) | level
        last = part == Mux(fast, T - 2, T - 1) if program.fast else part == T - 1
        free = self.outputs_free | ((op != Op.Q) | ~last if stay else op != Op.OUT)
        m.d.comb += [self.rows.valid.eq(running & holds & free),
                     self.held.eq(running & holds & ~free & self.rows.ready)]
        take = self.rows.valid & self.rows.ready
        with m.If(self._counted(m, self.out_issued, guard, longest)):
            m.d.sync += draining.eq(0)
        with m.If(take & (op == Op.OUT)):
            m.d.sync += draining.eq(1)
        m.d.sync += ap_ready.eq(ap_ready + self.ap_done - (take & (op == Op.OUT)))

        # What it reads. Weight banks hold the matrices slice by slice, set after set.
        set_base = Array([k * cfg.weight_rows for k in range(cfg.sets)])[job.set]
        a_base = Array([cfg.weight_base(Matrix.of(c)) for c in LSH])[lsh]
        query = (op == Op.Q) | (op == Op.SCORE) | (op == Op.OUT)
        if program.fast:
            query |= (op == Op.ALPHA) & (lsh == LSH.QUERY)
        rows = Mux(query, k0, k)
        weights = self._weights(set_base, op) + at["d"]
        left = Mux(rows > base, rows - base, 0)
        live = Mux(left < b, left, b)
        # A stays in place from one LSH to the next where the array holds all of it.
        kept = entry.kept & job.shared_a & (T == 1) & (P == 1)
        m.d.comb += [
            row.op.eq(op), row.lsh.eq(lsh), row.hpass.eq(hpass), row.load.eq(entry.load & ~kept),
            row.part_first.eq(part == 0), row.part_last.eq(last),
            row.batch.eq(base), row.rows.eq(rows), row.split.eq(k1),
            row.exact.eq(exact), row.cols.eq(Mux(entry.previous, b, live)),
            row.c1_addr.eq(Cat(part[0], at["k1"]) if program.fast else at["k1"]),
            *([row.odd.eq(part[0])] if program.fast else []),
        ]
        first_query = Mux(job.cross, job.n, 0)     # token of the first query
        with m.Switch(op):
            with m.Case(Op.HASH):
                tokens = Mux(lsh == LSH.QUERY, job.m, job.n)
                short = least_stream(cfg) - tokens
                m.d.comb += [
                    row.load_addr.eq(set_base + a_base + at["l"] + hpass * b),
                    row.addr.eq(at["tokens"] + Mux(lsh == LSH.QUERY, first_query, 0)),
                    row.length.eq(tokens), row.cols.eq(b),
                    row.pad.eq(Mux((short > 0) & (part != T - 1), short, 0)),
                    row.rows.eq(l), row.batch.eq(hpass * b),
                ]
            rows_c1, rows_c2 = Mux(exact, at["tokens"], at["k1"]), (
                cfg.c2_base // (1 + program.fast) + at["k2"] - k1)
            rows_c0 = Mux(exact, at["tokens"] + first_query, at["k0"])
            if program.fast:
                with m.Case(Op.ALPHA):
                    short = least_stream(cfg) - rows
                    m.d.comb += [row.addr.eq(Mux(query, rows_c0, rows_c1)), row.load_c2.eq(rows_c2),
                                 row.length.eq(rows), row.pad.eq(Mux(short > 0, short, 0))]
            with m.Case(Op.K, Op.V):
                if stay:
                    m.d.comb += [row.addr.eq(rows_c1), row.load_c2.eq(rows_c2)]
                else:
                    m.d.comb += [row.load_addr.eq(rows_c1 + base), row.load_c2.eq(rows_c2 + base),
                                 row.addr.eq(weights), row.length.eq(d), row.pad.eq(max(0, b - d))]
            with m.Case(Op.Q):
                if stay:
                    m.d.comb += row.addr.eq(rows_c0)
                else:
                    m.d.comb += [
                        row.load_addr.eq(rows_c0 + base), row.length.eq(d), row.addr.eq(weights),
                        row.final.eq((part == T - 1) & (base + b >= k0)),
                        row.pad.eq(Mux(part == T - 1, shortcut_pause(cfg),
                                       max(0, least_stream(cfg) - d))),
                    ]
            with m.Case(Op.SCORE):
                if stay:
                    m.d.comb += row.load_addr.eq(base)
                m.d.comb += [row.addr.eq(Mux(exact, 0, cfg.key_base)), row.length.eq(k + exact)]
            with m.Case(Op.OUT):
                m.d.comb += [row.addr.eq(Mux(exact, 0, cfg.value_base)), row.length.eq(k)]

        # Groups of dimensions, where weights stay.
        turn, turned, group = Signal(), Const(1), Signal(range(max(2, groups)))
        if stay:
            turned = self._rows_of_weights(m, op, exact, last, turn, group, weights, rows)

        # Where it goes next: the innermost loop that has not ended. The next row is known before it is
        # known whether this one is taken.
        more, slices_left = Signal(), sliced & ~last
        m.d.comb += table.number.eq(Mux(slices_left, entry.first_slice, Mux(more, entry.again, entry.then)))
        with m.Switch(entry.loop):
            with m.Case(Loop.PASS):
                m.d.comb += more.eq(hpass != P - 1)
            with m.Case(Loop.KEY):
                m.d.comb += more.eq(base + b < k)
            with m.Case(Loop.QUERY):
                m.d.comb += more.eq(base + b < k0)
            with m.Case(Loop.GROUP):
                m.d.comb += more.eq(group + turn != groups - 1)
        m.d.comb += table.step.eq(take & turned)
        with m.If(take):
            m.d.sync += turn.eq(~turned)
        with m.If(table.step & slices_left):
            m.d.sync += [part.eq(part + 1 + fast),
                         *(at[key].eq(at[key] + self._stride(step, key in by_two, part, fast))
                           for key, step in strides.items())]
        with m.Elif(table.step):
            with m.If(sliced):
                m.d.sync += [part.eq(0), *(reg.eq(0) for reg in at.values())]
            with m.Switch(entry.loop):
                with m.Case(Loop.PASS):
                    m.d.sync += hpass.eq(Mux(more, hpass + 1, 0))
                with m.Case(Loop.KEY):
                    m.d.sync += base.eq(Mux(more, base + b, 0))
                with m.Case(Loop.QUERY):
                    m.d.sync += base.eq(Mux(more, base + b, base))
                with m.Case(Loop.GROUP):
                    m.d.sync += group.eq(Mux(more, group + turn + 1, 0))
            with m.If(entry.ends & ~more):
                m.d.sync += running.eq(0)
        m.d.comb += self.ended.eq(~running)

        with m.If(self.start):
            m.d.comb += [table.step.eq(1),
                         table.number.eq(Mux(job.reuse, names.index(program.reuse_entry),
                                             Mux(exact, names.index(program.entry[Mode.EXACT]),
                                                 names.index(program.entry[Mode.CTA]))))]
            if program.linear is not None:
                with m.If(job.linear):
                    m.d.comb += table.number.eq(Mux(job.reuse, names.index(program.linear_reuse_entry),
                                                    names.index(program.linear)))
            m.d.sync += [running.eq(1), part.eq(0), hpass.eq(0), base.eq(0), ap_ready.eq(0), turn.eq(0),
                         group.eq(0), draining.eq(0), *(reg.eq(0) for reg in at.values())]
        return m

    def _stride(self, step, by_two, part, fast):
        """From a slice to the next, or to the next but one where the row takes two."""
        if not self.cfg.program.fast:
            return step
        return Mux(fast | part[0], step, 0) if by_two else Mux(fast, 2 * step, step)

    def _weights(self, set_base, op):
        """First row of the matrix of a linear."""
        first = Mux(op == Op.K, self.cfg.weight_base(Matrix.of(Op.K)),
                    Mux(op == Op.V, self.cfg.weight_base(Matrix.of(Op.V)),
                        self.cfg.weight_base(Matrix.of(Op.Q))))
        return set_base + first

    def _once_there(self, m, issued, guard: int):
        """What is needed of Q or of V is in its bank, ``guard`` cycles after it is ``issued``."""
        there = Signal()
        with m.If(self._counted(m, issued, guard, guard)):
            m.d.sync += there.eq(1)
        with m.If(self.start):
            m.d.sync += there.eq(0)
        return there

    def _counted(self, m, event, cycles, most: int):
        """In the cycle before the one ``cycles`` behind ``event``; a start of a job forgets it. There are
        at least 2 and at most ``most``."""
        left = Signal(range(most))
        with m.If(event):
            m.d.sync += left.eq(cycles - 1)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.If(self.start):
            m.d.sync += left.eq(0)
        return ~event & (left == 1)

    def _rows_of_weights(self, m, op, exact, last, turn, group, weights, rows):
        """A row of a linear whose weights stay; gives whether it is the last of those in turn."""
        cfg, row = self.cfg, self.rows.payload
        groups = -(-cfg.d // cfg.b)
        least = least_stream(cfg)
        pairs = (rows < least) if cfg.linear_parts > 1 and groups > 1 else Const(0)
        turned = Signal(init=1)
        dim = (group + turn) * cfg.b
        short = Mux(pairs, least_stream(cfg, 2), least)
        with m.If((op == Op.K) | (op == Op.V) | (op == Op.Q)):
            m.d.comb += [
                turned.eq(~pairs | turn), row.batch.eq(dim), row.rows.eq(cfg.d),
                row.cols.eq(min(cfg.b, cfg.d)),
                row.load_addr.eq(weights + dim), row.length.eq(rows), row.turn.eq(turn),
                row.final.eq(last & turned & (group + turn == groups - 1)),
                row.counted.eq(exact & (group == 0) & (turn == 0) & (op != Op.V)),
                row.pad.eq(Mux(~(last & turned) & (rows < short), short - rows, 0)),
            ]
        return turned
