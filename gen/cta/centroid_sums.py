"""CACC: it sums and counts the members of each cluster (CTA, Sec. IV-B (3))."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.memory import SRAM, address_width
from gen.blocks.pipeline import delay, stages
from gen.emit import place
from gen.fixed import shape
from model.cta.config import CTAConfig
from model.cta.job import LSH_WIDTH
from model.cta.timing import issue_delay

__all__ = ["CentroidJob", "CentroidSums", "SumLane"]


class CentroidJob(data.StructLayout):
    """Aggregate ``count`` tokens (1..n) of one ``slice`` by the table of ``lsh``.

    ``residual``: what C1 leaves of the tokens is aggregated. ``first``: row of the first token in a
    slice of the token bank.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"lsh": LSH_WIDTH, "slice": address_width(cfg.slices),
                          "count": cfg.count_width, "residual": 1, "first": cfg.count_width})


class SumLane(wiring.Component):
    """What one lane of CACC adds to: 0, a sum that has just been formed, or one from the bank.

    All but the sum of the token before is known a cycle earlier and waits in a register, so that
    neither a memory nor the choice stands before the adder of the column. The choice has registers in
    every lane, since one for all would have to drive all bits of a row.

    Timing: ``now`` and ``stored`` come in the cycle after ``fresh``, ``back``, ``third`` and ``bank``,
    and ``same`` comes with them. In the cycle after that ``acc`` is valid, with the next ``now``.

    Source: as :class:`CentroidSums`.

    Members
    -------
    fresh : The token is the first of its cluster.
    same : The token is of the cluster of the one before it. It comes a cycle after the others.
    back : The token is of the cluster of the last but one.
    third : The token is of the cluster of the last but two.
    bank : Bank of the sum otherwise.
    now : Sum that the column shows. Format ``cfg.csum``.
    stored[sums] : What the banks have read. Format ``cfg.csum``.
    acc : The sum so far. Format ``cfg.csum``.
    """

    module_name = "cta_sum_lane"

    def __init__(self, cfg: CTAConfig):
        self.cfg, csum = cfg, shape(cfg.csum)
        super().__init__({"fresh": In(1), "same": In(1), "back": In(1), "third": In(1), "bank": In(1),
                          "now": In(csum), "stored": In(csum).array(cfg.sums), "acc": Out(csum)})

    def elaborate(self, platform):
        m = Module()
        fresh, same, back, third, bank = (delay(m, getattr(self, name), 1) for name in (
            "fresh", "same", "back", "third", "bank"))
        before = delay(m, self.now, 1, name="before")
        known = Signal.like(self.now, reset_less=True)
        m.d.sync += known.eq(carried(self.now, before, Array(self.stored)[bank], fresh, back, third))
        m.d.comb += self.acc.eq(Mux(same, self.now, known))
        return m


def carried(now, before, stored, fresh, back, third):
    """What a cluster has come to, of the token that is two stages before ``now``."""
    return Mux(fresh, 0, Mux(back, now, Mux(third, before, stored)))


