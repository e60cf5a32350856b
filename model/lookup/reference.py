"""Float reference: the authors' forward pass in double precision.

For error figures only; no golden stage calls it. ``python -m sw.studies.numerics lookup`` prints how
much error each fixed-point format contributes.
"""

import math
from dataclasses import dataclass

import numpy as np

from model.lookup.config import STAGES, LookupConfig

__all__ = ["Layer", "synthetic", "stages", "project", "codes", "weights_of", "forward"]


@dataclass(frozen=True)
class Layer:
    """A layer and its tokens in real numbers: ``x`` (t, d), ``w`` as LayerWeights, ``z_bias``,
    ``tables``, ``out_bias``, the coefficients of the fixed skip, a residual or None."""

    x: np.ndarray
    w: np.ndarray
    z_bias: np.ndarray
    tables: np.ndarray
    out_bias: np.ndarray
    gain: float = 0.7
    skip: float = 0.3
    residual: np.ndarray | None = None


def synthetic(cfg: LookupConfig, t: int, seed: int = 1, spread: float = 2.0) -> Layer:
    """Seeded normalised tokens, and a layer as the authors initialise it but for the deviation of
    z, which is ``spread`` (0.8 at their start; |z| up to 13 was seen once trained)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(t, cfg.d))
    if cfg.projection == "dense":
        w = rng.normal(0, spread / math.sqrt(cfg.d), cfg.weight_shape)
    else:
        w = rng.normal(0, 1 / math.sqrt(cfg.block * cfg.n), cfg.weight_shape)
        # Padding leaves less to transform; a fourth root on each stage spreads the gain evenly.
        past = 0.3 * math.sqrt(cfg.d / cfg.n)
        target = math.sqrt(max(spread**2 - past**2, 0.01)) / 0.7 / math.sqrt(cfg.d / cfg.n)
        w *= target ** (1 / STAGES)
    tables = rng.normal(0, 0.02, (cfg.h, 1 << cfg.tau, cfg.d))
    # Trained tables differ in size, hence a scale for each.
    tables *= np.exp2(rng.uniform(-1.5, 1.5, (cfg.h, 1, 1)))
    residual = rng.normal(size=(t, cfg.d)) if cfg.residual else None
    return Layer(x, w, rng.normal(0, 0.1, cfg.codes), tables, rng.normal(0, 0.02, cfg.d),
                 residual=residual)


def _pad(cfg: LookupConfig, x: np.ndarray) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, cfg.n - cfg.d)))


def _hadamard(u: np.ndarray) -> np.ndarray:
    n, half = u.shape[-1], 1
    while half < n:
        u = u.reshape(*u.shape[:-1], n // (2 * half), 2, half)
        u = np.concatenate([u[..., :1, :] + u[..., 1:, :], u[..., :1, :] - u[..., 1:, :]], axis=-2)
        u = u.reshape(*u.shape[:-3], n)
        half *= 2
    return u


def stages(cfg: LookupConfig, real: Layer):
    """Copy, stage, block product and transform, in the order of the pass."""
    for c in range(cfg.copies):
        y = _pad(cfg, real.x)
        for j in range(STAGES):
            blocks = y.reshape(len(y), cfg.blocks, cfg.block)
            u = np.einsum("boi,tbi->tbo", real.w[c, j], blocks, optimize=True)
            u = u.reshape(len(y), cfg.n)
            y = _hadamard(u)
            yield c, j, u, y


def project(cfg: LookupConfig, real: Layer) -> np.ndarray:
    """z (t, h*tau)."""
    if cfg.projection == "dense":
        return real.x @ real.w.T + real.z_bias
    last = [y for _, j, _, y in stages(cfg, real) if j == STAGES - 1]
    mixed = [real.gain * y + real.skip * _pad(cfg, real.x) for y in last]
    return np.concatenate(mixed, axis=1)[:, :cfg.codes] + real.z_bias


def codes(cfg: LookupConfig, z: np.ndarray) -> np.ndarray:
    """Codes (t, h, entries)."""
    place = 1 << np.arange(cfg.tau)[::-1]
    best = ((z.reshape(len(z), cfg.h, cfg.tau) > 0) @ place)[:, :, None]
    return np.concatenate([best, best ^ place], axis=2) if cfg.neighbours else best


def weights_of(cfg: LookupConfig, z: np.ndarray) -> np.ndarray:
    """Weights s (t, h, entries)."""
    size = np.abs(z).reshape(len(z), cfg.h, cfg.tau)
    plain = np.exp(-np.log1p(np.exp(-2 * size)).sum(axis=2, keepdims=True))
    inner = size.sum(axis=2, keepdims=True)
    if cfg.neighbours:
        plain = np.concatenate([plain, plain * np.exp(-2 * size)], axis=2)
        inner = np.concatenate([inner, inner - 2 * size], axis=2)
    return inner * plain if cfg.gelu_scaled else plain


def forward(cfg: LookupConfig, real: Layer, forced: np.ndarray | None = None) -> np.ndarray:
    """y (t, d); ``forced`` (t, h, entries) are the rows to take instead of those of z's signs.

    Rows are forced because a z near zero may fall on either side under quantisation: the weight
    is continuous there, the row is not, and training has seen both.
    """
    z = project(cfg, real)
    chosen, s = codes(cfg, z) if forced is None else forced, weights_of(cfg, z)
    y = np.tile(real.out_bias, (len(z), 1))
    for k in range(cfg.h):
        y += np.einsum("te,ted->td", s[:, k], real.tables[k, chosen[:, k]])
    return y if real.residual is None else y + real.residual
