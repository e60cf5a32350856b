"""CTA accelerator: it wires the assemblies together."""

from amaranth.hdl import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.cta.array import Array
from gen.cta.attention import Attention
from gen.cta.clustering import Clustering
from gen.cta.dispatch import Dispatch
from gen.cta.host import Host
from gen.cta.lanes import Lanes
from gen.cta.output import Beat
from gen.cta.program import Program
from gen.cta.words import JobWord, LoadCommand, StatusWord, Trace, beat_width
from gen.emit import place
from model.cta.config import CTAConfig
from model.cta.job import Mode, Saturation

__all__ = ["CTA"]


class CTA(wiring.Component):
    """Computes compressed token attention: one head a job, from tokens and weights to outputs.

    Data walk one way round: host, lanes, array, clustering and back to the lanes as centroids; then
    lanes, array, attention, array, lanes, host. Program and dispatch look on from above. Words and
    rows are described in ``model.cta.layout`` and docs/programming.md.

    Timing: a job takes ``model.cta.cycles.head_cycles`` cycles from its acceptance to the last O in
    its bank; then ``out`` flows, then ``status``, while the next job runs and loads for the one behind
    it are taken. The synchronous reset stops everything within a
    cycle; loaded tensors and parameters stay.

    Numerics: golden ``model.cta.head.run``.

    Source: Fig. 7. The cut into assemblies: docs/decisions/0010-middle-floor.md.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    load : Stream of load commands. Payload ``LoadCommand``.
    data : Stream of beats of tokens, weights and parameters, ``lanes`` elements each.
    job : Stream of jobs, a head each. Payload ``JobWord``.
    out : Stream of outputs, row by row. Payload ``Beat``.
    status : Stream of status words, one a job. Payload ``StatusWord``.
    activity : What each unit does in this cycle, for pictures and benches.
    """

    module_name = "cta"

    def __init__(self, cfg: CTAConfig = CTAConfig()):
        self.cfg = cfg
        cfg.require_buildable()
        super().__init__({
            "load": In(stream.Signature(LoadCommand)),
            "data": In(stream.Signature(beat_width(cfg))),
            "job": In(stream.Signature(JobWord)), "out": Out(stream.Signature(Beat(cfg))),
            "status": Out(stream.Signature(StatusWord)), "activity": Out(Trace),
        })

    def elaborate(self, platform):
        m = Module()
        parts = host, program, dispatch, lanes, array, clustering, attention = [
            kind(self.cfg)
            for kind in (Host, Program, Dispatch, Lanes, Array, Clustering, Attention)]
        for part in parts:
            m.submodules[type(part).__name__.lower()] = place(platform, part)
        for part in (program, array, clustering, attention):
            m.d.comb += part.job.eq(host.word)
        for part in (program, dispatch, clustering, attention):
            m.d.comb += part.start.eq(host.start)

        def join(asks, answers):
            wiring.connect(m, asks, answers)

        def pass_on(sources, sinks):
            m.d.comb += [to.eq(by) for to, by in zip(sinks, sources, strict=True)]

        # Streams.
        for name in ("load", "data", "job"):
            join(wiring.flipped(getattr(self, name)), getattr(host, name))
        for name in ("out", "status"):
            join(getattr(host, name), wiring.flipped(getattr(self, name)))

        # The program runs; its slots are spread over space and time.
        join(clustering.clusters, program.clusters)
        m.d.comb += [program.c1_done.eq(clustering.c1_done), program.ap_done.eq(attention.done),
                     program.centroids_done.eq(clustering.centroids_done),
                     dispatch.slot.eq(program.slot), clustering.turn.eq(program.turn),
                     dispatch.exact.eq(host.word.mode == Mode.EXACT)]
        join(dispatch.lanes, lanes.ctl)
        join(dispatch.array, array.ctl)

        # Tokens and weights to the array.
        join(host.lanes, lanes.load)
        m.d.comb += array.write.eq(host.parameter)
        join(lanes.left, array.left)

        # Hash values to clusters to centroids.
        join(dispatch.hash, clustering.flags)
        pass_on(array.hash, clustering.hash)
        join(dispatch.tables, clustering.residual)
        join(clustering.rows, lanes.centroids)
        join(clustering.columns, array.cag)
        pass_on(lanes.cacc_x, array.cacc_x)

        # K, V and Q; scores to probabilities; O.
        pass_on(array.linear, lanes.linear)
        join(dispatch.score, attention.flags)
        pass_on(array.score, attention.score)
        join(attention.pairs, clustering.pairs)
        m.d.comb += [attention.k0.eq(clustering.clusters.k0), attention.read.eq(dispatch.ap)]
        pass_on(attention.ap, array.ap)
        pass_on(array.out, lanes.out)

        # Outputs, and what the host is told.
        join(host.tables, clustering.output)
        m.d.comb += [program.outputs_free.eq(~host.sending), host.held.eq(program.held),
                     host.linears_done.eq(program.linears_done), host.copy.eq(clustering.copy),
                     host.centroids_done.eq(clustering.centroids_done)]
        join(host.rows, lanes.rows)
        join(clustering.clusters, host.clusters)
        pass_on(clustering.overflow, host.overflow)
        events = array.events
        counts = {Saturation.RESIDUAL: lanes.sat_residual,
                  Saturation.CENTROID: clustering.sat_centroid + Mux(host.word.reuse, 0, lanes.sat_token),
                  Saturation.HASH: events.sat_hash, Saturation.LINEAR: events.sat_linear,
                  Saturation.SCORE: events.sat_score, Saturation.PROB: attention.sat_prob,
                  Saturation.OUTPUT: events.sat_output}
        pass_on([counts[kind] for kind in Saturation], host.events)
        m.d.comb += [host.op.eq(program.slot.op), host.ended.eq(program.ended),
                     host.zero_rows.eq(events.zero_rows)]
        trace = {"sa": program.activity, "lsh": program.slot.lsh, "cim": clustering.cim,
                 "cacc": clustering.cacc, "cavg": clustering.cavg, "pag": attention.busy,
                 "drain": array.draining, "load": host.loading, "output": host.sending}
        m.d.comb += [self.activity[name].eq(unit) for name, unit in trace.items()]
        return m
