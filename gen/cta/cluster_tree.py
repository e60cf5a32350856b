"""One layer of the cluster tree, and the thread that is at this depth (CTA, Fig. 4a)."""

from amaranth.hdl import Array, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from model.cta.config import CTAConfig
from model.cta.job import LSH_WIDTH

__all__ = ["ThreadSignature", "TreeLayer"]



class ThreadSignature(wiring.Signature):
    """What a thread takes along from layer to layer (the paper's ``curr_node`` registers).

    ``curr_depth`` is the layer the thread is in.

    Members
    -------
    valid : There is a thread.
    first : The token of the thread is the first of the clustering.
    last : The token of the thread is the last of the clustering.
    lsh : Clustering of the token.
    node : Node of this layer that the thread is at.
    fresh : The node was made by this very token.
    over : The token asked for a node in a full layer.
    """

    def __init__(self, rows: int):
        super().__init__({"valid": Out(1), "first": Out(1), "last": Out(1), "lsh": Out(LSH_WIDTH),
                          "node": Out(address_width(rows)), "fresh": Out(1), "over": Out(1)})


class TreeLayer(wiring.Component):
    """Finds or makes the child of a node that one digit of the hash code leads to.

    A node is a row of 2**digit slots {made, id}. The id of a missing child is the count of children
    in this layer, or the last id where the layer is full. The row of a fresh node counts as empty,
    whatever the memory holds, and the first token of a clustering counts from 0: so nothing is
    cleared between clusterings or after a reset.

    Timing: a thread enters by ``i`` in cycle c and reads its row; ``digit`` is due in c+1, and the
    thread leaves by ``o`` in c+1 (combinational from the memory: row, slot, child, address of the
    next layer). One thread a cycle, idle cycles anywhere, no back-pressure. The row is written in
    c+1 too, while the next thread reads: if that one is at the same node, the row goes to it by the
    bypass (Sec. IV-B (2)). A layer of one node keeps its row in a register instead.

    Numerics: golden ``model.cta.cluster_index.cluster_table``, one ``layer``.

    Source: Sec. IV-B (2), Fig. 4 (a).

    Members
    -------
    i : Thread that enters.
    digit : Digit of its hash code, one cycle later.
    o : The thread as it leaves, at its child.
    """

    def __init__(self, cfg: CTAConfig, layer: int):
        self.cfg = cfg
        self.rows, self.children = cfg.tree_rows(layer), cfg.tree_rows(layer + 1)
        # Layers of one size are one hardware: the capacities are the configuration's.
        self.module_name = f"cta_tree_layer_{self.rows}_{self.children}"
        self.row = data.ArrayLayout(
            data.StructLayout({"made": 1, "id": address_width(self.children)}), 1 << cfg.digit)
        super().__init__({"i": In(ThreadSignature(self.rows)), "digit": In(cfg.digit),
                          "o": Out(ThreadSignature(self.children))})

    def elaborate(self, platform):
        m = Module()
        cfg, i, o = self.cfg, self.i, self.o

        # The thread at this depth.
        valid = Signal()
        first = Signal()
        fresh = Signal()
        node = Signal(len(i.node), reset_less=True)
        last = Signal()
        lsh = Signal(LSH_WIDTH)
        over = Signal()
        m.d.sync += [valid.eq(i.valid), first.eq(i.first), fresh.eq(i.fresh), node.eq(i.node),
                     last.eq(i.last), lsh.eq(i.lsh), over.eq(i.over)]

        # Its row as it was, and as it will be.
        stored = Signal(self.row)
        row = Signal(self.row)
        new_row = Signal(self.row)
        write = Signal()
        m.d.comb += row.eq(Mux(fresh, 0, stored.as_value()))
        if self.rows == 1:
            with m.If(write):
                m.d.sync += stored.eq(new_row)
        else:
            self.memory(m, node, stored, new_row, write)

        # The child: found, made, or an alias of the last node in a full layer.
        count = Signal(range(self.children + 1))
        base = Signal(range(self.children + 1))
        full = Signal()
        alias = Signal(len(o.node))
        missing = Signal()
        slot = Signal(self.row.elem_shape)
        # A capacity beyond what the spellings lead to is never reached.
        caps = [min(cap, self.children) for cap in (cfg.k0, cfg.k1, cfg.k2)]
        m.d.comb += [
            base.eq(Mux(first, 0, count)),
            full.eq(base == Array(Const(cap, len(base)) for cap in caps)[lsh]),
            alias.eq(Array(Const(cap - 1, len(alias)) for cap in caps)[lsh]),
            slot.eq(Array(row[at].as_value() for at in range(1 << cfg.digit))[self.digit]),
            missing.eq(~slot.made),
            o.valid.eq(valid), o.first.eq(first), o.last.eq(last), o.lsh.eq(lsh),
            o.node.eq(Mux(missing, Mux(full, alias, base), slot.id)),
            o.fresh.eq(missing & ~full), o.over.eq(over | (missing & full)),
            write.eq(valid & missing)]
        with m.If(write):
            m.d.sync += count.eq(base + ~full)
        m.d.comb += new_row.eq(row)
        with m.Switch(self.digit):
            for at in range(1 << cfg.digit):
                with m.Case(at):
                    m.d.comb += [new_row[at].made.eq(1), new_row[at].id.eq(o.node)]
        return m

    def memory(self, m, node, stored, new_row, write):
        """Rows in an SRAM, with the bypass between neighbouring threads."""
        i = self.i
        m.submodules.rows = rows = SRAM(width=self.row.size, depth=self.rows)
        bypass = Signal()
        bypassed = Signal(self.row, reset_less=True)
        m.d.comb += [rows.r_en.eq(i.valid & ~i.fresh), rows.r_addr.eq(i.node),
                     rows.w_en.eq(write), rows.w_addr.eq(node), rows.w_data.eq(new_row),
                     stored.eq(Mux(bypass, bypassed.as_value(), rows.r_data))]
        m.d.sync += bypass.eq(self.same_node(write, node))
        with m.If(write):
            m.d.sync += bypassed.eq(new_row)

    def same_node(self, write, node):
        """True where the thread that enters reads the row that is being written."""
        return write & (self.i.node == node)
