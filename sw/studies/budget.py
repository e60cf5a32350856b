"""Which quantiser costs what: the error of a layer's output, stage by stage, on real activations.

    python -m sw.studies.budget                          # the shipped layers
    python -m sw.studies.budget head.npz layer.npz       # files that sw.run takes
    python -m sw.studies.budget FOLDER --text FILE       # layers of a checkpoint, on a text

Errors are relative to the norm of the layer in double precision, with the clusters (or rows) of
the integers forced on both: a token on the edge of a bucket that falls on its other side is no
arithmetic error. For every stage two figures:

    alone   that stage as chosen, all others as good as exact
    adds    sqrt(total^2 - rest^2), where the rest is everything as chosen but that stage exact

Errors are nearly independent, so either column adds up to the total in squares.
"""

import argparse
import dataclasses
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from model.command import Parser, refusing
from model.cta import centroid, probability
from model.cta import head as cta_head
from model.cta import reference as cta
from model.cta.config import CTAConfig
from model.cta.job import Mode
from model.cta.linear import linear
from model.cta.output import outputs
from model.cta.quantise import QuantiseError, quantise
from model.cta.score import scores
from model.lookup import reference as lookup
from model.lookup.config import LookupConfig
from sw.io.errors import InputError
from sw.io.shipped import ENCODER, HEAD, LAYER
from sw.io.writing import require_writable, write_json
from sw.studies.budget_inputs import read
from sw.studies.formats import CTA, LOOKUP, finer, variant, within_reach
from sw.studies.numerics import layer_errors

__all__ = ["Stage", "Budget", "attention_budget", "lookup_budget", "relative", "main"]


LOOKUP_ROWS = {name: row for name, row in LOOKUP.rows.items() if name != "z grid"}
"""z and the grid on which it is summed go together: neither can be fine alone."""

# A stage cannot be exact while a format beside it takes its bits away again.
_BESIDE = {"weight": ("bias",), "token, centroid": ("bias",), "qkv": ("ppe",),
           "table": ("out_bias",), "score": ("out_bias",),
           "log table mantissa": ("flip_frac",)}
# What is summed on the grid of z is shifted to it, to the right: so many bits finer, no more.
_GRID = 4


@dataclass(frozen=True)
class Stage:
    """Errors of one stage, see the head of this module."""

    name: str
    alone: float
    adds: float


@dataclass(frozen=True)
class Budget:
    """The errors of one layer, whose ``part`` is "attention" or "ffn".

    total : everything as chosen. exact : everything as good as exact, which should be nothing.
    beside : errors by name that are none of the quantisers': of CTA itself, or of other rows.
    """

    layer: str
    part: str
    total: float
    exact: float
    stages: tuple[Stage, ...]
    beside: dict[str, float]

    def __str__(self) -> str:
        lines = [f"{self.layer}: relative error {self.total:.4f}; {self.exact:.6f} with every "
                 "stage exact",
                 *(f"  {name}: {value:.4f}" for name, value in self.beside.items()),
                 f"  {'stage':24}{'alone':>9}{'adds':>9}"]
        lines += [f"  {stage.name:24}{stage.alone:9.5f}{stage.adds:9.5f}" for stage in
                  sorted(self.stages, key=lambda stage: -stage.alone)]
        squares = math.sqrt(sum(stage.alone**2 for stage in self.stages))
        return "\n".join([*lines, f"  {'in squares':24}{squares:9.5f}"])


def _stages(cfg, rows, wide, error, step) -> tuple[Stage, ...]:
    """``error(cfg)`` with one stage as chosen, and with one stage exact; ``step`` after each."""
    def chosen(key):
        return getattr(cfg.fmt, key, None) or getattr(cfg, key)

    def counted(changes):
        value = error(variant(cfg, changes))
        step()
        return value

    total, stages = counted({}), []
    for name, (change, _) in rows.items():
        keys = tuple(change(0))
        alone = {**wide, **{key: chosen(key) for key in keys}}
        rest = {key: wide[key] for key in (*keys, *_BESIDE.get(name, ())) if key in wide}
        if "z_bias" in rest:
            rest = {key: finer(getattr(cfg.fmt, key), _GRID) for key in rest}
        if isinstance(cfg, LookupConfig):
            alone, rest = (within_reach(cfg, changes) for changes in (alone, rest))
        stages.append(Stage(name, counted(alone),
                            math.sqrt(max(0.0, total**2 - counted(rest)**2))))
    return tuple(stages)


