"""Jobs made to order, in raw integers: random ones and corner cases.

Stimuli, not expected values: what a job must give is what :func:`model.lookup.layer.run` says.
"""

import math
from dataclasses import replace

import numpy as np

from model.fixed import SHIFT
from model.lookup import bh4, gather
from model.lookup import hash as hashing
from model.lookup.config import STAGES, LookupConfig
from model.lookup.job import Job, LayerWeights, Order
from model.stimulus import gaussian, least_shift

__all__ = ["random_job", "patterned_job", "PATTERNS"]

PATTERNS = ("zero", "equal", "extremes", "edges", "largest")


def _fill_stages(cfg, x, w, less):
    """Shifts that fill the stage format on tokens ``x``, ``less`` subtracted; the last stages."""
    limit = 0.8 * cfg.fmt.stage.max
    shift_block = np.zeros((cfg.copies, STAGES), np.int64)
    shift_hadamard, last = np.zeros_like(shift_block), []
    for c in range(cfg.copies):
        y = bh4.pad(cfg, x)
        for j in range(STAGES):
            acc = bh4.block_product(cfg, y, w[c, j])
            shift_block[c, j] = max(0, least_shift(np.abs(acc).max(), limit) - less)
            u = bh4.to_stage(cfg, acc, shift_block[c, j])[0]
            shift_hadamard[c, j] = max(0, least_shift(np.abs(bh4.hadamard(u)).max(), limit) - less)
            y = bh4.transform(cfg, u, shift_hadamard[c, j])[0]
        last.append(y)
    return shift_block, shift_hadamard, last


def _tables(cfg, rng):
    fmt = cfg.fmt.table
    return rng.integers(fmt.min, fmt.max + 1, (cfg.h, 1 << cfg.tau, cfg.d)).astype(
        np.int8 if fmt.width <= 8 else np.int64)


def random_job(cfg: LookupConfig, rng, t: int, saturating: bool = False, spread: float = 1.5,
               order: Order | None = None) -> tuple[LayerWeights, Job]:
    """A random layer and job of ``t`` tokens.

    Parameters
    ----------
    saturating : shifts too small, so that every kind of saturation happens if there are values
        enough. Without it almost nothing saturates.
    spread : standard deviation of z, in real units.
    order : drawn if None.
    """
    f, less = cfg.fmt, 2 * saturating
    x = gaussian(rng, (t, cfg.d), f.x.max / 4, f.x)
    w = gaussian(rng, cfg.weight_shape, f.weight.max / 4, f.weight)
    sigma = spread * 2.0**f.z_bias.frac
    gain, skip = (int(v) for v in rng.integers(f.mix.max // 8, f.mix.max + 1, 2))
    shift_block = shift_hadamard = None
    if cfg.projection == "dense":
        parts = [x @ w.T]
    else:
        shift_block, shift_hadamard, last = _fill_stages(cfg, x, w, less)
        parts = [gain * y for y in last]
    shift_z = np.array([max(0, least_shift(part.std(), sigma) - 2 * less) for part in parts])
    z_bias = gaussian(rng, cfg.codes, sigma / 4, f.z_bias)
    weights = LayerWeights(w, shift_z, z_bias, _tables(cfg, rng), np.zeros(cfg.h, np.int64),
                           rng.integers(f.out_bias.min // 64, f.out_bias.max // 64, cfg.d),
                           shift_block, shift_hadamard)
    drawn = Order(int(rng.integers(2)) * cfg.tile)
    job = Job(x, None, drawn if order is None else order, gain, skip,
              least_shift(skip * x.std(), sigma / 2))
    # Scores of a table fill their format; some tables do not, as scales of their own would have it.
    z, _ = bh4.project(cfg, x, weights, gain, skip, job.shift_skip)
    largest = cfg.score_point + math.log2((cfg.tau if cfg.gelu_scaled else 1) * spread)
    shift_s = math.ceil(largest) - f.score.width + rng.integers(0, 4, cfg.h) - less
    weights = replace(weights, shift_s=np.clip(shift_s, SHIFT.min, SHIFT.max))
    codes = hashing.codes(cfg, z)
    acc = gather.accumulate(cfg, codes, hashing.scores(cfg, z, weights.shift_s)[0], weights.tables)
    shift_y = max(0, least_shift(np.abs(acc + weights.out_bias).max(), f.output.max / 2) - less)
    residual = gaussian(rng, (t, cfg.d), f.output.max / 8, f.output) if cfg.residual else None
    return weights, replace(job, residual=residual, shift_y=shift_y)


def patterned_job(cfg: LookupConfig, rng, pattern: str, t: int) -> tuple[LayerWeights, Job]:
    """A job that follows a corner case.

    ``zero``: tokens and z bias are 0, so every z is 0 and every code is that of no bit set.
    ``equal``: one token t times. ``extremes``: tokens, weights and tables at either end of their
    formats. ``edges``: z within two units of zero. ``largest``: z at the ends of its format.
    """
    if pattern not in PATTERNS:
        raise ValueError(f"pattern is {pattern!r}, must be one of {PATTERNS}")
    weights, job = random_job(cfg, rng, t)
    f = cfg.fmt

    def ends(fmt, shape):
        return rng.choice((fmt.min, fmt.max), shape).astype(np.int64)

    if pattern == "equal":
        residual = None if job.residual is None else np.repeat(job.residual[:1], t, axis=0)
        return weights, replace(job, x=np.repeat(job.x[:1], t, axis=0), residual=residual)
    if pattern == "extremes":
        tables = ends(f.table, weights.tables.shape).astype(weights.tables.dtype)
        return (replace(weights, w=ends(f.weight, cfg.weight_shape), tables=tables),
                replace(job, x=ends(f.x, job.x.shape)))
    job = replace(job, x=np.zeros_like(job.x))
    if pattern == "zero":
        z_bias = np.zeros_like(weights.z_bias)
    elif pattern == "edges":
        step = 1 << cfg.z_shift
        z_bias = rng.integers(-2 * step, 2 * step + 1, cfg.codes)
    else:
        z_bias = ends(f.z_bias, cfg.codes)
    return replace(weights, z_bias=z_bias), job
