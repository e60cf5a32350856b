"""LookupFFN engine: wires the blocks together."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gen.emit import place
from gen.lookup.control import Control
from gen.lookup.gather import Gather
from gen.lookup.hash import Hash
from gen.lookup.loader import Loader
from gen.lookup.projection import Projection
from gen.lookup.words import BEAT, Elements, JobWord, LoadCommand, StatusWord, Trace
from model.lookup.config import LookupConfig
from model.lookup.layout import Target

__all__ = ["Lookup"]


class Lookup(wiring.Component):
    """A feed-forward layer by hashing: tokens in, tokens out, a table port beside.

    Streams (valid/ready): ``load`` and ``data`` bring the layer, ``job`` starts tokens that then come
    over ``x`` (and ``residual``) and leave by ``y``; ``status`` tells how it went. External tables are read by
    ``request`` (beat addresses) and ``response`` (beats, in order, any latency).

    Numerics: golden ``model.lookup.layer.run``. Words are described in ``model.lookup.layout``.
    Source: LookupFFN (ICML 2023); the paper has no hardware.
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

        def add(name, component):
            m.submodules[name] = place(platform, component)
            return component

        control = add("control", Control(cfg))
        loader = add("loader", Loader(cfg))
        projection = add("projection", Projection(cfg))
        hashing = add("hash", Hash(cfg))
        gather = add("gather", Gather(cfg))
        job = control.word

        wiring.connect(m, wiring.flipped(self.load), loader.load)
        wiring.connect(m, wiring.flipped(self.data), loader.data)
        wiring.connect(m, wiring.flipped(self.job), control.job)
        wiring.connect(m, control.status, wiring.flipped(self.status))
        wiring.connect(m, projection.z, hashing.z)
        wiring.connect(m, hashing.rows, gather.rows)
        m.d.comb += [
            loader.enable.eq(control.loads), loader.clear_error.eq(control.take),
            control.load_error.eq(loader.error), control.load_busy.eq(loader.busy),
            control.load_offered.eq(self.load.valid),
            control.load_taken.eq(self.load.valid & self.load.ready),
            projection.w_en.eq(loader.en[Target.WEIGHT]), projection.w_addr.eq(loader.addr),
            projection.w_data.eq(loader.beat),
            projection.p_en.eq(loader.en[Target.SHIFT]), projection.p_addr.eq(loader.addr),
            projection.p_data.eq(loader.beat), projection.b_en.eq(loader.en[Target.Z_BIAS]),
            projection.b_addr.eq(loader.addr), projection.b_data.eq(loader.beat),
            projection.gain.eq(job.gain), projection.skip.eq(job.skip),
            projection.shift_skip.eq(job.shift_skip),
            hashing.s_en.eq(loader.en[Target.SHIFT_S]), hashing.s_addr.eq(loader.addr),
            hashing.s_data.eq(loader.beat),
            gather.o_en.eq(loader.en[Target.OUT_BIAS]), gather.o_addr.eq(loader.addr),
            gather.o_data.eq(loader.beat), gather.shift_y.eq(job.shift_y),
            gather.order.eq(job.order), gather.tokens.eq(job.tokens), gather.start.eq(control.start),
        ]
        if cfg.tables == "internal":
            m.d.comb += [gather.t_en.eq(loader.en[Target.TABLE]), gather.t_addr.eq(loader.addr),
                         gather.t_data.eq(loader.table)]
        else:
            wiring.connect(m, gather.request, wiring.flipped(self.request))
            wiring.connect(m, wiring.flipped(self.response), gather.response)

        # Tokens enter while their job runs; elements are cut to their formats.
        x, y = Elements(self.x.payload), Elements(self.y.payload)
        m.d.comb += [
            projection.x.valid.eq(self.x.valid & control.x_enable),
            self.x.ready.eq(projection.x.ready & control.x_enable),
            control.x_sent.eq(projection.x.valid & projection.x.ready),
            self.y.valid.eq(gather.y.valid), gather.y.ready.eq(self.y.ready),
            control.y_token.eq(gather.y.valid & gather.y.ready & gather.y.payload.last),
            control.table_beat.eq(gather.beats), control.projecting.eq(projection.busy),
            *(to.eq(of) for to, of in zip(projection.x.payload, x)),
            *(to.eq(of) for to, of in zip(y, gather.y.payload.y)),
        ]
        if cfg.residual:
            residual = Elements(self.residual.payload)
            m.d.comb += [gather.residual.valid.eq(self.residual.valid),
                         self.residual.ready.eq(gather.residual.ready),
                         *(to.eq(of) for to, of in zip(gather.residual.payload, residual))]
        events = (projection.sat_block, projection.sat_hadamard, projection.sat_z,
                  hashing.sat_score, gather.sat_output)
        m.d.comb += [
            *(to.eq(by) for to, by in zip(control.events, events)),
        ]
        # The probe is a cycle late, so that no stream's valid or ready goes through to it.
        m.d.sync += [
            self.activity.projection.eq(projection.busy), self.activity.gather.eq(gather.busy),
            self.activity.table.eq(gather.beats), self.activity.x.eq(control.x_sent),
            self.activity.y.eq(gather.y.valid & gather.y.ready),
            self.activity.load.eq(loader.busy),
        ]
        return m