def relative(pairs) -> float:
    """Error of all (value, reference) together."""
    wrong = sum(float(((a - b)**2).sum()) for a, b in pairs)
    right = sum(float((b**2).sum()) for _, b in pairs)
    if right == 0:
        raise InputError("the layer gives nothing but zeros")
    return math.sqrt(wrong / right)


def _on_clusters(cfg, q, mode, tables):
    """Raw output of a quantised head on given clusters, by the stages of the golden model."""
    ct0, ct1, ct2 = tables
    job, w, exact = q.job, q.weights, mode == Mode.EXACT
    xq = job.xkv if job.xq is None else job.xq
    k0, k1 = int(ct0.max()) + 1, int(ct1.max()) + 1
    c0, _ = centroid.centroids(cfg, xq, ct0, k0)
    c1, _ = centroid.centroids(cfg, job.xkv, ct1, k1)
    c2 = c1[:0]
    if not exact:
        residual, _ = centroid.residuals(cfg, job.xkv, c1, ct1)
        c2, _ = centroid.centroids(cfg, residual, ct2, int(ct2.max()) + 1)
    query, _ = linear(cfg, c0, w.wq, w.bq, job.shift_q)
    key, _ = linear(cfg, np.concatenate([c1, c2]), w.wk, None, job.shift_k)
    value = np.concatenate([linear(cfg, c1, w.wv, w.bv, job.shift_v)[0],
                            linear(cfg, c2, w.wv, None, job.shift_v)[0]])
    s, _ = scores(cfg, query, key, k1, job.shift_s, exact)
    banks, _ = probability.aggregate(cfg, s, ct1, ct2, k1, exact)
    return outputs(cfg, probability.normalise(cfg, banks), value, job.shift_o, exact)[0][ct0]


def attention_budget(layer: str, cfg: CTAConfig, heads: Sequence[cta.Operands],
                     mode: Mode = Mode.CTA, percentile: float = 100.0,
                     step: Callable = lambda: None) -> Budget:
    """Budget of an attention layer: ``heads`` are its heads, on one or several sequences.

    All variants work on the clusters that the engine as chosen makes: in an engine of other
    formats a few tokens would hash elsewhere, and what that changes is larger than most stages.
    ``step`` is called ``2 * len(CTA.rows) + 2`` times.
    """
    golden, references, exacts, tables = [], [], [], []
    for real in heads:
        q = quantise(cfg, real, mode, percentile)
        t = cta_head.trace(cfg, q.weights, q.job)
        tables.append([t[name] for name in ("ct0", "ct1", "ct2")])
        golden.append(q.output(cfg, t["o"]))
        exacts.append(cta.attention_exact(*real.attention))
        references.append(exacts[-1] if mode == Mode.EXACT else
                          cta.attention_cta(*real.attention, *tables[-1]))

    def error(other):
        pairs = []
        for real, table, reference in zip(heads, tables, references):
            try:
                q = quantise(other, real, mode, percentile)
            except QuantiseError:
                # Scores cannot be finer than products of Q and K.
                if other.fmt.score.frac <= cfg.fmt.score.frac:
                    raise
                return error(variant(other, {"score": finer(other.fmt.score, -1)}))
            pairs.append((q.output(other, _on_clusters(other, q, mode, table)), reference))
        return relative(pairs)

    stages = _stages(cfg, CTA.rows, CTA.wide, error, step)
    beside = {}
    if mode == Mode.CTA:
        beside["CTA in double precision, against exact attention"] = relative(
            list(zip(references, exacts)))
        beside["all together, against exact attention"] = relative(list(zip(golden, exacts)))
    wide = error(variant(cfg, CTA.wide))
    step()
    return Budget(layer, "attention", relative(list(zip(golden, references))), wide, stages, beside)


