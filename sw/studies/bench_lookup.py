"""Cycles of the LookupFFN engine: ``python -m sw.studies.bench lookup``.

Runs layers of the paper's size through the RTL, the tables in a memory that gives one beat a cycle
and answers after 100: with projection and gather in balance, with the gather alone setting the
pace, and table-major. Compares with the cycles that no schedule can beat.
"""

import sys
from dataclasses import dataclass

import numpy as np

from model.lookup import layer as golden
from model.lookup.config import LookupConfig
from model.lookup.cost import account
from model.lookup.cycles import layer_cycles
from model.lookup.job import Order
from model.lookup.stimulus import random_job
from model.lookup.timing import TABLE_LATENCY
from sw.run.layer import build_rtl, differences
from sw.sim.backends import tools
from sw.studies.emission import show_speed

__all__ = ["run"]

TOKENS = 128


@dataclass(frozen=True)
class Case:
    """An engine, and the order of its gather."""

    name: str
    cfg: LookupConfig
    order: Order = Order.TOKEN_MAJOR


PAPER = LookupConfig(d=512, h=128, tau=8, block=64)
CASES = (Case("balanced", PAPER),
         Case("gather sets the pace", LookupConfig(d=512, h=128, tau=8, block=64,
                                                   multipliers=1024)),
         Case("table-major", PAPER, Order.TABLE_MAJOR))


def measure(case: Case, tokens: int = TOKENS, seed: int = 0) -> dict:
    """One job on the RTL: cycles a token, what bounds them, use of the table port."""
    cfg = case.cfg
    weights, job = random_job(cfg, np.random.default_rng(seed), tokens, order=case.order)
    with tools():
        from sw.sim.lookup import run_layer
        result = run_layer(cfg, weights, job, progress=sys.stderr.isatty(), latency=TABLE_LATENCY)
    costs, beats = account(cfg), result.table_bytes // cfg.lanes
    bound = max(costs.bound, beats / tokens)
    return {
        "name": case.name, "order": case.order.name.lower(), "multipliers": cfg.multipliers,
        "lanes": cfg.lanes, "tokens": tokens, "latency": TABLE_LATENCY,
        "projection_bound": costs.projection_cycles, "gather_bound": costs.gather_cycles,
        "port_bound": beats / tokens, "cycles": result.cycles,
        "cycles_per_token": result.cycles / tokens,
        "of_bound": result.cycles / tokens / bound,
        "port_use": beats / result.cycles, "table_bytes": result.table_bytes,
        "equal": not differences(result, golden.run(cfg, weights, job)),
        "as_modelled": result.cycles == layer_cycles(cfg, tokens, case.order, TABLE_LATENCY).total,
        "cycles_per_second": result.rate,
    }


def show(rows) -> None:
    """The table."""
    print(f"{'':22}{'cycles':>10}{'a token':>9}{'projection':>12}{'gather':>8}{'port':>8}"
          f"{'of bound':>10}{'port used':>11}{'= golden':>10}{'= model':>9}")
    for r in rows:
        print(f"{r['name']:22}{r['cycles']:>10,}{r['cycles_per_token']:>9,.1f}"
              f"{r['projection_bound']:>12,}{r['gather_bound']:>8,}{r['port_bound']:>8,.0f}"
              f"{r['of_bound']:>10.3f}{r['port_use']:>11.1%}"
              + ("yes" if r["equal"] else "NO").rjust(10)
              + ("yes" if r["as_modelled"] else "NO").rjust(9))
    print("\nprojection, gather, port: least cycles a token of the multipliers, of the lanes, of "
          "the table port\nof bound: cycles by the largest of the three, the first token's way "
          "through included\nport used: table beats by cycles")


def run(seed: int = 0) -> tuple[dict, bool]:
    """All cases: the numbers, and whether the RTL equals golden model and cycle model."""
    for case in CASES:
        build_rtl(case.cfg, progress=sys.stderr.isatty())
    print(f"d = {PAPER.d}, h = {PAPER.h}, tau = {PAPER.tau}, block = {PAPER.block}, {TOKENS} "
          f"tokens; table memory: a beat of {PAPER.lanes} bytes a cycle, latency {TABLE_LATENCY}\n")
    data = {"jobs": [measure(case, seed=seed) for case in CASES]}
    show(data["jobs"])
    show_speed(data, "gen.lookup", PAPER, ("d", "h", "tau", "block"))
    return data, all(job["equal"] and job["as_modelled"] for job in data["jobs"])
