"""How far the outputs of an approximation are from those of exact attention on a layer.

In double precision and without fine-tuning, so that the figures are of the approximation alone.
"""

from dataclasses import replace

import numpy as np

from model.cta.calibrate import calibrate, draw, projection
from model.cta.quantise import QuantiseError
from model.cta.reference import Operands, attention_cta, attention_exact, clusters
from sw.io.errors import InputError
from sw.io.figures import relative_error
from sw.rivals.rival import Layer
from sw.run.head_file import make_config

__all__ = ["Chooser", "choice_error", "cluster_error"]

SEED = 0
"""Assumed: of random directions and of offsets."""

MISSED = 0.02
"""Assumed: share of the clusters, and one more, by which calibration may miss its target."""


def attention(layer: Layer, chosen: np.ndarray | None = None) -> np.ndarray:
    """Outputs (heads, m, d) of softmax over the ``chosen`` keys, all if None; zeros for a query of none."""
    scores = layer.q @ layer.k.transpose(0, 2, 1) / np.sqrt(layer.d)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    if chosen is not None:
        weights = weights * chosen
    total = weights.sum(axis=2, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0) @ layer.v


def choice_error(layer: Layer, chosen: np.ndarray) -> float | None:
    """Relative error of attention to the ``chosen`` pairs (heads, m, n); None without values."""
    if chosen.all():
        return 0.0
    if layer.q is None or layer.k is None or layer.v is None:
        return None
    return relative_error(attention(layer, chosen), attention(layer))


class Chooser:
    """A rival that looks at some keys of each query, those that its method ``chosen`` tells."""

    def error(self, layer: Layer) -> float | None:
        """See :func:`choice_error`."""
        return choice_error(layer, self.chosen(layer))


def cluster_error(layer: Layer, counts: tuple[int, int, int], fitted: bool) -> float | None:
    """Relative error of CTA on one clustering for all heads; None without tokens, or out of reach.

    Hash functions are calibrated to the cluster counts; what misses them by more than :data:`MISSED` is out
    of reach. ``fitted`` takes directions in which queries, keys and values of the layer vary most, in place
    of random ones.
    """
    if not layer.sources:
        return None
    heads, first = layer.sources, layer.sources[0]
    wq, wk, wv = (np.concatenate([getattr(head, name) for head in heads], axis=1)
                  for name in ("wq", "wk", "wv"))
    try:
        cfg = make_config(replace(first, a=None, b=None), {})
        drawn, offset = draw(cfg, SEED)
        joined = Operands(first.xq, first.xkv, wq, wk, wv, 0, 0, drawn, offset, np.ones(3))
        found = calibrate(cfg, joined, counts, SEED, projection(cfg, joined) if fitted else drawn)
    except (InputError, QuantiseError):
        return None
    if any(abs(got - want) > 1 + MISSED * want for got, want in zip(found.k, counts)):
        return None
    tables = clusters(first.xq, first.xkv, found.a, found.b, found.w)
    operands = [(head.xq, head.xkv, head.wq, head.wk, head.wv, head.bq, head.bv) for head in heads]
    return relative_error(np.stack([attention_cta(*each, *tables) for each in operands]),
                          np.stack([attention_exact(*each) for each in operands]))
