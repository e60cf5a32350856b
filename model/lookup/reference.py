"""Float reference: the authors' forward pass in double precision.

For error figures only; no golden stage calls it. ``python -m model.lookup.reference`` prints the
numbers of docs/lookup.md.
"""

import dataclasses
import math
import sys
from dataclasses import dataclass

import numpy as np

from model.border import Borders
from model.command import Parser
from model.fixed import Format
from model.lookup import bh4, layer
from model.lookup import hash as hashing
from model.lookup.config import STAGES, LookupConfig, LookupFormats
from model.lookup.job import Job, LayerWeights
from model.lookup.points import Peaks, peak, place, point, raw_mix, raw_weights, shifts

__all__ = ["Layer", "synthetic", "stages", "project", "codes", "weights_of", "forward",
           "measure", "quantise", "relative_error", "errors"]


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


def relative_error(value, reference) -> float:
    """Frobenius norm of the difference over that of the reference."""
    return float(np.linalg.norm(value - reference) / np.linalg.norm(reference))


# -- from real to raw operands --------------------------------------------------------------------

def measure(cfg: LookupConfig, real: Layer) -> Peaks:
    """Sizes of the layer's tensors on its own tokens."""
    z = project(cfg, real)
    w, product, transform = peak(real.w), None, None
    if cfg.projection == "bh4":
        w, product, transform = np.zeros((3, cfg.copies, STAGES))
        for c, j, u, y in stages(cfg, real):
            w[c, j], product[c, j], transform[c, j] = peak(real.w[c, j]), peak(u), peak(y)
    return Peaks(peak(real.x), w, product, transform, peak(weights_of(cfg, z), (0, 2)),
                 peak(real.tables, (1, 2)), peak(real.out_bias), peak(forward(cfg, real)),
                 None if real.residual is None else peak(real.residual))


def quantise(cfg: LookupConfig, real: Layer,
             borders: Borders | None = None) -> tuple[LayerWeights, Job, int]:
    """Weights and job in raw integers, and the fraction bits of the output.

    Every tensor has the binary point that its largest value asks for, judged on the layer's own
    tokens; only z_bias, gain and skip, whose points are fixed, can saturate. ``borders`` gets the
    counts.
    """
    f, points = cfg.fmt, place(cfg, measure(cfg, real))
    counted = Borders() if borders is None else borders
    residual = None if real.residual is None else counted.quantise(
        "residual", f.output, real.residual, points.y)
    job = Job(counted.quantise("x", f.x, real.x, points.x), residual,
              **raw_mix(cfg, real, counted), **shifts(cfg, points)[1])
    return raw_weights(cfg, real, points, counted), job, points.y


# -- the error table ------------------------------------------------------------------------------

# As good as exact beside the chosen formats, and still within int64 everywhere.
WIDE = {
    "x": Format(True, 24, 19), "weight": Format(True, 20, 19), "stage": Format(True, 26, 21),
    "mix": Format(False, 17, 16), "z_bias": Format(True, 28, 23), "z": Format(True, 18, 13),
    "score": Format(False, 20, 14), "table": Format(True, 16, 15),
    "out_bias": Format(True, 40, 30), "output": Format(True, 28, 20),
    "log_index": 13, "log_mantissa": 20, "exp_index": 14, "exp_mantissa": 22, "flip_frac": 18,
}


def _format(name: str, point: bool = False):
    """Rows change the width of ``name``; ``point`` says that integer bits stay as chosen."""
    fmt = getattr(LookupFormats(), name)
    return lambda by: {name: dataclasses.replace(fmt, width=fmt.width + by,
                                                 frac=fmt.frac + by * point)}


def _constant(name: str):
    return lambda by: {name: getattr(LookupConfig, name) + by}


def _z(by):
    """z and its grid together."""
    return {**_format("z", True)(by), **_format("z_bias", True)(by)}


# Row of the table: what to change, and by how many bits.
ROWS = {
    "x": (_format("x"), (-4, -2, 2)),
    "weight": (_format("weight"), (-2, -1, 2)),
    "stage": (_format("stage"), (-4, -2, 2)),
    "mix": (_format("mix", True), (-3, 4)),
    "z": (_z, (-2, -1, 2)),
    "z grid": (_format("z_bias", True), (-4, -2, 4)),
    "score": (_format("score"), (-4, -2, 2)),
    "table": (_format("table"), (-4, -2, -1, 2)),
    "log table index": (_constant("log_index"), (-2, -1, 1, 2)),
    "log table mantissa": (_constant("log_mantissa"), (-4, -2, 2)),
    "exp table index": (_constant("exp_index"), (-2, -1, 1, 2)),
    "exp table mantissa": (_constant("exp_mantissa"), (-4, -2, 2)),
    "output": (_format("output"), (-6, -4, 2)),
}


