"""Float reference: the same algorithm and exact attention in double precision.

For error figures only; no golden stage calls it. ``python -m model.cta.reference`` prints how
much error each fixed-point format contributes (the numbers of docs/numerics.md).
"""

import dataclasses
import math
import sys
from dataclasses import dataclass

import numpy as np

from model.border import Borders
from model.command import Parser
from model.cta.bucket import bucket_fields
from model.cta.config import CTAConfig, CTAFormats
from model.cta.head import trace
from model.cta.job import HeadWeights, Job, LSHParams, Mode
from model.fixed import Format

__all__ = ["attention_exact", "attention_cta", "clusters", "relative_error",
           "Operands", "synthetic", "quantise"]


def _softmax(s: np.ndarray) -> np.ndarray:
    p = np.exp(s - s.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def attention_exact(xq, xkv, wq, wk, wv, bq, bv) -> np.ndarray:
    """Ordinary softmax attention (m, d). A key bias cancels and is not asked for."""
    q, k, v = xq @ wq + bq, xkv @ wk, xkv @ wv + bv
    return _softmax(q @ k.T / math.sqrt(wq.shape[1])) @ v


def attention_cta(xq, xkv, wq, wk, wv, bq, bv, ct0, ct1, ct2) -> np.ndarray:
    """CTA (m, d) with the clusters given; centroids, scores and outputs in double precision.

    The clusters are forced because a token on the edge of a bucket may fall on either side
    under quantisation, which is another, equally good clustering and no arithmetic error.
    """
    c0, c1 = _means(xq, ct0), _means(xkv, ct1)
    c2 = _means(xkv - c1[ct1], ct2)
    q = c0 @ wq + bq
    s = q @ ((c1 @ wk)[ct1] + (c2 @ wk)[ct2]).T / math.sqrt(wq.shape[1])
    return (_softmax(s) @ ((c1 @ wv + bv)[ct1] + (c2 @ wv)[ct2]))[ct0]


def clusters(xq, xkv, a, b, w) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``ct0 ct1 ct2`` by hashing in double precision; ``a`` (3, l, dw), ``b`` (3, l), ``w`` (3,).
    """
    ct0 = _first_seen(np.floor((xq @ a[0].T + b[0]) / w[0]))
    ct1 = _first_seen(np.floor((xkv @ a[1].T + b[1]) / w[1]))
    residual = xkv - _means(xkv, ct1)[ct1]
    return ct0, ct1, _first_seen(np.floor((residual @ a[2].T + b[2]) / w[2]))


def relative_error(value, reference) -> float:
    """Frobenius norm of the difference over that of the reference."""
    return float(np.linalg.norm(value - reference) / np.linalg.norm(reference))


def _means(x: np.ndarray, ct: np.ndarray) -> np.ndarray:
    sums = np.zeros((ct.max() + 1, x.shape[1]))
    np.add.at(sums, ct, x)
    return sums / np.bincount(ct)[:, None]


def _first_seen(codes: np.ndarray) -> np.ndarray:
    _, first, inverse = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    number = np.empty_like(first)
    number[np.argsort(first)] = np.arange(len(first))
    return number[inverse.reshape(-1)]


# -- from real to raw operands --------------------------------------------------------------------

@dataclass(frozen=True)
class Operands:
    """A head in real numbers: tokens, weights, biases, and ``a b w`` of the three LSHs."""

    xq: np.ndarray
    xkv: np.ndarray
    wq: np.ndarray
    wk: np.ndarray
    wv: np.ndarray
    bq: np.ndarray
    bv: np.ndarray
    a: np.ndarray
    b: np.ndarray
    w: np.ndarray

    @property
    def attention(self) -> tuple:
        """The operands of :func:`attention_exact`."""
        return self.xq, self.xkv, self.wq, self.wk, self.wv, self.bq, self.bv


def synthetic(n: int, d: int, dw: int = 0, seed: int = 1, l: int = 6) -> Operands:  # noqa: E741
    """Seeded tokens around n/4 topics, and a head whose scores have a standard deviation near 2."""
    dw = dw or d
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(max(1, n // 4), dw))
    x = topics[rng.integers(len(topics), size=n)] + 0.1 * rng.normal(size=(n, dw))
    wq, wk, wv = rng.normal(size=(3, dw, d)) / math.sqrt(dw)
    a = rng.normal(size=(l, dw)) / math.sqrt(dw)
    bq, bv = 0.1 * rng.normal(size=d), 0.1 * rng.normal(size=d)
    # q.k/sqrt(d) of unit q and k has a deviation of 1; 1.4 on both sides makes it 2.
    return Operands(x, x, 1.4 * wq, 1.4 * wk, wv, bq, bv, np.stack([a] * 3),
                    rng.uniform(0, 1, size=(3, l)), np.array([1.2, 1.2, 0.6]))


def _point(fmt: Format, real: np.ndarray) -> int:
    """Most fraction bits with which ``real`` still fits ``fmt``."""
    return fmt.width - 1 - math.ceil(math.log2(float(np.max(np.abs(real))) * (1 + 2**-fmt.width)))


def quantise(cfg: CTAConfig, real: Operands, mode: Mode = Mode.CTA,
             scaled: bool = True, borders: Borders | None = None) -> tuple[HeadWeights, Job, int]:
    """Weights and job in raw integers, and the fraction bits of the job's output.

    ``borders`` gets the counts of what crossed and saturated.

    With ``scaled`` every tensor has the binary point that its largest value asks for; without,
    tokens, centroids, Q, K, V and O keep the nominal points of the formats.
    """
    f = cfg.fmt
    # log2(e)/sqrt(d) goes into Wq, its nearest power of two into the score shift instead.
    factor = math.log2(math.e) / math.sqrt(cfg.d)
    power = round(math.log2(factor))
    fold = factor / 2.0**power
    wq, bq = real.wq * fold, real.bq * fold
    p = dict(x=f.token.frac, q=f.qkv.frac, k=f.qkv.frac, v=f.qkv.frac, o=f.output.frac)
    if scaled:
        both = np.concatenate([real.xq, real.xkv])
        p = dict(x=min(_point(f.token, both), _point(f.centroid, both) + cfg.residual_shift),
                 q=_point(f.qkv, real.xq @ wq + bq), k=_point(f.qkv, real.xkv @ real.wk),
                 v=_point(f.qkv, real.xkv @ real.wv + real.bv),
                 o=_point(f.output, attention_exact(*real.attention)))
    point_c = p["x"] - cfg.residual_shift
    point_w = [_point(f.weight, w) for w in (wq, real.wk, real.wv)]

    raw = (Borders() if borders is None else borders).quantise

    def lsh(c):
        frac = p["x"] + f.lsh_a.frac
        # A residual, token less centroid, hashes to at most twice what a token does.
        reach = (1 + (c == 2)) * np.max(np.abs((real.xq, real.xkv, real.xkv)[c] @ real.a[c].T))
        bound = math.ceil(math.ldexp(reach + np.max(np.abs(real.b[c])), frac))
        return LSHParams(raw("a", f.lsh_a, real.a[c], f.lsh_a.frac),
                         raw("b", f.bias, real.b[c], frac),
                         *bucket_fields(cfg, math.ldexp(real.w[c], frac), bound))

    weights = HeadWeights(
        *(raw(name, f.weight, w, frac) for name, w, frac in
          zip(("wq", "wk", "wv"), (wq, real.wk, real.wv), point_w)),
        raw("bq", f.bias, bq, point_c + point_w[0]),
        raw("bv", f.bias, real.bv, point_c + point_w[2]),
        tuple(lsh(c) for c in range(3)))
    xkv = raw("xkv", f.token, real.xkv, p["x"])
    xq = None if real.xq is real.xkv else raw("xq", f.token, real.xq, p["x"])
    job = Job(xkv, xq, mode, *(point_c + at - p[name] for name, at in zip("qkv", point_w)),
              shift_s=p["q"] + p["k"] - f.score.frac - power, shift_o=p["v"] - p["o"])
    return weights, job, p["o"]


# -- the error table ------------------------------------------------------------------------------

# As good as exact beside the chosen formats, and still within int64 everywhere.
WIDE = {
    "token": Format(True, 21, 15), "centroid": Format(True, 20, 14), "weight": Format(True, 20, 17),
    "qkv": Format(True, 18, 12), "bias": Format(True, 40, 32), "score": Format(True, 23, 13),
    "prob": Format(False, 34, 22), "ap": Format(False, 20, 0), "ppe": Format(True, 36, 0),
    "multiplier": Format(False, 20, 0), "output": Format(True, 18, 12),
    "exp_mantissa": 20, "recip_index": 16, "mean_reciprocal_frac": 18, "result_guard": 12,
}


def _signed(*names):
    """Rows change the width of ``names`` together; integer bits stay as chosen."""
    chosen = CTAFormats()
    return lambda by: {name: dataclasses.replace(
        getattr(chosen, name), width=getattr(chosen, name).width + by,
        frac=getattr(chosen, name).frac + by) for name in names}


def _scaled(name):
    """Rows change the width of ``name``, a mantissa whose binary point is fixed elsewhere."""
    fmt = getattr(CTAFormats(), name)
    return lambda by: {name: dataclasses.replace(fmt, width=fmt.width + by)}


def _constant(name):
    return lambda by: {name: getattr(CTAConfig, name) + by}


# Row of the table: what to change, and by how many bits. Token and centroid go together: the
# hardware aligns a centroid with a token by a left shift, so neither can be wide alone.
ROWS = {
    "token, centroid": (_signed("token", "centroid"), (-2, -1, 1, 2)),
    "weight": (_signed("weight"), (-4, -2, 2)),
    "qkv": (_signed("qkv"), (-4, -2, 2)),
    "score (and exp index)": (_signed("score"), (-3, -2, -1, 2)),
    "exp mantissa": (_constant("exp_mantissa"), (-6, -4, -2, 2)),
    "prob": (_signed("prob"), (-8, -4, 4)),
    "ap": (_scaled("ap"), (-4, -2, 1, 2)),
    "1/sum index": (_constant("recip_index"), (-4, -2, 2)),
    "1/sum mantissa": (_scaled("multiplier"), (-6, -4, -2, 2)),
    "result guard": (_constant("result_guard"), (-3, -2, 2)),
    "1/count": (_constant("mean_reciprocal_frac"), (-6, -4, -2, 2)),
    "output": (_signed("output"), (-4, -2, 2)),
}


def variant(cfg: CTAConfig, changes: dict) -> CTAConfig:
    """``cfg`` with formats (fields of :class:`CTAFormats`) and constants changed."""
    names = {f.name for f in dataclasses.fields(CTAFormats)}
    fmt = dataclasses.replace(cfg.fmt, **{k: v for k, v in changes.items() if k in names})
    return dataclasses.replace(cfg, fmt=fmt, **{k: v for k, v in changes.items()
                                                if k not in names})


def format_error(cfg: CTAConfig, real: Operands, mode: Mode = Mode.CTA,
                 scaled: bool = True) -> float:
    """Relative error of the golden head against the float algorithm on its own clusters."""
    weights, job, frac = quantise(cfg, real, mode, scaled)
    t = trace(cfg, weights, job)
    if mode == Mode.EXACT:
        reference = attention_exact(*real.attention)
    else:
        reference = attention_cta(*real.attention, t["ct0"], t["ct1"], t["ct2"])
    return relative_error(cfg.fmt.output.real(t["o"], frac), reference)


def _print_error_table() -> None:
    cfg = CTAConfig()
    real = synthetic(cfg.n, cfg.d)
    weights, job, _ = quantise(cfg, real)
    t = trace(cfg, weights, job)
    print(f"synthetic head, n = {cfg.n}, d = {cfg.d}: k0 {t['k0']}, k1 {t['k1']}, k2 {t['k2']}")
    approximation = relative_error(
        attention_cta(*real.attention, t["ct0"], t["ct1"], t["ct2"]),
        attention_exact(*real.attention))
    print(f"CTA against exact attention, both in double precision  {approximation:.4f}")
    print("golden against double precision, clusters forced:")
    print(f"  CTA mode, one binary point a tensor                  {format_error(cfg, real):.4f}")
    print(f"  CTA mode, nominal binary points                      "
          f"{format_error(cfg, real, scaled=False):.4f}")
    print(f"  exact mode, one binary point a tensor                "
          f"{format_error(cfg, real, Mode.EXACT):.4f}")
    print(f"  CTA mode, everything wide                            "
          f"{format_error(variant(cfg, WIDE), real):.6f}")
    print("\nby number of tokens: CTA, exact mode, CTA with one bit more of AP")
    for n in (128, 512, 2048):
        sized, tokens = dataclasses.replace(cfg, n=n, k0=n, k1=n, k2=n), synthetic(n, cfg.d)
        wider = variant(sized, ROWS["ap"][0](1))
        print(f"  {n:5}   {format_error(sized, tokens):.4f}   "
              f"{format_error(sized, tokens, Mode.EXACT):.4f}   {format_error(wider, tokens):.4f}")
    print("\nerror of one choice, the rest wide; and in the chosen set, that one a few bits off:")
    for name, (change, offsets) in ROWS.items():
        alone = format_error(variant(cfg, {**WIDE, **change(0)}), real)
        others = "  ".join(f"{by:+d}: {format_error(variant(cfg, change(by)), real):.4f}"
                           for by in offsets)
        print(f"  {name:22} {alone:.5f}   {others}")


def main(argv=None) -> int:
    """The command line, which takes no arguments: a minute of measuring."""
    parser = Parser(
        prog=f"python -m {__spec__.name}", description="The error of each format of the CTA engine "
        "beside double precision, measured on a synthetic input (about a minute).")
    parser.parse_args(argv)
    _print_error_table()
    return 0


if __name__ == "__main__":
    sys.exit(main())
