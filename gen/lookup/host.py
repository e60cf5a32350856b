"""Host: it has the streams of the engine but those of the tables, and what they start and tell."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gen.emit import place
from gen.fixed import shape
from gen.lookup.control import Control
from gen.lookup.gather_output import residual_layout, y_layout
from gen.lookup.loader import Loader
from gen.lookup.words import BEAT, Elements, JobWord, LoadCommand, StatusWord
from model.lookup.config import LookupConfig
from model.lookup.layout import HOST_LANES, Target

__all__ = ["Host", "LoadBeat"]


class LoadBeat(wiring.Signature):
    """A beat of the loader on its way to the memory of its target.

    Members
    -------
    en : Target of the beat, one bit for each ``model.lookup.layout.Target``.
    addr : Number of the beat in its target.
    beat : Beat as it came over the stream.
    table : A whole beat of the tables, with ``en`` of TABLE.
    """

    def __init__(self, cfg: LookupConfig):
        super().__init__({"en": Out(len(Target)), "addr": Out(28), "beat": Out(BEAT),
                          "table": Out(8 * cfg.lanes)})


class Host(wiring.Component):
    """Faces the host: takes loads, jobs and tokens, sends outputs and status.

    The cut is what the words of the host mean: which beats are tokens of this job, and that an
    element of a stream has 16 bits and one of the engine has those of its format. The stages behind
    (projection, hash, gather) know their formats alone, and stall each other by streams.

    Timing: as :class:`gen.lookup.control.Control` and :class:`gen.lookup.loader.Loader` say. Tokens,
    residuals and outputs pass in the same cycle. Reset drops load and job under way.

    Source: our own; words in ``model.lookup.layout`` and docs/lookup-programming.md.

    Parameters
    ----------
    cfg : LookupConfig

    Members
    -------
    load : Stream of load commands. Payload ``LoadCommand``.
    data : Stream of beats of eight elements of 16 bits.
    job : Stream of jobs. Payload ``JobWord``.
    x : Stream of tokens from the host, d/8 beats each.
    y : Stream of outputs to the host, d/8 beats a token.
    status : Stream of status words, one a job. Payload ``StatusWord``.
    residual : Stream of residuals from the host. With ``cfg.residual`` only.
    start : A job starts.
    word : The word of the job, held while it runs.
    write : Beats of the loader for the memories.
    tokens : Stream of the tokens of this job. Format ``fmt.x``, eight elements.
    outputs : Stream of outputs as they are gathered. Payload ``y_layout``.
    residuals : Stream of residuals, in their format. With ``cfg.residual`` only.
    projecting : A token is inside the projection.
    table_beat : The table port delivers a beat in this cycle.
    events[5] : Saturations of this cycle by kind, in the order of ``model.lookup.job.Saturation``.
    x_sent : A beat of x is taken in this cycle, for the trace.
    y_sent : A beat of y is taken in this cycle, for the trace.
    loading : A load is under way, for the trace.
    """

    module_name = "lookup_host"

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        self.control = Control(cfg)
        of_control = self.control.signature.members
        beat = stream.Signature(BEAT)
        members = {
            "load": In(stream.Signature(LoadCommand)), "data": In(beat),
            "job": In(stream.Signature(JobWord)), "x": In(beat), "y": Out(beat),
            "status": Out(stream.Signature(StatusWord)), "start": Out(1), "word": Out(JobWord),
            "write": Out(LoadBeat(cfg)),
            "tokens": Out(stream.Signature(data.ArrayLayout(shape(cfg.fmt.x), HOST_LANES))),
            "outputs": In(stream.Signature(y_layout(cfg))),
            **{name: of_control[name] for name in ("projecting", "table_beat", "events")},
            "x_sent": Out(1), "y_sent": Out(1), "loading": Out(1)}
        if cfg.residual:
            members |= {"residual": In(beat),
                        "residuals": Out(stream.Signature(residual_layout(cfg)))}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        cfg, control, loader = self.cfg, self.control, Loader(self.cfg)
        m.submodules.control = place(platform, control)
        m.submodules.loader = place(platform, loader)

        # Loads.
        wiring.connect(m, wiring.flipped(self.load), loader.load)
        wiring.connect(m, wiring.flipped(self.data), loader.data)
        m.d.comb += [
            loader.enable.eq(control.loads), loader.clear_error.eq(control.take),
            control.load_error.eq(loader.error), control.load_busy.eq(loader.busy),
            control.load_offered.eq(self.load.valid),
            control.load_taken.eq(self.load.valid & self.load.ready),
            self.loading.eq(loader.busy),
            *(getattr(self.write, name).eq(getattr(loader, name))
              for name in self.write.signature.members),
        ]

        # Jobs.
        wiring.connect(m, wiring.flipped(self.job), control.job)
        wiring.connect(m, control.status, wiring.flipped(self.status))
        m.d.comb += [
            self.start.eq(control.start), self.word.eq(control.word),
            control.projecting.eq(self.projecting), control.table_beat.eq(self.table_beat),
            *(to.eq(by) for to, by in zip(control.events, self.events)),
        ]

        # Tokens enter while their job runs; elements are cut to their formats.
        tokens, outputs = self.tokens, self.outputs
        m.d.comb += [
            tokens.valid.eq(self.x.valid & control.x_enable),
            self.x.ready.eq(tokens.ready & control.x_enable),
            self.x_sent.eq(tokens.valid & tokens.ready), control.x_sent.eq(self.x_sent),
            self.y.valid.eq(outputs.valid), outputs.ready.eq(self.y.ready),
            self.y_sent.eq(outputs.valid & outputs.ready),
            control.y_token.eq(self.y_sent & outputs.payload.last),
            *(to.eq(of) for to, of in zip(tokens.payload, Elements(self.x.payload))),
            *(to.eq(of) for to, of in zip(Elements(self.y.payload), outputs.payload.y)),
        ]
        if cfg.residual:
            residual, residuals = self.residual, self.residuals
            m.d.comb += [
                residuals.valid.eq(residual.valid), residual.ready.eq(residuals.ready),
                *(to.eq(of) for to, of in zip(residuals.payload, Elements(residual.payload)))]
        return m