def lookup_budget(layer: str, cfg: LookupConfig, real: lookup.Layer,
                  step: Callable = lambda: None) -> Budget:
    """Budget of a LookupFFN layer on its tokens.

    ``step`` is called ``2 * len(LOOKUP_ROWS) + 2`` times.
    """
    def errors(cfg):
        try:
            return layer_errors(cfg, real)
        except (ValueError, OverflowError) as error:
            raise InputError(f"{layer} cannot be represented: {error}") from None

    def error(cfg):
        return errors(cfg)[0]

    with np.errstate(over="ignore", invalid="ignore"):
        y = lookup.forward(cfg, real)
    if not np.isfinite(y).all():
        raise InputError(f"{layer}: y is not finite in double precision")
    if not y.any():
        raise InputError("the layer gives nothing but zeros")
    total, wrong, raw = errors(cfg)
    stages = _stages(cfg, LOOKUP_ROWS, LOOKUP.wide, error, step)
    wide = error(variant(cfg, within_reach(cfg, LOOKUP.wide)))
    step()
    return Budget(layer, "ffn", total, wide, stages,
                  {"rows that double precision would not take": wrong,
                   "against double precision with its own rows": raw})


# -- the command ----------------------------------------------------------------------------------

def _parser():
    parser = Parser(prog="sw.studies.budget", description="Which quantiser costs what: the error of "
                    "a layer's output, stage by stage, on real activations.")
    parser.add_argument("input", nargs="*", metavar="INPUT", help="a head or a LookupFFN layer, an "
                        ".npz as sw.run takes it; or a checkpoint of sw.lm.train, a folder. Default: "
                        "what ships with the project")
    parser.add_argument("--mode", choices=("cta", "exact"), default="cta",
                        help="of heads; layers of a checkpoint have their own (default cta)")
    parser.add_argument("--percentile", type=float, default=100.0, help="of the absolute values "
                        "of attention tensors that has to fit (default 100, the largest)")
    parser.add_argument("--text", metavar="FILE", help="text for a checkpoint; default: the "
                        "sources of Python's standard library")
    parser.add_argument("--sequences", type=int, default=2, metavar="N",
                        help="of the text, for a checkpoint (default 2)")
    parser.add_argument("--report", metavar="FILE", help="where the figures go, JSON")
    parser.add_argument("--plot", metavar="FILE", help="where a picture of them goes, PNG")
    return parser


def _defaults():
    return [ENCODER] if ENCODER.is_dir() else [HEAD, LAYER]


def _check(args):
    if not 0 < args.percentile <= 100:
        raise InputError(f"percentile is {args.percentile}, must be in (0, 100]")
    if args.sequences < 1:
        raise InputError(f"sequences is {args.sequences}, must be at least 1")
    require_writable(args.report, args.plot)


def _tasks(args):
    """(runs, function of a step callback) of every budget asked for."""
    for path in map(Path, args.input or _defaults()):
        for case in read(path, Mode[args.mode.upper()], args.text, args.sequences):
            if case.part == "attention":
                yield 2 * len(CTA.rows) + 2, partial(attention_budget, case.title, case.cfg,
                                                     case.real, case.mode, args.percentile)
            else:
                yield 2 * len(LOOKUP_ROWS) + 2, partial(lookup_budget, case.title, case.cfg,
                                                        case.real)


def _run(args):
    _check(args)
    from tqdm import tqdm
    tasks = list(_tasks(args))
    budgets = []
    with tqdm(total=sum(runs for runs, _ in tasks), unit="run", leave=False,
              disable=not sys.stderr.isatty()) as bar:
        for _, task in tasks:
            budgets.append(task(step=bar.update))
    for budget in budgets:
        print(f"{budget}\n")
    if args.report:
        write_json(args.report, [dataclasses.asdict(budget) for budget in budgets])
    if args.plot:
        from sw.studies.budget_picture import draw
        draw(budgets, args.plot)


@refusing("sw.studies.budget", InputError, QuantiseError, argparse.ArgumentTypeError)
def main(argv=None) -> int:
    return _run(_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
