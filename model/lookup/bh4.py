"""Projection to soft hash codes: BH4, four block-diagonal products each before a Hadamard
transform (LookupFFN, eq. 11 with m = 4), or one dense matrix.

    for every copy c:  y = x padded to n;  4 times:  y = H (B y)
    z = gain * concat(y) + skip * repeat(x padded, r), the first h*tau, + bias

H is un-normalised and in natural (Sylvester) order, after the fourth stage as well. The fixed skip
is in the authors' code only.
"""

import numpy as np

from model.fixed import round_half_up, saturate
from model.lookup.config import STAGES, LookupConfig
from model.lookup.job import GAIN, SKIP, LayerWeights, Saturation

__all__ = ["pad", "hadamard", "block_product", "to_stage", "transform", "stages", "project"]


def pad(cfg: LookupConfig, x: np.ndarray) -> np.ndarray:
    """``x`` (t, d) with zeros up to (t, n)."""
    return np.pad(np.asarray(x, dtype=np.int64), ((0, 0), (0, cfg.n - cfg.d)))


def hadamard(u: np.ndarray) -> np.ndarray:
    """``H u`` along the last axis, exact: element k is the sum of u[i] * (-1)**popcount(i & k)."""
    u = np.array(u, dtype=np.int64)
    n, half = u.shape[-1], 1
    while half < n:
        pairs = u.reshape(*u.shape[:-1], n // (2 * half), 2, half)
        a, b = pairs[..., 0, :], pairs[..., 1, :]
        u = np.stack([a + b, a - b], axis=-2).reshape(u.shape)
        half *= 2
    return u


def block_product(cfg: LookupConfig, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """``B y`` of one copy and stage, exact: ``y`` (t, n), ``w`` (n/bs, bs out, bs in)."""
    blocks = np.asarray(y, dtype=np.int64).reshape(len(y), cfg.blocks, cfg.block).swapaxes(0, 1)
    acc = blocks @ np.asarray(w, dtype=np.int64).swapaxes(1, 2)
    return acc.swapaxes(0, 1).reshape(len(y), cfg.n)


def to_stage(cfg: LookupConfig, value: np.ndarray, shift: int) -> tuple[np.ndarray, int]:
    """Accumulators in the stage format, and the saturated values."""
    value, moved = saturate(round_half_up(value, shift), cfg.fmt.stage)
    return value, int(np.count_nonzero(moved))


def transform(cfg: LookupConfig, u: np.ndarray, shift: int) -> tuple[np.ndarray, int]:
    """``H u`` in the stage format, and the saturated values."""
    return to_stage(cfg, hadamard(u), shift)


def stages(cfg: LookupConfig, x: np.ndarray,
           weights: LayerWeights) -> tuple[np.ndarray, np.ndarray, dict]:
    """All stage values of ``x`` (t, d): block products (r, 4, t, n), transforms (r, 4, t, n)."""
    padded = pad(cfg, x)
    shape = cfg.copies, STAGES, len(x), cfg.n
    products, transforms = np.empty(shape, np.int64), np.empty(shape, np.int64)
    saturations = {Saturation.BLOCK: 0, Saturation.HADAMARD: 0}
    for c in range(cfg.copies):
        y = padded
        for j in range(STAGES):
            acc = block_product(cfg, y, weights.w[c, j])
            u, moved = to_stage(cfg, acc, weights.shift_block[c, j])
            saturations[Saturation.BLOCK] += moved
            y, moved = transform(cfg, u, weights.shift_hadamard[c, j])
            saturations[Saturation.HADAMARD] += moved
            products[c, j], transforms[c, j] = u, y
    return products, transforms, saturations


def _mixed(cfg, x, last, weights, gain, skip, shift_skip):
    """gain times the last stage plus skip times x, on the z grid (t, h*tau)."""
    past = round_half_up(skip * pad(cfg, x), shift_skip)
    parts = [round_half_up(gain * last[c], weights.shift_z[c]) + past for c in range(cfg.copies)]
    return np.concatenate(parts, axis=1)[:, :cfg.codes]


def project(cfg: LookupConfig, x: np.ndarray, weights: LayerWeights, gain: int = GAIN,
            skip: int = SKIP, shift_skip: int = 0) -> tuple[np.ndarray, dict]:
    """z (t, h*tau) from tokens ``x`` (t, d); the saturations by kind.

    A dense projection takes neither gain nor skip.
    """
    x = np.asarray(x, dtype=np.int64)
    if cfg.projection == "dense":
        acc = x @ np.asarray(weights.w, dtype=np.int64).T
        total, saturations = round_half_up(acc, weights.shift_z[0]), {}
    else:
        _, transforms, saturations = stages(cfg, x, weights)
        total = _mixed(cfg, x, transforms[:, -1], weights, gain, skip, shift_skip)
    total = total + np.asarray(weights.z_bias, dtype=np.int64)
    z, moved = saturate(round_half_up(total, cfg.z_shift), cfg.fmt.z)
    return z, {**saturations, Saturation.Z: int(np.count_nonzero(moved))}
