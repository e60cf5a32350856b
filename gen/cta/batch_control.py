"""Batch control: it starts PAG on a batch of scores when its AP banks are free."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from model.cta.config import CTAConfig
from model.cta.timing import ap_clear_delay

__all__ = ["BatchControl"]


class BatchControl(wiring.Component):
    """Starts PAG on a batch of scores once they are in and O of the batch before has taken all AP.

    Scores have two buffers, so that those of the next batch come meanwhile. AP has one or two
    (``cfg.aps``); with two, the next batch is aggregated while O of the last one takes its AP.

    Timing: ``pag_start`` is high in the cycle after ``cs_done``, the last ``ap_en`` that frees a buffer,
    or, with two buffers, ``pag_done``, whichever is later.

    Source: Table I, steps 8 to 13.

    Members
    -------
    start : A job begins; everything is forgotten.
    k0 : Clusters of LSH0, which are the compressed queries of the job.
    cs_done : The last score of a batch is being written.
    pag_done : PAG has finished a batch.
    ap_last : The last AP of a batch is asked for.
    pag_start : PAG starts on the oldest batch of scores.
    cols : Live columns of the batch that starts, valid with ``pag_start``.
    pag_busy : PAG works on a batch.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "start": In(1), "k0": In(cfg.count_width), "cs_done": In(1), "pag_done": In(1),
            "ap_last": In(1), "pag_start": Out(1), "cols": Out(range(cfg.b + 1)),
            "pag_busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        cfg = self.cfg
        waiting, taken = Signal(2), Signal(range(cfg.aps + 1))
        may = taken == 0 if cfg.aps == 1 else (taken != 2) & ~self.pag_busy
        base = Signal(range(cfg.n + cfg.b + 1))
        left = Mux(self.k0 > base, self.k0 - base, 0)
        m.d.comb += [self.pag_start.eq((waiting != 0) & may),
                     self.cols.eq(Mux(left < cfg.b, left, cfg.b))]
        m.d.sync += waiting.eq(waiting + self.cs_done - self.pag_start)
        # Its register is one cycle of what the clearing of the last entry takes.
        free = delay(m, self.ap_last, max(0, ap_clear_delay(cfg) - 1), reset=True)
        m.d.sync += taken.eq(taken + self.pag_start - free)
        with m.If(self.pag_done):
            m.d.sync += self.pag_busy.eq(0)
        with m.If(self.pag_start):
            m.d.sync += [self.pag_busy.eq(1), base.eq(base + cfg.b)]
        with m.If(self.start):
            m.d.sync += [waiting.eq(0), taken.eq(0), base.eq(0), self.pag_busy.eq(0)]
        return m
