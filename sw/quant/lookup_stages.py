"""Torch twins of the stages of :mod:`model.lookup`, with gradients.

Raw values are float64 tensors that hold integers (:mod:`sw.quant.fixed`). Each stage is bit-equal
to its namesake, whose docstring says what it computes.

Tables have the gradient of the function they tabulate, log2(1 + exp(-2|z|)) and 2**x. Codes have
none, as in the float layer: the projection learns through the weights of the rows.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from model.fixed import Format
from model.lookup.config import STAGES, LookupConfig
from model.lookup.job import Saturation
from sw.nn.bh4 import hadamard
from sw.nn.ffn.lookup_gather import gather
from sw.quant.fixed import floor_shift, require_exact, round_half_up, saturate

__all__ = ["RawLayer", "check_exact", "stages", "project", "codes", "log_weight", "scores",
           "trace"]


@dataclass(frozen=True)
class RawLayer:
    """Weights as :class:`model.lookup.job.LayerWeights` and the job's fields; shifts are int64."""

    w: Tensor
    z_bias: Tensor
    tables: Tensor
    out_bias: Tensor
    shift_z: Tensor
    shift_s: Tensor
    gain: int
    skip: int
    shift_skip: int
    shift_y: int
    shift_block: Tensor | None = None
    shift_hadamard: Tensor | None = None


def check_exact(cfg: LookupConfig) -> None:
    """Raise ConfigError if some sum or product of the engine does not fit float64 exactly."""
    f = cfg.fmt
    require_exact(
        block_acc=cfg.block_acc, hadamard=cfg.hadamard, gather_acc=cfg.gather_acc,
        z_sum=Format(True, cfg.z_sum.width + 1),
        mix=Format(True, f.mix.width + max(f.stage.width, f.x.width) + 1),
        score=Format(True, cfg.inner.width + cfg.exp_mantissa + 1),
        flip=Format(True, f.z.width + cfg.flip_factor.bit_length() + 1))


def stages(cfg: LookupConfig, x: Tensor, raw: RawLayer) -> tuple[Tensor, Tensor, dict]:
    """Block products and transforms (r, 4, t, n) of raw tokens (t, d), and the saturations."""
    y = F.pad(x, (0, cfg.n - cfg.d)).expand(cfg.copies, -1, -1)
    products, transforms = [], []
    sat = {Saturation.BLOCK: 0, Saturation.HADAMARD: 0}
    for j in range(STAGES):
        split = y.unflatten(2, (cfg.blocks, cfg.block)).transpose(1, 2)       # (r, n/bs, t, bs)
        acc = (split @ raw.w[:, j].transpose(2, 3)).transpose(1, 2).flatten(2)
        u, moved = saturate(round_half_up(acc, raw.shift_block[:, j, None, None]), cfg.fmt.stage)
        sat[Saturation.BLOCK] = sat[Saturation.BLOCK] + moved.sum()
        y, moved = saturate(round_half_up(hadamard(u), raw.shift_hadamard[:, j, None, None]),
                            cfg.fmt.stage)
        sat[Saturation.HADAMARD] = sat[Saturation.HADAMARD] + moved.sum()
        products.append(u)
        transforms.append(y)
    return torch.stack(products, dim=1), torch.stack(transforms, dim=1), sat


