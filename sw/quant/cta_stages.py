"""Torch twins of the stages of :mod:`model.cta`, on all heads of a layer and one sequence.

Raw values are float64 tensors that hold integers (:mod:`sw.quant.fixed`). The heads share tokens,
hash and centroids; weights, Q, K, V, scores and what follows have the heads (H) as their first
axis, shifts are (H, 1, 1). Each stage is bit-equal to its namesake, whose docstring says what it
computes; here are the gradients.

Tables have the gradient of the function they tabulate: 2**e that of the exponential, the
denominator's reciprocal that of 1/x. Positions of leading ones, row maxima and hash codes have
none: the first two cancel in the normalisation, and the paper's clusters have no gradient.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model.cta.config import CTAConfig
from model.cta.job import LSHParams, Mode, Saturation
from model.fixed import Format
from sw.quant.fixed import bit_length, floor_shift, power, require_exact, round_half_up, saturate

__all__ = ["RawHeads", "check_exact", "hash_codes", "cluster_table", "centroids", "residuals",
           "linear", "scores", "exp2", "aggregate", "normalise", "outputs", "trace"]


@dataclass(frozen=True)
class RawHeads:
    """Weights of all heads: ``wq wk wv`` (H, dw, d), ``bq bv`` (H, 1, d), the common LSHs, and
    the shifts (H, 1, 1), int64."""

    wq: Tensor
    wk: Tensor
    wv: Tensor
    bq: Tensor
    bv: Tensor
    lsh: tuple[LSHParams, LSHParams, LSHParams]
    shift_q: Tensor
    shift_k: Tensor
    shift_v: Tensor
    shift_s: Tensor
    shift_o: Tensor


def check_exact(cfg: CTAConfig) -> None:
    """Raise ConfigError if some sum or product of the engine does not fit float64 exactly."""
    f = cfg.fmt
    mean = f.token.width + cfg.mean_reciprocal_frac + 3
    require_exact(acc=Format(True, cfg.acc.width + 1), csum=cfg.csum, ap_bank=cfg.ap_bank,
                  product=Format(True, f.ppe.width + f.multiplier.width + 1),
                  mean=Format(True, mean))


def _tensor(value, like: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64, device=like.device)


# -- hash and clusters: no gradient ---------------------------------------------------------------

@torch.no_grad()
def hash_codes(cfg: CTAConfig, x: Tensor, p: LSHParams) -> tuple[Tensor, Tensor]:
    """Codes (n, l), int64, of ``x`` (n, dw), and the saturations."""
    acc = x @ _tensor(p.a, x).T + _tensor(p.b, x)
    operand, moved = saturate(floor_shift(acc, p.pre), cfg.fmt.ppe)
    codes, again = saturate(floor_shift(operand * p.inv_w, p.post), cfg.fmt.hash)
    return codes.long(), moved.sum() + again.sum()


def _numbered(key: Tensor) -> tuple[Tensor, Tensor, int]:
    """Numbers (n,) of equal keys in order of first sight, the mask of first sights, their count."""
    kinds, inverse = torch.unique(key, return_inverse=True)
    at = torch.arange(len(key), device=key.device)
    first = torch.full_like(kinds, len(key)).scatter_reduce(0, inverse, at, "amin")
    new = first[inverse] == at
    return (torch.cumsum(new, 0) - 1)[first[inverse]], new, len(kinds)


def cluster_table(cfg: CTAConfig, codes: Tensor, capacity: int) -> tuple[Tensor, int, int]:
    """Cluster of each token (n,), clusters, and the number of overflowed tokens.

    The tree is walked layer by layer, all tokens at once: a node's number is settled when it is
    first seen, and a layer sends those that come after ``capacity`` others to its last node.
    """
    node = torch.zeros(len(codes), dtype=torch.int64, device=codes.device)
    for value in codes.T:
        node, _, count = _numbered(node * (1 << cfg.fmt.hash.width) + value - cfg.fmt.hash.min)
    if count <= capacity:          # then no layer had more nodes either
        return node, count, 0
    node, count = torch.zeros_like(node), 0
    overflowed = torch.zeros_like(node, dtype=torch.bool)
    for value in codes.T:
        for shift in range(cfg.fmt.hash.width - cfg.digit, -1, -cfg.digit):
            digit = (value >> shift) & ((1 << cfg.digit) - 1)
            child, new, count = _numbered((node << cfg.digit) + digit)
            overflowed |= new & (child >= capacity)
            node, count = child.clamp(max=capacity - 1), min(count, capacity)
    return node, count, int(overflowed.sum())


# -- centroids to outputs -------------------------------------------------------------------------

def centroids(cfg: CTAConfig, x: Tensor, ct: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Means (k, dw) in the centroid format, and the saturations."""
    sums = x.new_zeros(k, x.shape[1]).index_add(0, ct, x)
    counts = torch.bincount(ct, minlength=k)
    scaled = round_half_up(sums, bit_length((counts - 1).double())[:, None])
    mean = scaled * _tensor(cfg.mean_table, x)[counts][:, None]
    c, moved = saturate(round_half_up(mean, cfg.mean_reciprocal_frac + cfg.residual_shift),
                        cfg.fmt.centroid)
    return c, moved.sum()


