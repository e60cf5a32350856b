"""Post-training calibration: sizes of a layer's tensors over any number of sequences, and points.

A recorder goes where a fake goes, on ``.fake`` of a layer; it lets the float layer compute and
takes the sizes of what passes. The points are then chosen by the very rules of ``model.cta.quantise`` and
``model.lookup.quantise``: only what "has to fit" is decided here.

- ``percentile``: of the absolute values; 100, the largest, is the default.
- ``mse``: of all power-of-two scales the one with the least squared error, rounding and
  saturation together.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from model.border import require_finite
from model.cta.config import CTAConfig
from model.cta.quantise import (
    OUTPUT_HEADROOM,
    Peak,
    Peaks,
    Points,
    lsh_a_point,
    peak,
    place,
    point,
    score_scale,
)
from model.fixed import Format
from model.lookup import quantise as lookup_points
from model.lookup import reference
from model.lookup.config import STAGES, LookupConfig
from sw.quant.cta import operands

__all__ = ["METHODS", "Rule", "Observer", "HeadsRecorder", "LookupRecorder"]

METHODS = ("percentile", "mse")

# Magnitudes are counted in bins of 1/32 octave, so that any number of batches takes one array.
_PER_OCTAVE, _OCTAVES = 32, 48
_FINER = 8      # points beyond that of the largest value that mse tries


class Rule:
    """Which size of a tensor has to fit. Raises ValueError for a method or percentile that is
    none."""

    def __init__(self, method: str = "percentile", percentile: float = 100.0):
        if method not in METHODS:
            raise ValueError(f"method is {method!r}, must be one of {METHODS}")
        if not 0 < percentile <= 100:
            raise ValueError(f"percentile is {percentile}, must be in (0, 100]")
        self.method, self.percentile = method, float(percentile)

    @property
    def counts(self) -> bool:
        """Whether the largest value is not enough to know."""
        return self.method == "mse" or self.percentile < 100


class Observer:
    """Sizes of ``groups`` tensors that come in pieces.

    ``largest`` (groups,) are the largest absolute values so far.
    """

    def __init__(self, rule: Rule, groups: int = 1, name: str = "a weight"):
        self.rule, self.largest, self.name = rule, np.zeros(groups), name
        self._bins = np.zeros((groups, 2 * _OCTAVES * _PER_OCTAVE + 1), np.int64)

    def add(self, values) -> None:
        """Take ``values`` (groups, ...); raises ValueError with the ``name`` of the tensor and the
        number of values that are not finite."""
        require_finite(f"{self.name} under calibration", values)
        size = np.abs(np.asarray(values, dtype=np.float64)).reshape(len(self.largest), -1)
        self.largest = np.maximum(self.largest, size.max(axis=1, initial=0.0))
        if self.rule.counts:
            with np.errstate(divide="ignore"):
                place_ = np.floor((np.log2(size) + _OCTAVES) * _PER_OCTAVE) + 1   # bin 0: zeros
            place_ = np.clip(place_, 0, self._bins.shape[1] - 1).astype(np.int64)
            for group, row in enumerate(place_):
                self._bins[group] += np.bincount(row, minlength=self._bins.shape[1])

    def fit(self, fmt: Format) -> np.ndarray:
        """The sizes (groups,) that have to be values of ``fmt``."""
        if not self.rule.counts:
            return self.largest
        choose = self._least_error if self.rule.method == "mse" else self._percentile
        return np.array([choose(bins, largest, fmt) if largest > 0 else 0.0
                         for bins, largest in zip(self._bins, self.largest)])

    def _percentile(self, bins, largest, fmt):
        wanted = self.rule.percentile / 100 * bins.sum()
        at = int(np.searchsorted(np.cumsum(bins), wanted))
        # The upper edge of the bin: at least the percentile, and 2% above it at most.
        # So sparse a tensor that zeros make up the percentile has to fit as it is.
        return largest if at == 0 else min(largest, 2.0 ** (at / _PER_OCTAVE - _OCTAVES))

    def _least_error(self, bins, largest, fmt):
        middle = 2.0 ** ((np.arange(len(bins) - 1) + 0.5) / _PER_OCTAVE - _OCTAVES)
        first = point(fmt, largest)

        def error(at):
            step, end = math.ldexp(1, -at), math.ldexp(fmt.max, -at)
            # Values are spread over many steps, but for those that round to zero.
            rounding = np.where(middle < step / 2, middle, step / math.sqrt(12))
            beyond = np.maximum(middle - end, 0)
            return float((bins[1:] * (rounding**2 + beyond**2)).sum())
        best = min(range(first, first + _FINER + 1), key=error)
        return min(largest, math.ldexp(fmt.max, -best))


def _numpy(value) -> np.ndarray:
    return value.detach().to("cpu", torch.float64).numpy()


class _Recorder:
    """What both recorders share: the float layer computes, ``_take`` looks on."""

    def __call__(self, layer, *args):
        layer.fake = None
        try:
            y = layer(*args)
        finally:
            layer.fake = self
        with torch.no_grad():
            self._take(layer, y, *args)
        return y


class HeadsRecorder(_Recorder):
    """Sizes in a CTAHeads; ``longest`` is the most tokens, queries or keys, of one sequence, ``tokens``
    the most of both where they are not the same.

    As in ``model.cta.quantise``, Q, K and V are those of the tokens, of which their rows of centroids
    are means, and O is that of exact attention.
    """

    def __init__(self, heads, rule: Rule):
        self.rule, self.longest, self.tokens, self.seen = rule, 0, 0, 0
        self._token = Observer(rule, name="x")
        self._sizes = {name: Observer(rule, heads.heads, name) for name in "qkvo"}

    def _take(self, heads, y, xq, xkv=None, valid_q=None, valid_kv=None):
        fold, _ = score_scale(self._scale_of(heads))
        for row in range(len(xq)):
            q, kv = (None if x is None else x[row] if valid is None else x[row][valid[row]]
                     for x, valid in ((xq, valid_q), (xkv, valid_kv)))
            keys = q if kv is None else kv
            self.longest = max(self.longest, len(q), len(keys))
            self.tokens = max(self.tokens, len(keys) + (0 if kv is None else len(q)))
            self.seen += len(keys)
            for x in (q,) if kv is None else (q, kv):
                self._token.add(_numpy(x)[None])
            real = {name: self._by_head(heads, linear, x) for name, linear, x in (
                ("q", heads.q, q), ("k", heads.k, keys), ("v", heads.v, keys))}
            if heads.k.bias is not None:       # cancels in the softmax; the engine has none
                real["k"] = real["k"] - heads.k.bias.double().unflatten(
                    0, (heads.heads, 1, -1))
            exact = F.scaled_dot_product_attention(*(real[name][None] for name in "qkv"))[0]
            real["q"] = real["q"] * fold
            for name, value in (*real.items(), ("o", exact)):
                self._sizes[name].add(_numpy(value))

    @staticmethod
    def _scale_of(heads):
        return CTAConfig(d=heads.dim // heads.heads)

    @staticmethod
    def _by_head(heads, linear, x):
        bias = None if linear.bias is None else linear.bias.double()
        y = F.linear(x.double(), linear.weight.double(), bias)
        return y.unflatten(1, (heads.heads, -1)).transpose(0, 1)              # (H, n, d)

    def _peak(self, observer, fmt, head):
        return Peak(float(observer.fit(fmt)[head]), float(observer.largest[head]))

    def _of(self, value, fmt) -> Peak:
        """Of a tensor that is there as a whole."""
        observer = Observer(self.rule)
        observer.add(value[None])
        return self._peak(observer, fmt, 0)

    def points(self, heads, cfg: CTAConfig) -> tuple[Points, ...]:
        """Points of all heads. Raises QuantiseError where formats and shifts do not reach, and
        ValueError if nothing was recorded."""
        if not self.seen:
            raise ValueError("no tokens were recorded: the layer was not run")
        f, (fold, _) = cfg.fmt, score_scale(cfg)
        token, result = float(self._token.fit(f.token)[0]), []
        # A mean squared error has weighed outliers already: no headroom beyond it.
        head_room = OUTPUT_HEADROOM if self.rule.method == "mse" else 1.0
        for head in range(heads.heads):
            real = operands(heads, head)
            sizes = {name: self._peak(self._sizes[name], f.qkv, head) for name in "qkv"}
            peaks = Peaks(token, self._of(real.wq * fold, f.weight), self._of(real.wk, f.weight),
                          self._of(real.wv, f.weight), peak(real.bq * fold).largest,
                          peak(real.bv).largest, **sizes,
                          o=self._peak(self._sizes["o"], f.output, head).fit / head_room)
            result.append(place(cfg, peaks, lambda at: lsh_a_point(
                cfg, at, real.a, peak(real.b).largest)))
        return tuple(result)


class LookupRecorder(_Recorder):
    """Sizes in a LookupFFN."""

    def __init__(self, layer, rule: Rule):
        self.rule, self.cfg, self.seen = rule, layer.config(), 0
        count = self.cfg.copies * STAGES
        self._sizes = {"x": Observer(rule, name="x"), "y": Observer(rule, name="y"),
                       "score": Observer(rule, self.cfg.h, "score")}
        if self.cfg.projection == "bh4":
            self._sizes |= {"product": Observer(rule, count, "product"),
                            "transform": Observer(rule, count, "transform")}

    def _take(self, layer, y, x):
        cfg, real = self.cfg, layer.operands(x)
        self._sizes["x"].add(real.x[None])
        self.seen += len(real.x)
        if cfg.projection == "bh4":
            products, transforms = [], []
            for _, _, u, t in reference.stages(cfg, real):
                products.append(u)
                transforms.append(t)
            self._sizes["product"].add(np.stack(products))
            self._sizes["transform"].add(np.stack(transforms))
        weights = reference.weights_of(cfg, reference.project(cfg, real))     # (t, h, entries)
        self._sizes["score"].add(weights.swapaxes(0, 1))
        self._sizes["y"].add(_numpy(y)[None])

    def _of(self, value, fmt):
        observer = Observer(self.rule, len(value))
        observer.add(value)
        return observer.fit(fmt)

    def points(self, layer, cfg: LookupConfig) -> lookup_points.Points:
        """Points of the layer. Raises ValueError if nothing was recorded."""
        if not self.seen:
            raise ValueError("no tokens were recorded: the layer was not run")
        f, sizes = cfg.fmt, self._sizes
        real = layer.operands(layer.out_bias[None])           # any token will do
        w, product, transform = self._of(real.w[None], f.weight)[0], None, None
        if cfg.projection == "bh4":
            grid = cfg.copies, STAGES
            w = self._of(real.w.reshape(cfg.copies * STAGES, -1), f.weight).reshape(grid)
            product, transform = (sizes[name].fit(f.stage).reshape(grid)
                                  for name in ("product", "transform"))
        return lookup_points.place(cfg, lookup_points.Peaks(
            float(sizes["x"].fit(f.x)[0]), w, product, transform,
            sizes["score"].fit(Format(False, f.score.width)), self._of(real.tables, f.table),
            lookup_points.peak(real.out_bias), float(sizes["y"].fit(f.output)[0])))
