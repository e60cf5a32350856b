"""Attention: it turns scores of batches of queries into aggregated probabilities."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.cta.batch_control import BatchControl
from gen.cta.interfaces import PairLookup, ScoreFlags
from gen.cta.probability import APRead, Probability
from gen.cta.words import JobWord
from gen.emit import place
from gen.fixed import shape
from model.cta.config import CTAConfig
from model.cta.job import Mode

__all__ = ["Attention"]


class Attention(wiring.Component):
    """Turns the scores of a batch of queries into the probabilities that weigh V.

    The cut is all that works batch by batch on scores: PAG and the control that starts it on the
    next batch. It works in the shadow of the array and meets it twice, with scores and with AP.

    Timing: as :class:`gen.cta.probability.Probability` and
    :class:`gen.cta.batch_control.BatchControl` say. There is no back-pressure. ``start`` drops the
    batches under way and clears the banks.

    Numerics: golden ``model.cta.probability``.

    Source: Sec. IV-B (4), Table I steps 8 to 13.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    start : A job starts.
    job : The word of the job, held while it runs.
    k0 : Compressed queries of the job.
    score[b] : Score of column j, j cycles after ``flags``. Format ``fmt.score``.
    flags : What goes with the score of column 0.
    pairs : Asks for the clusters of pairs of tokens.
    done : The probabilities of a batch are complete.
    read : The array asks for a probability.
    ap[b] : Probability asked for, for column j. Format ``cfg.value``.
    sat_prob : Saturated exponentials of this cycle.
    busy : PAG works on a batch, for the trace.
    """

    module_name = "cta_attention"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "start": In(1), "job": In(JobWord), "k0": In(cfg.count_width),
            "score": In(shape(cfg.fmt.score)).array(cfg.b), "flags": In(ScoreFlags()),
            "pairs": Out(PairLookup(cfg)), "done": Out(1), "read": In(APRead(cfg)),
            "ap": Out(shape(cfg.value)).array(cfg.b), "sat_prob": Out(range(cfg.pag + 1)),
            "busy": Out(1)})

    def elaborate(self, platform):
        m = Module()
        cfg, job = self.cfg, self.job
        pag, batches = Probability(cfg), BatchControl(cfg)
        m.submodules.probability = place(platform, pag)
        m.submodules.batch_control = place(platform, batches)
        wiring.connect(m, wiring.flipped(self.flags), pag.flags)
        wiring.connect(m, pag.ct, wiring.flipped(self.pairs))
        m.d.comb += [
            *(to.eq(by) for to, by in zip(pag.score, self.score)),
            batches.start.eq(self.start), batches.k0.eq(self.k0), batches.cs_done.eq(pag.cs_done),
            batches.pag_done.eq(pag.done), batches.ap_last.eq(self.read.last),
            pag.start.eq(batches.pag_start), pag.cols.eq(batches.cols), pag.n.eq(job.n),
            pag.exact.eq(job.mode == Mode.EXACT), pag.clear.eq(self.start),
            pag.clear_count.eq(job.n), pag.read.eq(self.read),
            *(to.eq(by) for to, by in zip(self.ap, pag.ap)),
            self.done.eq(pag.done), self.sat_prob.eq(pag.sat_prob), self.busy.eq(batches.pag_busy),
        ]
        return m
