"""What each fixed-point format costs: the figures of docs/numerics.md and docs/lookup.md.

    python -m sw.studies.numerics cta
    python -m sw.studies.numerics lookup

Golden model against the same algorithm in double precision, on seeded synthetic operands that the
shipped quantisers (:mod:`model.cta.quantise`, :mod:`model.lookup.quantise`) turned into integers.
The tables are printed as they stand on the two pages.
"""

import dataclasses
import sys

import numpy as np

from model.border import Borders
from model.command import Parser
from model.cta.config import CTAConfig
from model.cta.head import trace
from model.cta.job import Mode
from model.cta.quantise import Points, lsh_a_point, measure, place, quantise, quantise_at
from model.cta.reference import Operands, attention_cta, attention_exact
from model.cta.reference import synthetic as synthetic_head
from model.fixed import Format
from model.lookup import bh4, layer
from model.lookup import hash as hashing
from model.lookup import quantise as lookup
from model.lookup import reference as float_layer
from model.lookup.config import LookupConfig, LookupFormats
from sw.io.figures import relative_error
from sw.studies.formats import CTA, LOOKUP, variant, within_reach

__all__ = ["head_error", "layer_errors", "score_error", "cta_tables", "lookup_tables", "main"]


def _table(head, rows):
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def _figure(value, digits=4):
    """An error as the pages write it, without its leading zero."""
    return f"{value:.{digits}f}".removeprefix("0")


def _sign(by):
    return f"{by:+d}".replace("-", "−")


def _share(value):
    return f"{100 * value:.2f} %"


# -- CTA --------------------------------------------------------------------------------------------

def _nominal(cfg: CTAConfig, real: Operands) -> Points:
    """Points of a head whose tokens, centroids, Q, K, V and O keep those of their formats."""
    f = cfg.fmt
    placed = place(cfg, measure(cfg, real),
                   lambda token: lsh_a_point(cfg, token, real.a, float(np.abs(real.b).max())))
    return dataclasses.replace(placed, token=f.token.frac, centroid=f.token.frac - cfg.residual_shift,
                               q=f.qkv.frac, k=f.qkv.frac, v=f.qkv.frac, o=f.output.frac)


def _golden_and_float(cfg, real, mode=Mode.CTA, points=None):
    """What the golden head gives, and what double precision does on the same clusters."""
    q = quantise(cfg, real, mode) if points is None else quantise_at(cfg, real, points, mode)
    t = trace(cfg, q.weights, q.job)
    exact = mode == Mode.EXACT
    return t, q.output(cfg, t["o"]), (
        attention_exact(*real.attention) if exact
        else attention_cta(*real.attention, t["ct0"], t["ct1"], t["ct2"]))


def head_error(cfg: CTAConfig, real: Operands, mode: Mode = Mode.CTA,
               points: Points | None = None) -> float:
    """Relative error of the golden head against the float algorithm on its own clusters."""
    _, golden, reference = _golden_and_float(cfg, real, mode, points)
    return relative_error(golden, reference)


def _roomy(n: int) -> CTAConfig:
    """An engine with room for a cluster a token, so that formats alone decide."""
    return CTAConfig(n=n, k0=n, k1=n, k2=n)


def cta_tables() -> list[str]:
    """The tables of docs/numerics.md."""
    cfg = _roomy(CTAConfig.n)
    real = synthetic_head(cfg.n, cfg.d)
    t, golden, reference = _golden_and_float(cfg, real)
    chosen = relative_error(golden, reference)
    sums = [
        ("CTA, one binary point a tensor", chosen),
        ("CTA, nominal points throughout (the paper's formats)",
         head_error(cfg, real, points=_nominal(cfg, real))),
        ("exact mode, one binary point a tensor", head_error(cfg, real, Mode.EXACT)),
        ("CTA, every format wide", head_error(variant(cfg, CTA.wide), real)),
        (f"CTA itself, k0 {t['k0']}, k1 {t['k1']}, k2 {t['k2']}, against exact attention, both in double "
         "precision", relative_error(reference, attention_exact(*real.attention)))]

    def by_tokens(n):
        sized, tokens = _roomy(n), synthetic_head(n, cfg.d)
        wider = variant(sized, CTA.rows["ap"][0](1))
        return [str(n), *(_figure(error) for error in (
            head_error(sized, tokens), head_error(sized, tokens, Mode.EXACT), head_error(wider, tokens)))]

    choices = [
        [name, _figure(head_error(variant(cfg, {**CTA.wide, **change(0)}), real), 5),
         ", ".join(f"{_sign(by)} {_figure(head_error(variant(cfg, change(by)), real))}" for by in offsets)]
        for name, (change, offsets) in CTA.rows.items()]
    return [
        _table(["†", "error"], [[name, _figure(error, 5)] for name, error in sums]),
        _table(["choice †", "alone", f"bits off: error ({_figure(chosen)} as chosen)"], choices),
        _table(["tokens †", "CTA", "exact mode", "CTA, one bit more of AP"],
               map(by_tokens, (128, 512, 2048)))]


