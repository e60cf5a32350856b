"""Whole attention layers, wall clock and transfers included: ``hashlayer bench layers``.

A layer is its heads as jobs one behind the other, the first of which clusters and the others reuse. The
operands of a job are loaded while the one before it runs, tokens of the next layer behind the weights of
this one, and its outputs leave, by cluster, while the next one does. What counts is the time from the end
of one layer to the end of the next.
"""

import sys
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from model.cta import head as head_model
from model.cta import layer as golden
from model.cta.config import CTAConfig
from model.cta.cost import OPERATING_POINTS, POINT_TOKENS, table1_cycles
from model.cta.cycles import HeadCycles, head_cycles
from model.cta.job import LayerJob, Mode
from model.cta.layout import Load, token_loads, weight_loads
from model.cta.program import WORDS
from model.cta.stimulus import layer_of, operating_point, random_job
from model.errors import ConfigError
from sw.io.tables import heading, line
from sw.sim.cta import Session, build
from sw.sim.engine import Script
from sw.sim.engines import ENGINES
from sw.studies.bench.case import VERDICTS
from sw.studies.bench.layer_picture import draw

__all__ = ["EXACT", "NETS", "Net", "Sizes", "sizes", "heads", "operands", "measure", "picture", "run", "show"]

BETWEEN = 3
"""Cycles between two jobs: last events, the outputs handed over, the check of the second."""


DRAWN = 3
"""Heads of a picture: one that clusters, and two that follow it."""


@dataclass(frozen=True)
class Net:
    """The attention of a network: width of a token, heads of a layer, and whether these share clusters."""

    name: str
    dw: int
    heads: int
    d: int
    shared: bool = True


NETS = (Net("MiniLM", 384, 12, 32), Net("BERT-base", 768, 12, 64), Net("BERT-large", 1024, 16, 64),
        Net("single heads", 64, 4, 64, shared=False))
TOKENS = (128, 384, 512)
EXACT = "exact"
"""The point without clusters. Its Table I is that of exact attention by the paper's steps."""


@dataclass(frozen=True)
class Sizes:
    """A layer to be run: what of :data:`NETS`, how many tokens, at which operating point. ``mode``:
    clusters, or exact attention, where k0 = k1 = n and k2 = 0."""

    net: Net
    n: int
    point: str
    k0: int
    k1: int
    k2: int
    mode: Mode = Mode.CTA

    def config(self, *, b: int = 8, lanes: int = 16, sets: int = 2, sums: int = 1, program: str = "",
               products: str = "") -> CTAConfig:
        """The engine: of the paper's hash, with room for the clusters by its defaults."""
        return CTAConfig(b=b, d=self.net.d, dw=self.net.dw, n=max(512, self.n), lanes=lanes, sets=sets,
                         sums=sums, program=program, products=products)


def sizes(nets=NETS, tokens=TOKENS, points=None) -> list[Sizes]:
    """All combinations; cluster counts in the proportions of the paper's operating points."""
    found = []
    for net in nets:
        for n in tokens if net.shared else [POINT_TOKENS]:
            found += [Sizes(net, n, point.name, *(round(share * n) for share in point.fractions))
                      for point in OPERATING_POINTS if points is None or point.name in points]
            if net.shared and (points is None or EXACT in points):
                found.append(Sizes(net, n, EXACT, n, n, 0, Mode.EXACT))
    return found


def operands(cfg: CTAConfig, size: Sizes, seed: int):
    """Weights of the heads, which hash alike, and the layer's job."""
    if size.mode is Mode.EXACT:
        weights, job = random_job(cfg, np.random.default_rng(seed), size.n, mode=size.mode)
    else:
        weights, job = operating_point(cfg, size.k0, size.k1, size.k2, size.n, seed=seed)
    heads = [(replace(weights, **{name: np.roll(getattr(weights, name), head, axis=-1)
                                  for name in ("wq", "wk", "wv", "bq", "bv")}), job)
             for head in range(size.net.heads)]
    return layer_of(heads)


def heads(cfg: CTAConfig, size: Sizes, shared_a: bool) -> list[HeadCycles]:
    """The heads of a layer by the cycle model."""
    return [head_cycles(cfg, size.n, size.n, size.k0, size.k1, size.k2, size.mode, shared_a=shared_a,
                        reuse=size.net.shared and head > 0) for head in range(size.net.heads)]


def _modelled(cfg: CTAConfig, size: Sizes, shared_a: bool) -> tuple[int, dict, float]:
    """Cycles of a layer by the cycle model, its losses by cause, and the useful cycles."""
    losses, total, useful = {"between jobs": BETWEEN * size.net.heads}, 0, 0.0
    for one in heads(cfg, size, shared_a):
        total += one.total + BETWEEN
        useful += sum(one.macs.values()) / (cfg.b * cfg.d)
        for cause, cycles in one.losses.items():
            losses[cause] = losses.get(cause, 0) + cycles
    return total, losses, useful


def early(size: Sizes) -> bool:
    """The next layer's tokens come while heads reuse clusters, which have no need of theirs; those of exact
    attention are read to the end."""
    return size.net.shared and size.mode is Mode.CTA and size.net.heads > 2


