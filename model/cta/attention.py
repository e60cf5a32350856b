"""From centroids to outputs: the part of a job that is a head's own."""

import numpy as np

from model.cta.clustering import Clusters
from model.cta.config import CTAConfig
from model.cta.job import HeadWeights, Job, Mode, Saturation
from model.cta.linear import linear
from model.cta.output import outputs
from model.cta.probability import aggregate, normalise
from model.cta.score import scores

__all__ = ["attend"]


def attend(cfg: CTAConfig, weights: HeadWeights, job: Job, found: Clusters) -> dict:
    """Every tensor between the centroids ``found`` and the output of one head, by name.

    ``q k v``, ``s``, ``banks``, ``ap``, ``o_rows`` (k0, d), ``saturations`` (of the kinds that a
    head can raise), ``zero_rows``. Of ``job`` the mode and the shifts count, not the tokens.
    Sec. III-C, Fig. 3 of the CTA paper; the operands are taken as checked.
    """
    sat = dict.fromkeys((Saturation.LINEAR, Saturation.SCORE, Saturation.PROB,
                         Saturation.OUTPUT), 0)
    exact, k1 = job.mode == Mode.EXACT, found.k1

    def counted(kind, result):
        value, moved = result
        sat[kind] += moved
        return value

    def project(c, w, bias, shift):
        return counted(Saturation.LINEAR, linear(cfg, c, w, bias, shift))

    q = project(found.c0, weights.wq, weights.bq, job.shift_q)
    k = project(np.concatenate([found.c1, found.c2]), weights.wk, None, job.shift_k)
    # A value is the sum of a row of each level: its bias stands in level 1 alone.
    v = np.concatenate([project(found.c1, weights.wv, weights.bv, job.shift_v),
                        project(found.c2, weights.wv, None, job.shift_v)])
    s = counted(Saturation.SCORE, scores(cfg, q, k, k1, job.shift_s, exact))
    banks = counted(Saturation.PROB, aggregate(cfg, s, found.ct1, found.ct2, k1, exact))
    ap = normalise(cfg, banks)
    o_rows, sat[Saturation.OUTPUT], zero_rows = outputs(cfg, ap, v, job.shift_o, exact)
    return {"q": q, "k": k, "v": v, "s": s, "banks": banks, "ap": ap, "o_rows": o_rows,
            "saturations": sat, "zero_rows": zero_rows}