class CentroidSums(wiring.Component):
    """Adds up the tokens of each cluster on the adders of a borrowed column: C[CT[t]] += X[t].

    A token passes these stages, one cycle each, and every cycle takes a token:

    0. ``ct_addr``: the entry of the cluster table is asked for.
    1. ``ct`` has arrived; the lanes are asked for the row of the token, and of C1 for a residual.
    2. First member? Indices are first-seen, so it is one if the index equals the running count.
       Index compared with the three before it.
    3. The cycle after ``cacc_next``: the lanes' x goes into the column. The sum so far is read from the bank.
    4. It waits in a register of every lane: 0 for a first member; what the column shows if the last
       token but one was of this cluster; what it showed before if the last but two was; else the
       bank's.
    5. ``acc`` goes into the column: that, or the column's own result if the token before was of
       this cluster.
    6. ``cacc_sum`` comes out; it is written back if the next token is of another cluster.

    Hazards: a row written in the cycle of stage 6 can be read from the next cycle on, i.e. by the
    fourth token after. The three before that get it from the column and from a register in
    every lane. A first member needs no read, so banks are never cleared.

    With two banks (``cfg.sums``) they are used in turn, so that CAVG reads one while CACC fills the
    other. Counts lie in memories of their own, since CAVG wants them a cycle before the sums.

    Timing: ``job`` taken in cycle c has token t in stage s in cycle c + 1 + t + s; the next job can
    be taken in c + count, or a cycle later for its turn, if its bank is free (see
    ``model.cta.timing.cag_times``). ``read_en`` with ``read_addr`` in cycle c gives ``count`` in c+1 and
    ``sums`` in c+2; ``read_last`` with it frees
    the bank. Only ``job`` can be held up.

    Numerics: exact. Golden ``model.cta.centroid.cluster_sums``.

    Source: Sec. IV-B (3), Fig. 9 (a). Sums are wide (csum) and so not in the result memory.

    Members
    -------
    job : Stream of jobs. Payload :class:`CentroidJob`.
    turn : Parity of this cycle. A job whose first token is of that of ``turn`` + issue_delay may be taken.
    ct_en : An entry of a cluster table is asked for.
    ct_addr : Token of that entry.
    ct_lsh : Clustering of that entry.
    ct : Cluster of that token, one cycle after ``ct_en``.
    ct1 : Cluster of the same token in LSH1, for a residual.
    tok_en : The lanes are asked for a row; its x is due at the column two cycles later.
    tok_addr : Row of the token banks.
    c1_addr : Row of C1, for a residual: in the value bank, or with ``c1_copy`` in the key bank.
    c1_copy : The row of C1 is that of the first slice.
    residual : The row is the token less its C1.
    cacc_next : The operand is at the borrowed column in the next cycle, two cycles after ``tok_en``.
    acc[d] : The sum so far, two cycles after the operand. Format ``cfg.csum``.
    cacc_sum[d] : The new sum, three cycles after the operand. Format ``cfg.csum``.
    full : The oldest bank not yet read has all its sums.
    full_lsh : Clustering of that bank.
    full_slice : Slice of that bank.
    full_k : Clusters of that bank.
    read_en : CAVG reads the count of a cluster; its sums follow a cycle later.
    read_addr : Cluster whose count and sums are read.
    read_last : The cluster read is the last of the bank, which is free from the next cycle on.
    count : Members of the cluster, one cycle after ``read_en``.
    sums[d] : Sums of its members, two cycles after ``read_en``. Format ``cfg.csum``.
    k[3] : Clusters of LSH0, LSH1, LSH2, from the cycle after the last write-back of the job.
    busy : A token is under way.
    """

    module_name = "cta_centroid_sums"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        csum, index = shape(cfg.csum), address_width(cfg.sum_rows)
        super().__init__({
            "job": In(stream.Signature(CentroidJob(cfg))), "turn": In(1),
            "ct_en": Out(1), "ct_addr": Out(cfg.token_id_width), "ct_lsh": Out(LSH_WIDTH),
            "ct": In(cfg.token_id_width), "ct1": In(cfg.token_id_width),
            "tok_en": Out(1), "tok_addr": Out(address_width(cfg.token_depth)),
            "c1_addr": Out(address_width(cfg.row_depth)), "c1_copy": Out(1), "residual": Out(1),
            "cacc_next": Out(1), "acc": Out(csum).array(cfg.d), "cacc_sum": In(csum).array(cfg.d),
            "full": Out(1), "full_lsh": Out(LSH_WIDTH), "full_slice": Out(address_width(cfg.slices)),
            "full_k": Out(cfg.count_width),
            "read_en": In(1), "read_addr": In(index), "read_last": In(1),
            "count": Out(cfg.count_width), "sums": Out(csum).array(cfg.d),
            "k": Out(cfg.count_width).array(3), "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg

        # Stage 0: a job is a walk over its tokens. A bank belongs to a job until CAVG has read it.
        job = Signal(CentroidJob(cfg))
        active = Signal()
        token = Signal(cfg.token_id_width)
        token_base = Signal(len(self.tok_addr), reset_less=True)
        c1_base = Signal(len(self.c1_addr), reset_less=True)
        filling = Signal()
        taken = Signal(cfg.sums)
        bank0 = Signal()
        last0 = Signal()
        # The hash reads tokens of the other parity (gen.cta.program), each from a bank with one port.
        offer = self.job.payload
        fast = cfg.program.fast
        odd = offer.first[0] ^ (offer.slice[0] if fast else 0)
        fits = odd ^ self.turn ^ 1 ^ (issue_delay(cfg) & 1)
        m.d.comb += [last0.eq(token == job.count - 1),
                     self.job.ready.eq((~active | last0) & ~taken.bit_select(filling, 1) & fits),
                     self.ct_en.eq(active), self.ct_addr.eq(token),
                     self.ct_lsh.eq(job.lsh)]
        with m.If(self.job.valid & self.job.ready):
            m.d.sync += [
                active.eq(1), token.eq(0), job.eq(offer), bank0.eq(filling), filling.eq(self.other(filling)),
                token_base.eq((offer.slice >> fast) * cfg.token_stride + offer.first),
                c1_base.eq(Mux(offer.slice == 0, cfg.key_base,
                               (offer.slice >> 1) * (2 * cfg.k1) + offer.slice[0] if fast else
                               offer.slice * cfg.k1))]
        with m.Elif(active):
            m.d.sync += [active.eq(~last0), token.eq(token + 1)]
        valid = stages(m, active, 6, reset=True)
        last, bank = stages(m, last0, 6), stages(m, bank0, 6)
        first = stages(m, token == 0, 2, name="first")

        # Stage 1: the index, and the row of the token.
        row = token_base + token
        if fast:        # beside that of the slice next to it
            row = Cat(row[0] ^ job.slice[0], row)
        m.d.comb += [self.tok_en.eq(valid[1]),
                     self.tok_addr.eq(delay(m, row[:len(self.tok_addr)], 1, name="tok_addr")),
                     self.residual.eq(delay(m, job.residual, 1, name="residual")),
                     self.c1_addr.eq(delay(m, c1_base, 1) + (
                         Mux(self.c1_copy, self.ct1, self.ct1 << 1) if fast else self.ct1)),
                     self.c1_copy.eq(delay(m, job.slice == 0, 1, name="c1_copy"))]
        index = [None, *stages(m, self.ct, 5, name="index")]

        # Stage 2: a first member makes the running count go up; k is what it comes to.
        clusters = Signal(cfg.count_width)
        so_far = Signal(cfg.count_width)
        fresh2 = Signal()
        m.d.comb += [so_far.eq(Mux(first[2], 0, clusters)), fresh2.eq(index[2] == so_far)]
        with m.If(valid[2]):
            m.d.sync += clusters.eq(so_far + fresh2)
        fresh = [None, None, *stages(m, fresh2, 2)]
        # Hazards. Of another job a token may match what is fresh, or what has a nearer token of its own.
        same, back, third = ([None, None, *stages(m, hit & ~fresh2, 3, name=name)] for name, hit in
                             zip(("same", "back", "third"), self.hazards(index)))

        # Stage 3: read, and nothing that is being written or about to be.
        m.d.comb += self.cacc_next.eq(valid[2])
        fetch = valid[3] & ~(fresh[3] | same[3] | back[3] | third[3])

        # Stages 4 to 6: the sum and the number of members, before and after this token. The
        # index changes where the token behind is of another cluster or of another job.
        store = Signal()
        flat = Cat(self.cacc_sum)
        m.d.comb += store.eq(valid[6] & (last[6] | ~same[5]))
        members = Signal(cfg.count_width, reset_less=True)
        sums, counts = self.banks(m, bank, index, fetch, store, flat, members)

        known = Signal.like(members, reset_less=True)
        m.d.sync += [
            known.eq(carried(members, delay(m, members, 1), counts[bank[4]], fresh[4], back[4], third[4])),
            members.eq(Mux(same[5], members, known) + 1)]
        width = cfg.csum.width
        for i, (now, acc) in enumerate(zip(self.cacc_sum, self.acc)):
            lane = SumLane(cfg)
            m.submodules[f"lane_{i}"] = place(platform, lane)
            m.d.comb += [
                lane.fresh.eq(fresh[3]), lane.same.eq(same[4]), lane.back.eq(back[3]),
                lane.third.eq(third[3]), lane.bank.eq(bank[3]), lane.now.eq(now), acc.eq(lane.acc),
                *(to.eq(row[i * width:(i + 1) * width]) for to, row in zip(lane.stored, sums))]
        self.hand_over(m, valid, last, bank, job, bank0, filling, clusters, taken)
        m.d.comb += self.busy.eq(Cat(valid).any())
        return m

    def other(self, bank):
        """The bank that comes after ``bank``."""
        return ~bank if self.cfg.sums > 1 else bank

    def hazards(self, index):
        """Whether the token in stage 2 is of the cluster of the last one, of those before that."""
        return [index[2] == index[at] for at in (3, 4, 5)]

    def banks(self, m, bank, index, fetch, store, flat, members):
        """Sums and counts, in two banks each; a read port is CACC's until ``full``, then CAVG's."""
        cfg = self.cfg
        reading = Signal()
        with m.If(self.read_last):
            m.d.sync += reading.eq(self.other(reading))
        self.reading = reading
        row_en, row_addr, row_bank = (delay(m, v, 1, reset=True) for v in
                                      (self.read_en, self.read_addr, reading))
        outputs = []
        for name, width, en, addr, of, value in (
                ("sums", len(flat), row_en, row_addr, row_bank, flat),
                ("counts", cfg.count_width, self.read_en, self.read_addr, reading, members)):
            outputs.append(Array())
            for at in range(cfg.sums):
                m.submodules[f"{name}_{at}"] = ram = SRAM(width=width, depth=cfg.sum_rows)
                average = en & (of == at)
                m.d.comb += [
                    ram.w_en.eq(store & (bank[6] == at)), ram.w_addr.eq(index[6]),
                    ram.w_data.eq(value),
                    ram.r_en.eq(average | (fetch & (bank[3] == at))),
                    ram.r_addr.eq(Mux(average, addr, index[3]))]
                outputs[-1].append(ram.r_data)
        sums, counts = outputs
        m.d.comb += [self.count.eq(counts[delay(m, reading, 1)]),
                     Cat(self.sums).eq(sums[delay(m, reading, 2)])]
        return sums, counts

    def hand_over(self, m, valid, last, bank, job, bank0, filling, clusters, taken):
        """A bank is taken with a job, full after its last write-back, free once it is read."""
        cfg, reading = self.cfg, self.reading
        full = Signal(cfg.sums)
        accepted = self.job.valid & self.job.ready
        of = [{key: Signal(width, name=f"bank_{at}_{key}") for key, width in
               (("lsh", LSH_WIDTH), ("slice", len(self.full_slice)), ("k", cfg.count_width))}
              for at in range(cfg.sums)]
        for at in range(cfg.sums):
            with m.If(accepted & (filling == at)):
                m.d.sync += [taken[at].eq(1), of[at]["lsh"].eq(self.job.payload.lsh),
                             of[at]["slice"].eq(self.job.payload.slice)]
            with m.If(valid[3] & last[3] & (bank[3] == at)):
                m.d.sync += of[at]["k"].eq(clusters)
            with m.If(valid[6] & last[6] & (bank[6] == at)):
                m.d.sync += full[at].eq(1)
                for lsh in range(3):
                    with m.If(of[at]["lsh"] == lsh):
                        m.d.sync += self.k[lsh].eq(of[at]["k"])
            with m.If(self.read_last & (reading == at)):
                m.d.sync += [taken[at].eq(0), full[at].eq(0)]
        m.d.comb += [self.full.eq(full.bit_select(reading, 1)),
                     *(getattr(self, f"full_{key}").eq(Array(bank[key] for bank in of)[reading])
                       for key in of[0])]
