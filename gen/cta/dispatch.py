"""Dispatch: it brings every part of a slot to its edge in the cycle in which it is needed."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.blocks.pipeline import delay
from gen.cta.array import ArrayControl
from gen.cta.interfaces import HashFlags, ResidualLookup, ScoreFlags
from gen.cta.issue import Issue
from gen.cta.lanes import LaneControl
from gen.cta.ppe import PPEOp
from gen.cta.probability import APRead
from gen.cta.sequencer import Slot
from gen.cta.write_back import WriteBackControl
from gen.emit import place
from model.cta.config import CTAConfig
from model.cta.timing import HASH_STAGES, SCORE_STAGES

__all__ = ["Dispatch"]


class Dispatch(wiring.Component):
    """Brings every part of a slot to the edge that needs it, in the cycle in which it does.

    The cut is the one place that knows how many cycles lie between a slot and the lanes, the bottom
    and the top of the array, the write-back, the hash values and the scores. The assemblies around
    it know their own cycles alone.

    Timing: as :class:`gen.cta.issue.Issue` and :class:`gen.cta.write_back.WriteBackControl` say.
    ``hash`` and ``score`` come with the value of column 0, ``HASH_STAGES`` and ``SCORE_STAGES``
    after the sum of the slot is at the top. There is no back-pressure. Reset clears all that is
    under way.

    Source: Sec. IV-B(1), Sec. V-B; the registers and so the cycles are ours.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    start : A job starts.
    exact : The job is exact attention.
    slot : What the array does, as the program issues it.
    tables : Asks for the cluster of the token whose residual is formed.
    lanes : What the lanes read and write for the array.
    array : What the array does at its bottom and at its top.
    ap : Asks for the probabilities that the array takes.
    hash : What goes with the hash values.
    score : What goes with the scores.
    """

    module_name = "cta_dispatch"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({
            "start": In(1), "exact": In(1), "slot": In(Slot(cfg)), "tables": Out(ResidualLookup(cfg)),
            "lanes": Out(LaneControl(cfg)), "array": Out(ArrayControl(cfg)),
            "ap": Out(APRead(cfg)), "hash": Out(HashFlags(cfg)), "score": Out(ScoreFlags())})

    def elaborate(self, platform):
        m = Module()
        issue, write_back = Issue(self.cfg), WriteBackControl(self.cfg)
        m.submodules.issue = place(platform, issue)
        m.submodules.write_back = place(platform, write_back)
        array, lanes, tables = self.array, self.lanes, self.tables
        fate = issue.ppe.shape()(delay(m, issue.ppe, 1, reset=True))
        m.d.comb += [
            issue.slot.eq(self.slot), tables.en.eq(issue.ct_en), tables.addr.eq(issue.ct_addr),
            issue.ct1.eq(tables.ct1), lanes.cmd.eq(issue.cmd),
            lanes.weights_next.eq(issue.weights_next),
            self.ap.en.eq(issue.ap_en), self.ap.last.eq(issue.ap_last),
            self.ap.level2.eq(issue.ap_level2), self.ap.index.eq(issue.ap_entry),
            array.bias.en.eq(issue.bias_en), array.bias.v.eq(issue.bias_v),
            array.bias.addr.eq(issue.bias_addr), array.inject.eq(issue.inject),
            array.partial.eq(issue.partial), array.ppe.eq(issue.ppe),
        ]
        if self.cfg.program.fast:
            m.d.comb += [array.alpha.eq(issue.alpha), array.bias.k.eq(issue.bias_k)]

        # K, V and O, when they have left the top.
        m.d.comb += [write_back.start.eq(self.start), write_back.exact.eq(self.exact),
                     write_back.ppe.eq(fate),
                     lanes.kv.eq(write_back.kv), lanes.o.eq(write_back.o)]

        # Hash values and scores, when the PPEs have them.
        hashed = fate.shape()(delay(m, fate, HASH_STAGES, reset=True))
        scored = fate.shape()(delay(m, fate, SCORE_STAGES, reset=True))
        m.d.comb += [
            self.hash.valid.eq(hashed.op == PPEOp.HASH),
            self.score.valid.eq(scored.op == PPEOp.SCORE),
            *(getattr(self.hash, name).eq(getattr(hashed, name))
              for name in ("first", "last", "lsh", "hpass")),
            *(getattr(self.score, name).eq(getattr(scored, name))
              for name in ("first", "last", "level2")),
        ]
        return m