def variant(cfg: LookupConfig, changes: dict) -> LookupConfig:
    """``cfg`` with formats (fields of :class:`LookupFormats`) and constants changed."""
    names = {f.name for f in dataclasses.fields(LookupFormats)}
    fmt = dataclasses.replace(cfg.fmt, **{k: v for k, v in changes.items() if k in names})
    return dataclasses.replace(cfg, fmt=fmt, **{k: v for k, v in changes.items()
                                                if k not in names})


def errors(cfg: LookupConfig, real: Layer) -> tuple[float, float, float]:
    """Of the golden layer against double precision: error of y with the golden rows forced, share
    of wrong rows, error of y as it is."""
    weights, job, point = quantise(cfg, real)
    z, _ = bh4.project(cfg, job.x, weights, job.gain, job.skip, job.shift_skip)
    taken = hashing.codes(cfg, z)
    y = cfg.fmt.output.real(layer.run(cfg, weights, job).y, point)
    wrong = taken[:, :, 0] != codes(cfg, project(cfg, real))[:, :, 0]
    return (relative_error(y, forward(cfg, real, taken)), float(wrong.mean()),
            relative_error(y, forward(cfg, real)))


def score_error(cfg: LookupConfig, count: int, spread: float, seed: int = 1) -> tuple[float, float]:
    """Error of the scores of ``count`` quantised z against their exact weights, where that is not
    small: root mean square and largest, relative to the weight."""
    rng = np.random.default_rng(seed)
    z = Borders().quantise("z", cfg.fmt.z, rng.normal(0, spread, (count, cfg.codes)))
    exact = weights_of(cfg, cfg.fmt.z.real(z))
    at = point(Format(False, cfg.fmt.score.width), peak(exact))
    shift = np.full(cfg.h, cfg.score_point - at)
    s = np.ldexp(hashing.scores(cfg, z, shift)[0].astype(float), -at)
    large = np.abs(exact) > np.abs(exact).max() / 32
    error = s[large] / exact[large] - 1
    return float(np.sqrt((error**2).mean())), float(np.abs(error).max())


def _print_error_table() -> None:
    def line(text, figures):
        print(f"  {text:52} {figures[0]:.4f}   {figures[1]:.2%}   {figures[2]:.4f}")

    print("golden against double precision: rows forced, wrong rows, as it is")
    cfg = LookupConfig()
    line("d 512, h 128, tau 8, block 64, z deviation 2", errors(cfg, synthetic(cfg, 64)))
    line("  z deviation 0.8 (untrained)", errors(cfg, synthetic(cfg, 64, spread=0.8)))
    small = LookupConfig(d=256, h=64, tau=6, block=32)
    real = synthetic(small, 128)
    line("d 256, h 64, tau 6, block 32, z deviation 2", errors(small, real))
    for text, changes in (("plain weight", {"gelu_scaled": False}), ("neighbours",
                          {"neighbours": True}), ("dense projection", {"projection": "dense"}),
                          ("d 200", {"d": 200}), ("tau 1", {"tau": 1})):
        other = dataclasses.replace(small, **changes)
        line(f"  {text}", errors(other, synthetic(other, 128)))
    line("  everything wide", errors(variant(small, WIDE), real))
    print("\nscore against the exact weight of the same z, root mean square and largest")
    for tau in (1, 4, 8, 16):
        cfg = LookupConfig(d=64, h=64, tau=tau)
        print(f"  tau {tau:2}   " + "   ".join(
            f"deviation {spread}: {rms:.4f}, {most:.4f}" for spread in (0.8, 2.0)
            for rms, most in [score_error(cfg, 500, spread)]))
    print("\nd 256, h 64, tau 6: one choice, the rest wide; in the chosen set, it a few bits off")
    for name, (change, offsets) in ROWS.items():
        wide = {**WIDE, **change(0)}
        # The grid is never coarser than z.
        wide["z"] = LookupFormats().z if name == "z grid" else wide["z"]
        wide["log_index"] = min(wide["log_index"], wide["z"].frac + small.log_reach)
        wide["exp_index"] = min(wide["exp_index"], wide["log_mantissa"])
        alone = errors(variant(small, wide), real)
        others = "  ".join(f"{by:+d}: {e[0]:.4f}/{e[1]:.2%}" for by in offsets
                           for e in [errors(variant(small, change(by)), real)])
        print(f"  {name:20} {alone[0]:.5f}/{alone[1]:.2%}   {others}")


def main(argv=None) -> int:
    """The command line, which takes no arguments: a minute of measuring."""
    parser = Parser(
        prog=f"python -m {__spec__.name}", description="The error of each format of the LookupFFN engine "
        "beside double precision, measured on a synthetic input (about a minute).")
    parser.parse_args(argv)
    _print_error_table()
    return 0


if __name__ == "__main__":
    sys.exit(main())