def _share(tokens: list[Load], head: int, heads: int) -> list[Load]:
    """A part of the tokens with each head from the third on, so that no job has all of them to hide."""
    if head < 2:
        return []
    load, = tokens
    first, last = (len(load.rows) * (head - at) // (heads - 2) for at in (2, 1))
    return [replace(load, base=first, rows=load.rows[first:last])] if last > first else []


def _simulated(cfg, size, weights, job: LayerJob, layers: int) -> dict:
    """Cycles of the last of some layers on the RTL, and whether all is as the models have it."""
    session, tokens = Session(cfg, Script(1)), token_loads(job.head(0))
    for at in range(layers * len(weights)):         # neighbours in different weight sets
        head = at % len(weights)
        again = size.net.shared and head > 0
        loads = weight_loads(cfg, weights[head], at % cfg.sets, lsh=not again)
        if at == 0 or not (again or early(size)):
            loads += tokens
        elif early(size) and at < (layers - 1) * len(weights):
            loads += _share(tokens, head, len(weights))
        session.load(loads).job(weights[head], job.head(head), at % cfg.sets, reload=False, reuse=again,
                                wait=False, clusters=1, tables=not again)
    run, results = session.wait().play(build(cfg, progress=sys.stderr.isatty()))
    ends = run.cycles["status"][len(weights) - 1::len(weights)]
    due = (golden.run(cfg, weights, job).heads if size.net.shared else
           [head_model.run(cfg, own, job.head(head)) for head, own in enumerate(weights)])
    equal = modelled = True
    for at, result in enumerate(results):
        head = at % len(weights)
        want, again = due[head], size.net.shared and head > 0
        equal &= not ENGINES["cta"].differences(result, want)
        cycles = head_cycles(cfg, size.n, size.n, want.k0, want.k1, want.k2, job.mode,
                             weights[0].shared_a, again, result.held)
        modelled &= result.cycles == cycles.total
    return {"cycles": ends[-1] - ends[-2], "equal_golden": equal, "equal_model": modelled,
            "held": sum(result.held for result in results[-len(weights):]),
            "cycles_per_second": results[0].rate}


def measure(size: Sizes, *, simulate: bool = True, seed: int = 0, **engine) -> dict:
    """A row: cycles of a layer in steady state, by the RTL or by the cycle model alone. ``engine`` is what
    :meth:`Sizes.config` takes.

    Raises ConfigError where the engine cannot be, ValueError where the counts cannot be met.
    """
    cfg = size.config(**engine)
    shared_a = cfg.slices == 1
    total, losses, useful = _modelled(cfg, size, shared_a)
    row = {"net": size.net.name, "n": size.n, "point": size.point, "part": "attention",
           "heads": size.net.heads,
           "b": cfg.b, "lanes": cfg.lanes, "sets": cfg.sets, "sums": cfg.sums,
           "program": WORDS.get(cfg.program.name, cfg.program.name), "products": cfg.products,
           "k0": size.k0, "k1": size.k1, "k2": size.k2, "cycles": total,
           "equal_golden": None, "equal_model": None}
    if simulate:
        weights, job = operands(cfg, size, seed)
        row |= _simulated(cfg, size, weights, job, 2)
        losses["transfers"] = row["cycles"] - total
    formula = size.net.heads * table1_cycles(cfg, size.n, size.k0, size.k1, size.k2,
                                             exact=size.mode is Mode.EXACT)
    return row | {"table1": formula, "ratio": row["cycles"] / formula,
                  "useful": useful / row["cycles"],
                  "losses": {cause: round(cycles) for cause, cycles in sorted(
                      losses.items(), key=lambda item: -item[1]) if round(cycles)}}


def picture(size: Sizes, path, **engine) -> None:
    """Draw the first heads of a layer as the engine works on them, losses by cause, into an SVG. ``engine``
    is what :meth:`Sizes.config` takes.

    Raises ConfigError where the engine cannot be, InputError for another kind of file.
    """
    cfg = size.config(**engine)
    drawn = heads(cfg, size, cfg.slices == 1)[:DRAWN]
    draw(drawn, f"{size.net.name}, n {size.n}, {size.point}, b {cfg.b}: heads 1 to {len(drawn)} of "
         f"{size.net.heads}", path)


def run(chosen: list[Sizes], measured=measure, **how) -> list[dict]:
    """Rows of all sizes as ``measured`` gives them, with progress; what cannot be measured is a row with its
    reason."""
    rows = []
    for size in tqdm(chosen, unit=" layers", disable=not sys.stderr.isatty(), leave=False):
        try:
            rows.append(measured(size, **how))
        except (ConfigError, ValueError) as error:
            rows.append({"net": size.net.name, "n": size.n, "point": size.point, "error": str(error)})
    return rows


COLUMNS = (("net", 12), ("n", 4), ("point", 8), ("heads", 5), ("cycles", 10), ("Table I", 10), ("ratio", 6),
           ("useful", 7), ("= golden", 8), ("= model", 7))


def show(rows: list[dict]) -> None:
    """The table, and the largest losses of each row."""
    print(heading(COLUMNS) + "  losses")
    for row in rows:
        if "error" in row:
            print(f"{row['net']}, n {row['n']}, {row['point']}: {row['error']}")
            continue
        causes = ", ".join(f"{cause} {cycles / row['cycles']:.1%}"
                           for cause, cycles in list(row["losses"].items())[:4])
        print(line(COLUMNS, [row["net"], row["n"], row["point"], row["heads"], f"{row['cycles']:,}",
                             f"{row['table1']:,}", f"{row['ratio']:.3f}", f"{row['useful']:.1%}",
                             VERDICTS[row["equal_golden"]], VERDICTS[row["equal_model"]]]) + "  " + causes)
    print("\ncycles: from the end of one layer to the end of the next, transfers included; Table I: the "
          "paper's, of all heads\nuseful: multiplier slots whose product enters a result, of all slots")