def project(cfg: LookupConfig, x: Tensor, raw: RawLayer,
            last: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """z (t, h*tau) of raw tokens (t, d), and the saturations; ``last`` (r, t, n) are the last
    transforms, of BH4."""
    if cfg.projection == "dense":
        total = round_half_up(x @ raw.w.T, raw.shift_z[0])
    else:
        past = round_half_up(raw.skip * F.pad(x, (0, cfg.n - cfg.d)), raw.shift_skip)
        parts = round_half_up(raw.gain * last, raw.shift_z[:, None, None]) + past
        total = parts.transpose(0, 1).flatten(1)[:, :cfg.codes]
    z, moved = saturate(round_half_up(total + raw.z_bias, cfg.z_shift), cfg.fmt.z)
    return z, moved.sum()


def codes(cfg: LookupConfig, z: Tensor) -> Tensor:
    """Codes (t, h, entries), int64, of ``z`` (t, h*tau)."""
    place = 1 << torch.arange(cfg.tau - 1, -1, -1, device=z.device)
    best = ((z.unflatten(1, (cfg.h, cfg.tau)) > 0) * place).sum(dim=2, keepdim=True)
    return torch.cat([best, best ^ place], dim=2) if cfg.neighbours else best


class _Log(torch.autograd.Function):
    """log2(1 + exp(-2|z|)) of magnitudes by table, zero beyond it; the derivative of the real
    function, -2 log2(e) sigmoid(-2|z|), in raw units."""

    @staticmethod
    def forward(ctx, magnitude, cfg):
        ctx.save_for_backward(magnitude)
        ctx.cfg = cfg
        table = torch.as_tensor(cfg.log_table, dtype=torch.float64, device=magnitude.device)
        index = floor_shift(magnitude, cfg.log_step).long()
        return torch.where(index < len(table), table[index.clamp(max=len(table) - 1)], 0.0)

    @staticmethod
    def backward(ctx, grad):
        cfg, (magnitude,) = ctx.cfg, ctx.saved_tensors
        slope = torch.sigmoid(magnitude * (-2 * 2.0**-cfg.fmt.z.frac)) * (-2 * math.log2(math.e))
        return grad * slope * 2.0 ** (cfg.log_mantissa - cfg.fmt.z.frac), None


class _Mantissa(torch.autograd.Function):
    """Table entry of 2**e by the fraction of ``e``; its exponent, applied as a shift later, makes
    the derivative value * ln 2 that of the whole."""

    @staticmethod
    def forward(ctx, e, cfg):
        step = 1 << cfg.exp_index
        table = torch.as_tensor(cfg.exp_table, dtype=torch.float64, device=e.device)
        value = table[(e - torch.floor(e / step) * step).long()]
        ctx.save_for_backward(value)
        ctx.unit = math.log(2) / step
        return value

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0] * ctx.unit, None


def _magnitude(cfg: LookupConfig, z: Tensor) -> Tensor:
    return z.unflatten(1, (cfg.h, cfg.tau)).abs()


def log_weight(cfg: LookupConfig, z: Tensor) -> Tensor:
    """-log2 of the plain weights (t, h, entries)."""
    magnitude = _magnitude(cfg, z)
    total = _Log.apply(magnitude, cfg).sum(dim=2, keepdim=True)
    if not cfg.neighbours:
        return total
    flips = round_half_up(magnitude * cfg.flip_factor, cfg.flip_shift)
    return torch.cat([total, total + flips], dim=2)


def scores(cfg: LookupConfig, z: Tensor, shift_s: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (t, h, entries) in the score format, and the saturations; ``shift_s`` (h,)."""
    e = -round_half_up(log_weight(cfg, z), cfg.log_mantissa - cfg.exp_index)
    right = -torch.floor(e.detach() / (1 << cfg.exp_index)).long()
    if cfg.gelu_scaled:
        magnitude = _magnitude(cfg, z)
        inner = magnitude.sum(dim=2, keepdim=True)
        if cfg.neighbours:
            inner = torch.cat([inner, inner - 2 * magnitude], dim=2)
    else:
        inner = 1 << cfg.fmt.z.frac
    product = inner * _Mantissa.apply(e, cfg)
    s, moved = saturate(round_half_up(product, (shift_s[:, None] + right).clamp(max=62)),
                        cfg.score)
    return s, moved.sum()


def trace(cfg: LookupConfig, raw: RawLayer, x: Tensor, residual: Tensor | None = None) -> dict:
    """What :func:`model.lookup.layer.trace` gives, but for the bytes read.

    ``x`` (t, d) raw tokens, ``residual`` (t, d) raw in the output format, or None. No operand is
    checked. ``saturations`` counts by kind.
    """
    sat, blocks, hadamards = dict.fromkeys(Saturation, 0), None, None
    if cfg.projection == "bh4":
        blocks, hadamards, events = stages(cfg, x, raw)
        sat.update(events)
    z, sat[Saturation.Z] = project(cfg, x, raw, None if blocks is None else hadamards[:, -1])
    code = codes(cfg, z)
    s, sat[Saturation.SCORE] = scores(cfg, z, raw.shift_s)
    acc = gather(raw.tables, code, s)
    y = round_half_up(acc + raw.out_bias, raw.shift_y)
    y, moved = saturate(y if residual is None else y + residual, cfg.fmt.output)
    sat[Saturation.OUTPUT] = moved.sum()
    return {"blocks": blocks, "hadamards": hadamards, "z": z, "codes": code, "scores": s,
            "acc": acc, "y": y, "saturations": sat}
