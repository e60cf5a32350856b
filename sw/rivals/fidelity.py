"""How far the outputs of an approximation are from those of exact attention on a layer.

In double precision and without fine-tuning, so that the figures are of the approximation alone.
"""

import numpy as np

from model.cta.job import Mode
from model.cta.reference import attention_exact
from sw.io.errors import InputError
from sw.io.figures import relative_error
from sw.rivals.rival import Layer
from sw.run.head import prepare
from sw.run.head_file import make_config

__all__ = ["Chooser", "choice_error", "cluster_error"]


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
    """Relative error of CTA calibrated to these cluster counts; None without tokens, or out of their reach.

    ``fitted`` takes the head's own directions in place of random ones.
    """
    if layer.head is None:
        return None
    try:
        made = prepare(make_config(layer.head, {}), layer.head, Mode.CTA, counts=counts, fitted=fitted)
    except InputError:
        return None
    return relative_error(made.in_double()[0], attention_exact(*made.real.attention))