# -- LookupFFN --------------------------------------------------------------------------------------

def layer_errors(cfg: LookupConfig, real: float_layer.Layer) -> tuple[float, float, float]:
    """Of the golden layer against double precision: error of y with the golden rows forced, share
    of wrong rows, error of y as it is."""
    q = lookup.quantise(cfg, real)
    weights, job = q.weights, q.job
    z, _ = bh4.project(cfg, job.x, weights, job.gain, job.skip, job.shift_skip)
    taken = hashing.codes(cfg, z)
    y = q.output(cfg, layer.run(cfg, weights, job).y)
    wrong = taken[:, :, 0] != float_layer.codes(cfg, float_layer.project(cfg, real))[:, :, 0]
    return (relative_error(y, float_layer.forward(cfg, real, taken)), float(wrong.mean()),
            relative_error(y, float_layer.forward(cfg, real)))


def score_error(cfg: LookupConfig, count: int, spread: float, seed: int = 1) -> tuple[float, float]:
    """Error of the scores of ``count`` quantised z against their exact weights, where that is not
    small: root mean square and largest, relative to the weight."""
    rng = np.random.default_rng(seed)
    z = Borders().quantise("z", cfg.fmt.z, rng.normal(0, spread, (count, cfg.codes)))
    exact = float_layer.weights_of(cfg, cfg.fmt.z.real(z))
    at = lookup.point(Format(False, cfg.fmt.score.width), lookup.peak(exact))
    shift = np.full(cfg.h, cfg.score_point - at)
    s = np.ldexp(hashing.scores(cfg, z, shift)[0].astype(float), -at)
    large = np.abs(exact) > np.abs(exact).max() / 32
    error = s[large] / exact[large] - 1
    return float(np.sqrt((error**2).mean())), float(np.abs(error).max())


def lookup_tables() -> list[str]:
    """The tables of docs/lookup.md."""
    def line(text, figures):
        forced, wrong, raw = figures
        return [text, _figure(forced), _share(wrong), _figure(raw)]

    whole, small = LookupConfig(), LookupConfig(d=256, h=64, tau=6, block=32)
    real = float_layer.synthetic(small, 128)
    chosen = layer_errors(small, real)
    layers = [line("d 512, h 128, τ 8, block 64, z deviation 2",
                   layer_errors(whole, float_layer.synthetic(whole, 64))),
              line("the same, z deviation .8 (untrained)",
                   layer_errors(whole, float_layer.synthetic(whole, 64, spread=0.8))),
              line("d 256, h 64, τ 6, block 32, z deviation 2", chosen)]
    for text, changes in (("plain weight", {"gelu_scaled": False}), ("neighbours", {"neighbours": True}),
                          ("dense projection", {"projection": "dense"}),
                          ("d 200, padded to 256", {"d": 200}), ("τ = 1", {"tau": 1})):
        other = dataclasses.replace(small, **changes)
        layers.append(line(f"– {text}", layer_errors(other, float_layer.synthetic(other, 128))))
    layers.append(line("– every format wide", layer_errors(variant(small, LOOKUP.wide), real)))

    def score(tau):
        cfg = LookupConfig(d=64, h=64, tau=tau)
        return [str(tau), *(_figure(error) for spread in (0.8, 2.0)
                            for error in score_error(cfg, 500, spread))]

    def choice(name, change, offsets):
        wide = {**LOOKUP.wide, **change(0)}
        if name == "z grid":
            wide["z"] = LookupFormats().z       # The grid is never coarser than z.
        alone = layer_errors(variant(small, within_reach(small, wide)), real)
        off = [(by, layer_errors(variant(small, change(by)), real)) for by in offsets]
        return [name, _figure(alone[0], 5),
                ", ".join(f"{_sign(by)} {_figure(found[0])}" for by, found in off),
                ", ".join(f"{_sign(by)} {_share(found[1])}" for by, found in off)]

    return [
        _table(["†", "rows forced", "wrong rows", "as it is"], layers),
        _table(["choice †", "alone", f"bits off: error ({_figure(chosen[0])} as chosen)",
                f"wrong rows ({_share(chosen[1])})"],
               [choice(name, *row) for name, row in LOOKUP.rows.items()]),
        _table(["τ †", "deviation .8", "largest", "deviation 2", "largest"], map(score, (1, 4, 8, 16)))]


# -- the command ------------------------------------------------------------------------------------

TABLES = {"cta": cta_tables, "lookup": lookup_tables}


def main(argv=None) -> int:
    """The command line: half a minute of measuring."""
    parser = Parser(prog="sw.studies.numerics", description="The error of each format of an engine beside "
                    "double precision, measured on synthetic operands (half a minute).")
    parser.add_argument("engine", choices=TABLES, help="whose formats")
    args = parser.parse_args(argv)
    print("\n\n".join(TABLES[args.engine]()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
