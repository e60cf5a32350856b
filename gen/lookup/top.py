"""LookupFFN engine: it wires the blocks together."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.emit import place
from gen.lookup.gather import Gather
from gen.lookup.hash import Hash
from gen.lookup.host import Host
from gen.lookup.projection import Projection
from gen.lookup.words import BEAT, JobWord, LoadCommand, StatusWord, Trace
from model.lookup.config import LookupConfig
from model.lookup.job import Saturation
from model.lookup.layout import Target

__all__ = ["Lookup"]


class Lookup(wiring.Component):
    """Computes a feed-forward layer by hashing: tokens in, tokens out, a table port beside.

    Data walk one way: host, projection, hash, gather, host. Each of the three stages has a file and
    a module of its own, and streams between them let each stall the one before. Words are described
    in ``model.lookup.layout``.

    Timing: ``model.lookup.cycles`` gives every cycle of a job. The synchronous reset stops
    everything within a cycle; what was loaded stays.

    Numerics: golden ``model.lookup.layer.run``.

    Source: LookupFFN (ICML 2023); the paper has no hardware.

    Parameters
    ----------
    cfg : LookupConfig

    Members
    -------
    load : Stream of load commands. Payload ``LoadCommand``.
    data : Stream of beats of eight elements of 16 bits.
    job : Stream of jobs. Payload ``JobWord``.
    x : Stream of tokens, d/8 beats each.
    y : Stream of outputs, d/8 beats a token.
    status : Stream of status words, one a job. Payload ``StatusWord``.
    activity : What each unit did one cycle before, for pictures and benches.
    residual : Stream of residuals, d/8 beats a token. With ``cfg.residual`` only.
    request : Stream of beat numbers that are read. With external tables only.
    response : Stream of the beats read, in order, any latency. With external tables only.
    """

    module_name = "lookup"

    def __init__(self, cfg: LookupConfig = LookupConfig()):
        self.cfg = cfg
        cfg.require_buildable()
        members = {
            "load": In(stream.Signature(LoadCommand)), "data": In(stream.Signature(BEAT)),
            "job": In(stream.Signature(JobWord)), "x": In(stream.Signature(BEAT)),
            "y": Out(stream.Signature(BEAT)), "status": Out(stream.Signature(StatusWord)),
            "activity": Out(Trace),
        }
        if cfg.residual:
            members["residual"] = In(stream.Signature(BEAT))
        if cfg.tables == "external":
            members["request"] = Out(stream.Signature(cfg.address_width))
            members["response"] = In(stream.Signature(8 * cfg.lanes))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        parts = host, projection, hashing, gather = [
            kind(cfg) for kind in (Host, Projection, Hash, Gather)]
        for part in parts:
            m.submodules[type(part).__name__.lower()] = place(platform, part)

        def border(part, *names):
            """The streams of these names are those of a part."""
            for name in names:
                out = self.signature.members[name].flow == Out
                inside, outside = getattr(part, name), wiring.flipped(getattr(self, name))
                wiring.connect(m, *((inside, outside) if out else (outside, inside)))

        # Tokens to soft codes to rows to outputs.
        border(host, "load", "data", "job", "x", "y", "status")
        wiring.connect(m, host.tokens, projection.x)
        wiring.connect(m, projection.z, hashing.z)
        wiring.connect(m, hashing.rows, gather.rows)
        wiring.connect(m, gather.y, host.outputs)
        if cfg.residual:
            border(host, "residual")
            wiring.connect(m, host.residuals, gather.residual)
        if cfg.tables == "external":
            border(gather, "request", "response")

        # What is loaded goes to the memory of its target, in the block that reads it.
        memories = {Target.WEIGHT: (projection, "w"), Target.SHIFT: (projection, "p"),
                    Target.Z_BIAS: (projection, "b"), Target.SHIFT_S: (hashing, "s"),
                    Target.OUT_BIAS: (gather, "o")}
        if cfg.tables == "internal":
            memories[Target.TABLE] = gather, "t"
        for target, (part, port) in memories.items():
            beat = host.write.table if target is Target.TABLE else host.write.beat
            for name, value in (("en", host.write.en[target]), ("addr", host.write.addr),
                                ("data", beat)):
                m.d.comb += getattr(part, f"{port}_{name}").eq(value)

        # The job, and what the host is told of it.
        job = host.word
        of_gather = ("shift_y", "tokens", *(["order"] if cfg.tile else []))
        for part, names in ((projection, ("gain", "skip", "shift_skip")), (gather, of_gather)):
            m.d.comb += [getattr(part, name).eq(job[name]) for name in names]
        counts = {Saturation.BLOCK: projection.sat_block,
                  Saturation.HADAMARD: projection.sat_hadamard, Saturation.Z: projection.sat_z,
                  Saturation.SCORE: hashing.sat_score, Saturation.OUTPUT: gather.sat_output}
        m.d.comb += [gather.start.eq(host.start), host.projecting.eq(projection.busy),
                     host.table_beat.eq(gather.beats),
                     *(host.events[kind].eq(count) for kind, count in counts.items())]

        # The probe is a cycle late, so that no stream's valid or ready goes through to it.
        trace = {"projection": projection.busy, "gather": gather.busy, "table": gather.beats,
                 "x": host.x_sent, "y": host.y_sent, "load": host.loading}
        m.d.sync += [self.activity[name].eq(unit) for name, unit in trace.items()]
        return m
