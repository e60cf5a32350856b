"""One attention layer: the tokens are clustered once, then every head attends.

The heads of a layer read the same tokens and have the same hash functions, so they have the same
clusters. A layer equals its heads run one by one (``model.cta.head``), to the bit. On the engine the
first head is a job of its own and the others reuse its clusters.
"""

import numpy as np

from model.cta import head
from model.cta.clustering import cluster
from model.cta.config import CTAConfig
from model.cta.job import HeadWeights, LayerJob, LayerResult, Mode

__all__ = ["run", "same_lsh"]


def same_lsh(one: HeadWeights, other: HeadWeights) -> bool:
    """Whether two heads hash alike, so that they may share clusters."""
    return all(
        np.array_equal(p.a, q.a) and np.array_equal(p.b, q.b)
        and (p.inv_w, p.pre, p.post) == (q.inv_w, q.pre, q.post)
        for p, q in zip(one.lsh, other.lsh, strict=True))


def run(cfg: CTAConfig, weights: list[HeadWeights], job: LayerJob) -> LayerResult:
    """Outputs and reports of all heads, ``weights`` having one set a head.

    Raises ValueError where the numbers of weight sets and shifts differ, where heads hash
    differently or an operand lies outside its format; JobRefused as :func:`model.cta.head.trace`.
    """
    count = len(job.shifts)
    if not count or len(weights) != count:
        raise ValueError(f"weights has {len(weights)} heads and shifts {count}, must be the same, "
                         "at least 1")
    for number, one in enumerate(weights[1:], 1):
        if not same_lsh(one, weights[0]):
            raise ValueError(f"the hash functions of head {number} are not those of head 0: the "
                             "heads of a layer share their clusters")
    jobs = [job.head(number) for number in range(count)]
    head.require_accepted(cfg, jobs[0])
    for one, own in zip(weights, jobs):
        xq, xkv = head.validate(cfg, one, own)
    found = cluster(cfg, weights[0].lsh, xq, xkv, job.mode == Mode.EXACT)
    traces = [head.join(found, cfg, one, own, reuse=number > 0)
              for number, (one, own) in enumerate(zip(weights, jobs))]
    return LayerResult([head.result(t) for t in traces],
                       np.concatenate([t["o_rows"] for t in traces], axis=1))
