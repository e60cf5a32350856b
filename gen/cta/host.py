"""Host: it has the streams of the engine, and all that they start and tell."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.cta.claims import Claims
from gen.cta.control import Control
from gen.cta.interfaces import ClusterCounts, RowRead, TokenLookup
from gen.cta.lanes import LaneLoad
from gen.cta.loader import Loader
from gen.cta.output import Beat, OutputStream
from gen.cta.parameter import ParameterWrite
from gen.cta.words import JobWord, LoadCommand, StatusWord, beat_width
from gen.emit import place
from model.cta.config import CTAConfig
from model.cta.schedule import Op

__all__ = ["Host"]


class Host(wiring.Component):
    """Faces the host: takes loads and jobs, sends outputs and status.

    The cut is all that a transfer on a stream can hold up. Within, everything waits for the host;
    without, only the first outputs of a job do, until those of the job before have left: else the
    machine behind runs a job from ``start`` to ``ended`` by itself.

    Timing: as :class:`gen.cta.control.Control`, :class:`gen.cta.loader.Loader` and
    :class:`gen.cta.output.OutputStream` say. No stream depends on another within a cycle. Reset
    drops loads, job and outputs under way.

    Source: our own; words in ``model.cta.layout`` and docs/programming.md.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    load : Stream of load commands.
    data : Stream of beats of tensors and parameters.
    job : Stream of jobs.
    out : Stream of outputs.
    status : Stream of status words, one a job.
    start : A job starts.
    word : The word of the job, held while it runs.
    lanes : Beats of tokens and weights for the banks.
    parameter : Parameter that a load brings.
    op : What the array does in this cycle, zero for nothing.
    ended : The last slot of the job has been issued.
    linears_done : The last slot of the last linear of the job is issued.
    centroids_done : All centroids of the job are written.
    held : A row waits for nothing but the outputs of the job before.
    copy : Copy of the cluster tables that the job has.
    clusters : Clusters of the job, for the status.
    overflow[3] : Tokens of LSH0, LSH1, LSH2 that found a layer full, for the status.
    zero_rows : Queries found in this cycle whose sum of probabilities is zero.
    events[7] : Saturations of this cycle, in the order of :class:`model.cta.job.Saturation`.
    tables : Asks for the clusters of a token.
    rows : Asks for a row of O.
    loading : A load is under way, for the trace.
    sending : Outputs are sent, for the trace.
    """

    module_name = "cta_host"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        self.control = Control(cfg)
        members = self.control.signature.members
        super().__init__({
            "load": In(stream.Signature(LoadCommand)),
            "data": In(stream.Signature(beat_width(cfg))),
            "job": In(stream.Signature(JobWord)), "out": Out(stream.Signature(Beat(cfg))),
            "status": Out(stream.Signature(StatusWord)), "start": Out(1), "word": Out(JobWord),
            "lanes": Out(LaneLoad(cfg)), "parameter": Out(ParameterWrite), "op": In(Op),
            "ended": In(1), "linears_done": In(1), "centroids_done": In(1), "held": In(1),
            "copy": In(1), "clusters": In(ClusterCounts(cfg)),
            **{name: members[name] for name in ("overflow", "zero_rows", "events")},
            "tables": Out(TokenLookup(cfg)), "rows": Out(RowRead(cfg)),
            "loading": Out(1), "sending": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg, control, job = self.cfg, self.control, self.control.word
        loader, output = Loader(cfg), OutputStream(cfg)
        claims = Claims(cfg)
        for name, block in (("control", control), ("loader", loader), ("claims", claims),
                            ("output", output)):
            m.submodules[name] = place(platform, block)

        # Loads, of what the running job does not read any more.
        wiring.connect(m, wiring.flipped(self.load), loader.load)
        wiring.connect(m, wiring.flipped(self.data), loader.data)
        lanes, parameter = self.lanes, self.parameter
        m.d.comb += [
            loader.enable.eq(control.loads), loader.clear_error.eq(control.take),
            loader.used.eq(control.start & ~job.reuse), control.tokens.eq(loader.tokens),
            control.token_written.eq(loader.write.token), loader.claim.eq(claims.claim),
            claims.start.eq(control.start), claims.job.eq(job), claims.op.eq(self.op),
            claims.centroids_done.eq(self.centroids_done), claims.ended.eq(self.ended),
            claims.linears_done.eq(self.linears_done), control.load_error.eq(loader.error),
            control.load_busy.eq(self.loading), control.load_offered.eq(self.load.valid),
            control.load_taken.eq(self.load.valid & self.load.ready),
            lanes.write.eq(loader.write), lanes.group.eq(loader.group), lanes.beat.eq(loader.beat),
            *(to.eq(by) for to, by in zip(loader.hold, lanes.hold)),
            parameter.en.eq(loader.p_en), parameter.set.eq(loader.p_set),
            parameter.addr.eq(loader.p_addr), parameter.data.eq(loader.beat),
            self.loading.eq(loader.busy | lanes.busy),
        ]

        # Jobs: their start, their end, what was counted.
        wiring.connect(m, wiring.flipped(self.job), control.job)
        wiring.connect(m, control.status, wiring.flipped(self.status))
        clusters = self.clusters
        m.d.comb += [
            self.start.eq(control.start), self.word.eq(job), control.ended.eq(self.ended),
            control.held.eq(self.held), control.sending.eq(output.busy),
            control.linear_begins.eq((self.op == cfg.program.phases[0]) | (self.op == Op.Q) & job.linear),
            control.attention_begins.eq(self.op == cfg.program.phases[1]),
            *(to.eq(by) for to, by in zip(control.k, (clusters.k0, clusters.k1, clusters.k2))),
            *(to.eq(by) for to, by in zip(control.overflow, self.overflow)),
            *(to.eq(by) for to, by in zip(control.events, self.events)),
            control.zero_rows.eq(self.zero_rows),
        ]

        # Outputs.
        wiring.connect(m, output.out, wiring.flipped(self.out))
        wiring.connect(m, output.lookup, wiring.flipped(self.tables))
        m.d.comb += [
            output.start.eq(control.read_out), output.job.eq(job), output.k0.eq(clusters.k0),
            output.copy.eq(self.copy),
            self.rows.en.eq(output.row_en), self.rows.addr.eq(output.row_addr),
            *(to.eq(by) for to, by in zip(output.row, self.rows.data)),
            self.sending.eq(output.busy),
        ]
        return m
