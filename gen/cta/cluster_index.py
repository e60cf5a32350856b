"""CIM: it turns hash codes into cluster indices, one code a cycle (CTA, Sec. IV-B (2))."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM
from gen.blocks.pipeline import delay
from gen.cta.cluster_tree import TreeLayer
from gen.emit import place
from model.cta.config import CTAConfig
from model.cta.job import LSH_WIDTH
from model.cta.timing import cim_start

__all__ = ["ClusterIndex"]


class ClusterIndex(wiring.Component):
    """Numbers the hash codes of a clustering: equal codes, and only they, get the same index.

    The cluster tree spells a code in l*D base-2**digit digits, D of them a hash value, and gives
    each digit a layer with a memory of its own. A thread is a token on its way from root to leaf.
    In every cycle one thread starts, one ends, and each of the l*D threads in flight is in another
    layer.

    The threads of the paper stay where they are and a decoder connects them to other memories in
    turn. Here a layer stays with its memory, and the few bits of a thread move on: stage q holds
    the thread with curr_depth = q, which is the paper's thread number (token mod l*D). Moving some
    16 bits is cheaper than a rotating crossbar to all layer memories. Why a layer is a digit and
    not a whole hash value: docs/decisions/0003-cluster-tree.md.

    Codes of more than b values come in ``cfg.passes`` passes over the tokens. Hash buffers keep the
    earlier ones, and the tree is walked in the last.

    Timing: column c of ``hash`` is due c cycles after ``valid``. One token a cycle, idle cycles
    anywhere; no gap is needed between passes or clusterings. ``ct_valid`` follows ``valid`` (of the
    last pass) by ``model.cta.timing.cim_latency`` cycles. There is no back-pressure. After a reset
    a clustering starts with ``first``; what was cut off leaves no trace.

    Numerics: golden ``model.cta.cluster_index.cluster_table``. The tree has a capacity a clustering
    (k0, k1, k2); a token beyond it shares the last node of the full layer and is counted.

    Source: Sec. III-A, IV-B (2), Fig. 4 (a). Deviations: l*D layers instead of l, capacity and
    overflow defined, hash codes longer than the array is wide.

    Members
    -------
    hash[hash_columns] : Hash value of column c, c cycles after ``valid``. Format ``fmt.hash``.
    valid : A token is hashed; column 0 is there.
    first : The token is the first of its pass.
    last : The token is the last of its pass.
    lsh : Clustering of the token.
    hpass : Pass over the tokens, 0..passes-1.
    ct_valid : A cluster index is there.
    ct : Cluster index of a token, in order of first appearance.
    ct_first : The token is the first of its clustering.
    ct_last : The token is the last of its clustering.
    ct_lsh : Clustering of the index.
    k : Clusters up to and with this token; with ``ct_last`` those of the clustering.
    overflow : Tokens up to and with this one that found a layer full.
    """

    module_name = "cta_cluster_index"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "hash": In(signed(cfg.fmt.hash.width)).array(cfg.hash_columns), "valid": In(1),
            "first": In(1), "last": In(1), "lsh": In(LSH_WIDTH), "hpass": In(cfg.pass_width),
            "ct_valid": Out(1), "ct": Out(cfg.token_id_width), "ct_first": Out(1),
            "ct_last": Out(1), "ct_lsh": Out(LSH_WIDTH), "k": Out(cfg.count_width),
            "overflow": Out(cfg.count_width)})

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        layers = [self.layer(q) for q in range(cfg.tree_digits)]
        for q, layer in enumerate(layers):
            m.submodules[f"layer_{q}"] = place(platform, layer)

        # Threads start at the root, which the first token makes.
        wait = cim_start(cfg) - 1
        walk = self.valid & (self.hpass == cfg.passes - 1)
        thread = layers[0].i
        m.d.comb += [thread.valid.eq(delay(m, walk, wait, name="walk", reset=True)),
                     Cat(thread.first, thread.last, thread.lsh).eq(
                         delay(m, Cat(self.first, self.last, self.lsh), wait, name="marks")),
                     thread.node.eq(0), thread.fresh.eq(thread.first), thread.over.eq(0)]

        # Each digit reaches its layer with the thread: layer v*D + j takes digit j of value v.
        for v, (value, due) in enumerate(self.values(m, walk)):
            value = delay(m, value, cim_start(cfg) + v * cfg.hash_digits - due, name=f"hash_{v}")
            for q in range(v * cfg.hash_digits, (v + 1) * cfg.hash_digits):
                m.d.comb += layers[q].digit.eq(value[-cfg.digit:])
                if len(value) > cfg.digit:
                    value = delay(m, value[:-cfg.digit], 1, name=f"digits_{q + 1}")

        # From layer to layer.
        for above, below in zip(layers, layers[1:]):
            for name in above.o.signature.members:
                m.d.comb += getattr(below.i, name).eq(getattr(above.o, name))

        # Leaves. One made by this token is a new cluster.
        leaf = layers[-1].o
        m.d.sync += [self.ct_valid.eq(leaf.valid), self.ct.eq(leaf.node),
                     self.ct_first.eq(leaf.first), self.ct_last.eq(leaf.last),
                     self.ct_lsh.eq(leaf.lsh)]
        with m.If(leaf.valid):
            m.d.sync += [self.k.eq(Mux(leaf.first, 0, self.k) + leaf.fresh),
                         self.overflow.eq(Mux(leaf.first, 0, self.overflow) + leaf.over)]
        return m

    def layer(self, q: int) -> TreeLayer:
        """Layer ``q`` of the tree."""
        return TreeLayer(self.cfg, q)

    def values(self, m, walk):
        """The hash values of a code in order, each with the cycle it comes in after ``valid``."""
        cfg = self.cfg
        columns = [(value, c) for c, value in enumerate(self.hash)]
        if cfg.passes == 1:
            return columns

        # Earlier passes: wait for the last column, so that the values of a token are one word.
        # Reading waits as long, so that even the only token of a pass is written before it is read.
        wait = cfg.b - 1
        word = Cat(delay(m, value, wait - c) for value, c in columns)
        token = Signal(cfg.token_id_width)
        following = Signal(cfg.token_id_width)
        m.d.comb += token.eq(Mux(self.first, 0, following))
        with m.If(self.valid):
            m.d.sync += following.eq(token + 1)
        address = delay(m, token, wait)
        read = delay(m, walk, wait, name="read", reset=True)
        earlier = []
        for p in range(cfg.passes - 1):
            m.submodules[f"hash_buffer_{p}"] = buffer = SRAM(width=len(word), depth=cfg.n)
            m.d.comb += [
                buffer.w_en.eq(delay(m, self.valid & (self.hpass == p), wait, name="write",
                                     reset=True)),
                buffer.w_addr.eq(address), buffer.w_data.eq(word),
                buffer.r_en.eq(read), buffer.r_addr.eq(address)]
            width = cfg.fmt.hash.width
            earlier += [(buffer.r_data[c * width:(c + 1) * width], wait + 1) for c in range(cfg.b)]
        return (earlier + columns)[:cfg.l]
