"""Fake quantisation of CTA attention: the engine's integers inside a torch model.

Put a :class:`FakeCTA` on ``CTAHeads.fake``, and the layer's forward gives what the engine would,
bit for bit, while its gradients reach the float weights: quantisation-aware training is training
with it on. ``sw.quant.observe`` chooses the points.
"""

import numpy as np
import torch
from torch import Tensor

from model.border import Borders, warn_zero_rows
from model.cta.config import CTAConfig
from model.cta.job import LSHParams, Mode, Shifts
from model.cta.quantise import Points, idle_lsh, lsh_params, raw_weights, score_scale, shifts
from model.cta.reference import Operands
from model.errors import ConfigError
from sw.exported.layer import AttentionLayer
from sw.quant import cta_stages
from sw.quant.fixed import counted, power

__all__ = ["FakeCTA", "engine", "mode_of", "operands"]


def mode_of(heads) -> Mode:
    """The engine's mode for that of a CTAHeads."""
    return Mode.EXACT if heads.mode == "exact" else Mode.CTA


def engine(heads, **options) -> CTAConfig:
    """The engine for a CTAHeads: d, dw and l from the layer, the rest from ``options``.

    Without options it has room for a cluster a token, so that nothing overflows. Raises ConfigError
    where no engine has the layer's dimensions.
    """
    fixed = {"d": heads.dim // heads.heads, "dw": heads.dim, "l": heads.l}
    for name, value in fixed.items():
        if options.get(name, value) != value:
            raise ConfigError(f"{name} is {options[name]!r}, must be {value} as in the layer")
    n = options.get("n", CTAConfig.n)
    return CTAConfig(**{"k0": n, "k1": n, "k2": n, **options, **fixed})


def _real(value: Tensor) -> np.ndarray:
    return value.detach().to("cpu", torch.float64).numpy()


def operands(heads, head: int) -> Operands:
    """Weights and hash of one head in float64 numpy, without tokens.

    In exact mode the hash is not used, and one that surely can be represented stands in.
    """
    d = heads.dim // heads.heads
    rows = slice(head * d, (head + 1) * d)
    w = [_real(linear.weight[rows]).T for linear in (heads.q, heads.k, heads.v)]
    b = [np.zeros(d) if linear.bias is None else _real(linear.bias[rows])
         for linear in (heads.q, heads.v)]
    a, offset, width = _real(heads.a), _real(heads.offset), _real(heads.w)
    if heads.mode == "exact":
        a, offset, width = np.zeros_like(a), np.zeros_like(offset), np.ones(3)
    nothing = np.zeros((0, heads.dim))
    return Operands(nothing, nothing, *w, *b, a, offset * width[:, None], width)


class FakeCTA:
    """``fake(heads, xq, xkv, valid_q, valid_kv)``: what the CTA engine gives of the layer.

    Padded tokens are taken out, and the engine sees each sequence by itself, as it would in a job
    of its own; outputs at padded queries are zeros. Points are frozen; weights, biases, widths
    and directions are quantised at every call from what the layer has then, saturating. The key
    bias takes no part: it cancels in the softmax. There is no dropout.

    Parameters
    ----------
    cfg : the engine.
    points : of every head; those of tokens, centroids and A are common (:func:`engine` and
        ``sw.quant.observe`` make both).

    Members
    -------
    saturations : by :class:`model.cta.job.Saturation` the counts (H,) of the last call.
    borders : of the last call, by tensor (``x``, or ``xq`` and ``xkv``, ``wq``, ...) the elements
        that became integers and those that saturated (:mod:`model.border`).
    zero_rows : compressed queries of the last call, of all heads, without any probability: their
        outputs are zeros.
    overflow : tokens of the last call that asked for a cluster beyond capacity, by LSH.
    clusters : ct0 (m,), ct1 and ct2 (n,) of every sequence of the last call, valid tokens only.

    It has no tensors of its own, so it is no nn.Module: checkpoints do not change with it.
    Gradients: those of ``sw.quant.fixed`` and ``sw.quant.cta_stages``. Hashing has none, learned
    directions included: they learn in the float layer.

    Warns once (:class:`model.border.SaturationWarning`) when a call saturates a share of
    ``model.border.LARGE`` of a tensor, or as many queries have no probability.

    Raises ConfigError for formats that float64 cannot compute exactly; a call ValueError for
    sequences beyond the engine and for NaN and infinite values in tokens or weights, which it
    names, and QuantiseError where a width does not fit.
    """

    def __init__(self, cfg: CTAConfig, points: tuple[Points, ...]):
        self.check(cfg)
        for name in ("token", "centroid", "lsh_a"):
            if len({getattr(p, name) for p in points}) != 1:
                raise ValueError(f"points.{name} is {[getattr(p, name) for p in points]}, must be "
                                 "common to all heads")
        self.cfg, self.points = cfg, tuple(points)
        self.saturations, self.overflow, self.clusters = {}, (0, 0, 0), []
        self.borders, self.zero_rows, self._warned = Borders(), 0, False

    @staticmethod
    def check(cfg: CTAConfig) -> None:
        """Raise ConfigError for an engine whose numbers float64 cannot compute exactly."""
        cta_stages.check_exact(cfg)

    def __repr__(self):
        return f"FakeCTA(token={self.points[0].token}, heads={len(self.points)}, n={self.cfg.n})"

    # -- the layer in integers ------------------------------------------------------------------

    def _at(self, name: str, device) -> Tensor:
        """A point of every head, (H, 1, 1)."""
        return torch.tensor([getattr(p, name) for p in self.points], device=device)[:, None, None]

    def _lsh(self, heads, borders: Borders) -> tuple[LSHParams, ...]:
        if mode_of(heads) == Mode.EXACT:
            return (idle_lsh(self.cfg),) * 3
        real, p = operands(heads, 0), self.points[0]
        # What training has moved beyond the format saturates, as any other weight does.
        a, b = (fmt.real(borders.quantise(name, fmt, value, at), at) for name, fmt, value, at in (
            ("a", self.cfg.fmt.lsh_a, real.a, p.lsh_a),
            ("b", self.cfg.fmt.bias, real.b, p.token + p.lsh_a)))
        return tuple(lsh_params(self.cfg, a[c], b[c], float(real.w[c]), p.token, p.lsh_a)
                     for c in range(3))

    def raw(self, heads, borders: Borders | None = None) -> cta_stages.RawHeads:
        """The layer's weights as raw tensors, differentiable; ``borders`` gets the counts."""
        cfg, device = self.cfg, heads.q.weight.device
        borders = Borders() if borders is None else borders
        if (heads.dim, heads.heads, heads.l) != (cfg.dw, len(self.points), cfg.l):
            raise ValueError(f"the layer has dim, heads, l = {heads.dim}, {heads.heads}, "
                             f"{heads.l}, must be {cfg.dw}, {len(self.points)}, {cfg.l} as the "
                             "points have it")
        f, (fold, _) = cfg.fmt, score_scale(cfg)
        linears = heads.q, heads.k, heads.v
        w = [linear.weight.double().unflatten(0, (heads.heads, -1)).transpose(1, 2)
             for linear in linears]
        zero = w[0].new_zeros(heads.heads, 1, cfg.d)
        b = [zero if linear.bias is None else
             linear.bias.double().unflatten(0, (heads.heads, 1, -1)) for linear in linears]
        point = {name: self._at(name, device) for name in ("centroid", "wq", "wk", "wv")}
        fields = {name: torch.tensor([shifts(cfg, p)[name] for p in self.points],
                                     device=device)[:, None, None]
                  for name in ("shift_q", "shift_k", "shift_v", "shift_s", "shift_o")}
        return cta_stages.RawHeads(
            counted(borders, "wq", w[0] * fold, f.weight, point["wq"]),
            counted(borders, "wk", w[1], f.weight, point["wk"]),
            counted(borders, "wv", w[2], f.weight, point["wv"]),
            counted(borders, "bq", b[0] * fold, f.bias, point["centroid"] + point["wq"]),
            counted(borders, "bv", b[2], f.bias, point["centroid"] + point["wv"]),
            self._lsh(heads, borders), **fields)

    def tokens(self, x: Tensor, borders: Borders | None = None, name: str = "x",
               valid: Tensor | None = None) -> Tensor:
        """Real tokens to raw ones, zeros where ``valid`` is False; ``borders`` gets the counts."""
        return counted(Borders() if borders is None else borders, name, x, self.cfg.fmt.token,
                       self.points[0].token, valid)

    def layer(self, heads) -> AttentionLayer:
        """The layer for engine and export, of the weights it has now."""
        borders, weights = Borders(), []
        lsh = self._lsh(heads, borders)
        for head, p in enumerate(self.points):
            one, crossed = raw_weights(self.cfg, operands(heads, head), p, lsh)
            weights.append(one)
            borders.merge(crossed)
        fields = [shifts(self.cfg, p) for p in self.points]
        return AttentionLayer(self.cfg, mode_of(heads), tuple(weights), self.points,
                              tuple(Shifts(**{name.removeprefix("shift_"): value
                                              for name, value in one.items()}) for one in fields),
                              borders)

    # -- call -----------------------------------------------------------------------------------

    def _check(self, heads, m: int, n: int, cross: bool) -> None:
        cfg = self.cfg
        if cross and m + n > cfg.tokens:
            raise ValueError(f"m + n is {m} + {n} tokens, must be at most tokens = {cfg.tokens} of the "
                             "engine")
        for name, count in (("m", m), ("n", n)):
            if count > cfg.n:
                raise ValueError(f"{name} is {count} tokens, must be at most n = {cfg.n} of the "
                                 "engine")
        if heads.mode == "exact" and max(m, n) > cfg.exact:
            raise ValueError(f"exact mode has {m} queries and {n} keys, must be at most "
                             f"exact = {cfg.exact} each")

    def __call__(self, heads, xq: Tensor, xkv: Tensor | None = None,
                 valid_q: Tensor | None = None, valid_kv: Tensor | None = None) -> Tensor:
        """(B, m, dim), in the dtype of ``xq``, which rounds them below float32; sets
        ``heads.counts``."""
        with torch.autocast(xq.device.type, enabled=False):
            return self._forward(heads, xq, xkv, valid_q, valid_kv)

    def _forward(self, heads, xq, xkv, valid_q, valid_kv):
        borders, zero_rows = Borders(), 0
        raw, mode = self.raw(heads, borders), mode_of(heads)
        scale = power(-self._at("o", xq.device))
        tokens = (self.tokens(xq, borders, "x" if xkv is None else "xq", valid_q),
                  None if xkv is None else self.tokens(xkv, borders, "xkv", valid_kv))
        out, counts, saturations, overflow = [], [], {}, np.zeros(3, dtype=int)
        self.clusters = []
        for row in range(len(xq)):
            q, kv = (None if x is None else x[row] if valid is None else x[row][valid[row]]
                     for x, valid in zip(tokens, (valid_q, valid_kv)))
            keys = q if kv is None else kv
            self._check(heads, len(q), len(keys), kv is not None)
            t = cta_stages.trace(self.cfg, raw, keys, None if kv is None else q, mode)
            o = (t["o"] * scale).transpose(0, 1).flatten(1)            # (m, dim)
            if valid_q is not None:
                o = o.new_zeros(xq.shape[1], heads.dim).index_put((valid_q[row],), o)
            out.append(o)
            counts.append([t["k0"], t["k1"], t["k2"]])
            self.clusters.append((t["ct0"], t["ct1"], t["ct2"]))
            overflow += t["overflow"]
            zero_rows += int(t["zero_rows"].sum())
            for kind, moved in t["saturations"].items():
                saturations[kind] = saturations.get(kind, 0) + moved
        heads.counts = torch.tensor(counts, device=xq.device)
        self.saturations, self.overflow = saturations, tuple(int(v) for v in overflow)
        self.borders, self.zero_rows = borders, zero_rows
        if not self._warned:
            told = borders.warn("attention in integers", stacklevel=3)
            rows = heads.heads * sum(k0 for k0, *_ in counts)
            self._warned = warn_zero_rows("attention in integers", zero_rows, rows, 3) or told
        y = torch.stack(out)
        if heads.k.bias is not None:
            # A gradient of zero, as the float layer gives: DDP waits for all parameters.
            y = y + 0 * heads.k.bias.double()
        return y.to(xq.dtype)