def residuals(cfg: CTAConfig, xkv: Tensor, c1: Tensor, ct1: Tensor) -> tuple[Tensor, Tensor]:
    """What level 1 leaves of each token, (n, dw), and the saturations."""
    r, moved = saturate(xkv - c1[ct1] * power(cfg.residual_shift), cfg.fmt.token)
    return r, moved.sum()


def _by_head(moved: Tensor) -> Tensor:
    return moved.flatten(1).sum(dim=1)


def linear(cfg: CTAConfig, c: Tensor, w: Tensor, bias: Tensor | None,
           shift: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (H, k, d) of Q, K or V from centroids (k, dw), and the saturations (H,)."""
    acc = c @ w
    y, moved = saturate(round_half_up(acc if bias is None else acc + bias, shift), cfg.fmt.qkv)
    return y, _by_head(moved)


def scores(cfg: CTAConfig, q: Tensor, k: Tensor, k1: int, shift_s: Tensor,
           exact: bool = False) -> tuple[Tensor, Tensor]:
    """Scores (H, k0, k1+k2), or (H, k0, k1+1) if ``exact``, and the saturations (H,)."""
    s, moved = saturate(round_half_up(q @ k.transpose(1, 2), shift_s), cfg.fmt.score)
    maximum = s[:, :, :k1].detach().amax(dim=2, keepdim=True)
    second = torch.zeros_like(maximum) if exact else s[:, :, k1:]
    second, again = saturate(second - maximum, cfg.fmt.score)
    return torch.cat([s[:, :, :k1], second], dim=2), _by_head(moved) + _by_head(again)


class _Exp2(torch.autograd.Function):
    """2**e by table and shift; d/de = value * ln 2, and none where it saturates."""

    @staticmethod
    def forward(ctx, e, cfg):
        step = 1 << cfg.exp_index
        whole = torch.floor(e / step)
        mantissa = _tensor(cfg.exp_table, e)[(e - whole * step).long()]
        left = whole + (cfg.fmt.prob.frac - (cfg.exp_mantissa - 1))
        # Beyond these bounds nothing changes any more: all ones on one side, zero on the other.
        left = left.clamp(-(cfg.exp_mantissa + 1), cfg.fmt.prob.width)
        value, moved = saturate(torch.floor(mantissa * power(left) + 0.5), cfg.fmt.prob)
        ctx.save_for_backward(value.masked_fill(moved, 0))
        ctx.unit = math.log(2) / step
        ctx.mark_non_differentiable(moved)
        return value, moved

    @staticmethod
    def backward(ctx, grad, _):
        return grad * ctx.saved_tensors[0] * ctx.unit, None


def exp2(cfg: CTAConfig, e: Tensor) -> tuple[Tensor, Tensor]:
    """``2**e`` in the prob format for ``e`` in score units, and the mask of saturated values."""
    return _Exp2.apply(e, cfg)


def aggregate(cfg: CTAConfig, s: Tensor, ct1: Tensor, ct2: Tensor, k1: int,
              exact: bool = False) -> tuple[Tensor, Tensor]:
    """AP banks (H, 2, k0, k) of even and odd tokens, and the saturated exponentials (H,)."""
    k = k1 if exact else s.shape[2]
    p, moved = exp2(cfg, s[:, :, ct1] + s[:, :, k1 + ct2])
    banks = []
    for parity in (0, 1):
        tokens = slice(parity, None, 2)
        bank = s.new_zeros(*s.shape[:2], k).index_add(2, ct1[tokens], p[:, :, tokens])
        if not exact:
            bank = bank.index_add(2, k1 + ct2[tokens], p[:, :, tokens])
        banks.append(bank)
    return torch.stack(banks, dim=1), _by_head(moved)


def normalise(cfg: CTAConfig, banks: Tensor) -> Tensor:
    """AP (H, k0, k) as the array takes it."""
    width = bit_length(banks.detach().amax(dim=(1, 3)))
    shift = (width + 1 - cfg.fmt.ap.width).clamp(min=0)[:, :, None]
    return saturate(round_half_up(banks.sum(dim=1), shift), cfg.fmt.ap)[0]


class _Reciprocal(torch.autograd.Function):
    """Mantissa of 1/total from the table; with its exponent, which is no variable here, the
    derivative is -1/total**2."""

    @staticmethod
    def forward(ctx, total, index, table):
        value = table[index]
        ctx.save_for_backward(value / total.clamp(min=1))
        return value

    @staticmethod
    def backward(ctx, grad):
        return -grad * ctx.saved_tensors[0], None, None


def outputs(cfg: CTAConfig, ap: Tensor, v: Tensor, shift_o: Tensor,
            exact: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Rows (H, k0, d) of O from ``ap`` (H, k0, k) and ``v`` (H, k, d); saturations (H,); rows
    without weight (H,)."""
    total = ap.sum(dim=2, keepdim=True)
    exponent = (bit_length(total) - 1).clamp(min=0)
    with torch.no_grad():
        fraction = (total - power(exponent)) * power(cfg.recip_index)
        index = floor_shift(fraction, exponent).long() & ((1 << cfg.recip_index) - 1)
    reciprocal = _Reciprocal.apply(total, index, _tensor(cfg.recip_table, ap))
    result = (ap @ v) * power(cfg.result_guard)
    operand, moved = saturate(floor_shift(result, exponent), cfg.fmt.ppe)
    drop = cfg.result_guard + cfg.fmt.multiplier.width + shift_o - (0 if exact else 1)
    o, again = saturate(round_half_up(operand * reciprocal, drop), cfg.fmt.output)
    zero = total == 0
    # A row of zeros saturates nowhere.
    return (o.masked_fill(zero, 0), _by_head(moved) + _by_head(again), zero.sum(dim=(1, 2)))


def trace(cfg: CTAConfig, raw: RawHeads, xkv: Tensor, xq: Tensor | None = None,
          mode: Mode = Mode.CTA) -> dict:
    """What :func:`model.cta.head.trace` gives of each head, heads stacked where they differ.

    ``xkv`` (n, dw), ``xq`` (m, dw) or None for self-attention: raw tokens. ``saturations`` holds
    a count (H,) by kind, ``zero_rows`` is (H,). No operand is checked.
    """
    exact = mode == Mode.EXACT
    xq = xkv if xq is None else xq
    sat = {kind: torch.zeros(len(raw.wq), dtype=torch.int64, device=xkv.device)
           for kind in Saturation}

    def counted(kind, result):
        value, moved = result
        sat[kind] = sat[kind] + moved
        return value

    def hashed(x, c):
        return counted(Saturation.HASH, hash_codes(cfg, x.detach(), raw.lsh[c]))

    def mean(x, ct, k):
        return counted(Saturation.CENTROID, centroids(cfg, x, ct, k))

    if exact:
        codes0 = codes1 = codes2 = residual = None
        k0, k1, k2, over = len(xq), len(xkv), 0, (0, 0, 0)
        ct0, ct1 = (torch.arange(k, device=xkv.device) for k in (k0, k1))
        ct2 = torch.zeros_like(ct1)
        c0, c1, c2 = mean(xq, ct0, k0), mean(xkv, ct1, k1), xkv.new_zeros(0, cfg.dw)
    else:
        codes0, codes1 = hashed(xq, 0), hashed(xkv, 1)
        ct0, k0, over0 = cluster_table(cfg, codes0, cfg.k0)
        ct1, k1, over1 = cluster_table(cfg, codes1, cfg.k1)
        c0, c1 = mean(xq, ct0, k0), mean(xkv, ct1, k1)
        residual = counted(Saturation.RESIDUAL, residuals(cfg, xkv, c1, ct1))
        codes2 = hashed(residual, 2)
        ct2, k2, over2 = cluster_table(cfg, codes2, cfg.k2)
        c2, over = mean(residual, ct2, k2), (over0, over1, over2)

    def project(c, w, bias, shift):
        return counted(Saturation.LINEAR, linear(cfg, c, w, bias, shift))

    q = project(c0, raw.wq, raw.bq, raw.shift_q)
    k = project(torch.cat([c1, c2]), raw.wk, None, raw.shift_k)
    # A value is the sum of a row of each level: its bias stands in level 1 alone.
    v = torch.cat([project(c1, raw.wv, raw.bv, raw.shift_v),
                   project(c2, raw.wv, None, raw.shift_v)], dim=1)
    s = counted(Saturation.SCORE, scores(cfg, q, k, k1, raw.shift_s, exact))
    banks = counted(Saturation.PROB, aggregate(cfg, s, ct1, ct2, k1, exact))
    ap = normalise(cfg, banks)
    o_rows, sat[Saturation.OUTPUT], zero_rows = outputs(cfg, ap, v, raw.shift_o, exact)
    return {"codes0": codes0, "codes1": codes1, "codes2": codes2, "residual": residual,
            "ct0": ct0, "ct1": ct1, "ct2": ct2, "k0": k0, "k1": k1, "k2": k2,
            "c0": c0, "c1": c1, "c2": c2, "q": q, "k": k, "v": v, "s": s,
            "banks": banks, "ap": ap, "o_rows": o_rows, "o": o_rows[:, ct0],
            "saturations": sat, "overflow": over, "zero_rows": zero_rows}
