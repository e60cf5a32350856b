"""Array: it joins the columns, their bottom edge, and the parameters that only they use."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gen.cta.columns import Columns
from gen.cta.interfaces import BorrowedColumns, LeftEdge, PPEEvents
from gen.cta.parameter import BiasRead, Parameters, ParameterWrite
from gen.cta.partial_sum import AlphaRead, InjectControl, PartialSums, PartialSumWrite
from gen.cta.ppe_row import PPEControl
from gen.cta.words import JobWord
from gen.emit import place
from gen.fixed import shape
from model.cta.config import CTAConfig
from model.cta.job import Mode

__all__ = ["Array", "ArrayControl"]


class ArrayControl(wiring.Signature):
    """What the array does at its bottom and at its top, for column 0 of each.

    Members
    -------
    bias : Asks for the bias that ``inject`` of the next cycle takes.
    inject : What enters the bottom of column 0.
    ppe : What becomes of the sum at the top of column 0.
    partial : Where that sum is kept for the next slice.
    alpha : Asks for the alpha that ``inject`` of the next cycle takes off. Only with fast products, where a
        bias is asked for two cycles earlier than said above.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({**({"alpha": Out(AlphaRead(cfg))} if cfg.program.fast else {}),
                          "bias": Out(BiasRead(cfg)), "inject": Out(InjectControl(cfg)),
                          "ppe": Out(PPEControl(cfg)), "partial": Out(PartialSumWrite(cfg))})


class Array(wiring.Component):
    """Multiplies and adds: from operands at the left edge to hash values, Q, K, V, scores and O.

    The cut is all that a sum meets on its way, from the bias or the partial sum it starts with to
    the PPE that ends it. The parameters lie in here because nobody else reads them, so that the 3 l
    biases of the LSHs cross no border.

    Timing: as :class:`gen.cta.columns.Columns`, :class:`gen.cta.partial_sum.PartialSums` and
    :class:`gen.cta.parameter.Parameters` say. There is no back-pressure.

    Numerics: golden ``model.cta`` lsh, linear, score, output.

    Source: Sec. IV-B(1), Fig. 7.

    Parameters
    ----------
    cfg : CTAConfig

    Members
    -------
    write : Parameter that the loader brings.
    job : The word of the job, held while it runs.
    ctl : What the bottom and the top do.
    left : Operands and control of the rows.
    ap[b] : Probability for column j, j cycles after that for column 0. Format ``cfg.value``.
    cag : Use of the borrowed columns.
    cacc_x[d] : Operand of CACC in lane i, in the cycle after ``cag.cacc_next``. Format ``cfg.left``.
    hash[hash_columns] : Hash value of column j, held until the next. Format ``fmt.hash``.
    linear[b] : Element of Q, K or V of column j, held until the next. Format ``fmt.qkv``.
    score[b] : Score of column j, held until the next. Format ``fmt.score``.
    out[b] : Normalised result of column j, row d-1 first. Format ``fmt.output``.
    draining : Column 0 gives its results away.
    events : Saturations and zero sums of this cycle.
    """

    module_name = "cta_array"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        b, f = cfg.b, cfg.fmt
        super().__init__({
            "write": In(ParameterWrite), "job": In(JobWord), "ctl": In(ArrayControl(cfg)),
            "left": In(LeftEdge(cfg)), "ap": In(shape(cfg.value)).array(b),
            "cag": In(BorrowedColumns(cfg)), "cacc_x": In(shape(cfg.left)).array(cfg.d),
            "hash": Out(shape(f.hash)).array(cfg.hash_columns),
            "linear": Out(shape(f.qkv)).array(b), "score": Out(shape(f.score)).array(b),
            "out": Out(shape(f.output)).array(b), "draining": Out(1),
            "events": Out(PPEEvents(cfg))})

    def elaborate(self, platform):
        m = Module()
        cfg, ctl, job = self.cfg, self.ctl, self.job
        parameters, partial, columns = Parameters(cfg), PartialSums(cfg), Columns(cfg)
        m.submodules.parameters = place(platform, parameters)
        m.submodules.partial_sums = place(platform, partial)
        m.submodules.columns = place(platform, columns)

        # Bottom: biases and partial sums.
        m.d.comb += [
            parameters.write.eq(self.write), parameters.set.eq(job.set),
            parameters.read.eq(ctl.bias), partial.ctl.eq(ctl.inject),
            partial.ctl.bias.eq(parameters.bias), partial.write.eq(ctl.partial),
            *(to.eq(by) for to, by in zip(partial.sum, columns.sum)),
            *(to.eq(by) for to, by in zip(columns.inject, partial.inject)),
        ]

        if cfg.program.fast:
            m.d.comb += [partial.alpha.eq(ctl.alpha), partial.ctl.beta.eq(parameters.beta)]

        # The columns.
        wiring.connect(m, wiring.flipped(self.left), columns.left)
        wiring.connect(m, wiring.flipped(self.cag), columns.cag)
        wiring.connect(m, parameters.lsh, columns.lsh)
        wiring.connect(m, columns.events, wiring.flipped(self.events))
        m.d.comb += [
            columns.ppe.eq(ctl.ppe), columns.job.exact.eq(job.mode == Mode.EXACT),
            *(getattr(columns.job, name).eq(job[name]) for name in columns.job.signature.members
              if name != "exact"),
            *(to.eq(by) for to, by in zip(columns.ap, self.ap)),
            *(to.eq(by) for to, by in zip(columns.cacc_x, self.cacc_x)),
            self.draining.eq(columns.draining),
            *(to.eq(by) for name in ("hash", "linear", "score", "out")
              for to, by in zip(getattr(self, name), getattr(columns, name))),
        ]
        return m
