"""The bench of the LookupFFN engine: layers of the paper's size, the tables in a memory that gives one
beat a cycle and answers after 100, beside the cycles that no schedule can beat."""

import dataclasses

import numpy as np

from model.lookup.config import LookupConfig
from model.lookup.cost import account, least_cycles
from model.lookup.job import Order
from model.lookup.stimulus import random_job
from model.lookup.timing import TABLE_LATENCY
from sw.sim.engines import ENGINES
from sw.studies.bench.case import Bench, Case, verdicts

__all__ = ["LookupBench"]

TOKENS = 128
PAPER = LookupConfig(d=512, h=128, tau=8, block=64)
WIDE = dataclasses.replace(PAPER, multipliers=512, lanes=128, batch=TOKENS)
ENGINES_OF = (("balanced", PAPER, Order.TOKEN_MAJOR),
              ("gather sets the pace", dataclasses.replace(PAPER, multipliers=1024), Order.TOKEN_MAJOR),
              ("without a tile", dataclasses.replace(PAPER, tile=False, batch=0), Order.TOKEN_MAJOR),
              ("table-major", PAPER, Order.TABLE_MAJOR),
              ("twice as wide", WIDE, Order.TOKEN_MAJOR),
              ("- table-major", WIDE, Order.TABLE_MAJOR))
"""Projection and gather in balance, the gather alone setting the pace, the memory of table-major absent, the
other order; an engine of twice the width in both orders, its batch all tokens of the job."""


class LookupBench(Bench):
    """See :class:`sw.studies.bench.case.Bench`."""

    ENGINE = ENGINES["lookup"]

    def cases(self, seed: int) -> list[Case]:
        """One job each of :data:`ENGINES_OF`."""
        return [Case(name, cfg, *random_job(cfg, np.random.default_rng(seed), TOKENS, order=order))
                for name, cfg, order in ENGINES_OF]

    def title(self, source: str) -> str:
        """The layer and the table memory."""
        return (f"d = {PAPER.d}, h = {PAPER.h}, tau = {PAPER.tau}, block = {PAPER.block}, {TOKENS} "
                f"tokens; table memory: a beat of as many bytes as lanes a cycle, latency {TABLE_LATENCY}; "
                f"cycles from the {source}")

    def figures(self, case: Case, result) -> dict:
        """Cycles a token, what bounds them, use of the table port."""
        cfg, tokens = case.cfg, len(case.job.x)
        costs, beats = account(cfg), result.table_bytes // cfg.lanes
        return {
            "order": case.job.order.name.lower(), "batch": cfg.batch, "multipliers": cfg.multipliers,
            "lanes": cfg.lanes, "tokens": tokens, "latency": TABLE_LATENCY,
            "projection_bound": costs.projection_cycles, "gather_bound": costs.gather_cycles,
            "port_bound": beats / tokens, "cycles_per_token": result.cycles / tokens,
            "of_bound": result.cycles / least_cycles(cfg, tokens, case.job.order),
            "port_use": beats / result.cycles, "table_bytes": result.table_bytes}

    def show(self, rows) -> None:
        """One table."""
        print(f"{'':22}{'cycles':>10}{'a token':>9}{'projection':>12}{'gather':>8}{'port':>8}"
              f"{'of bound':>10}{'port used':>11}{verdicts(None)}")
        for r in rows:
            print(f"{r['name']:22}{r['cycles']:>10,}{r['cycles_per_token']:>9,.1f}"
                  f"{r['projection_bound']:>12,}{r['gather_bound']:>8,}{r['port_bound']:>8,.0f}"
                  f"{r['of_bound']:>10.3f}{r['port_use']:>11.1%}{verdicts(r)}")
        print("\nprojection, gather, port: least cycles a token of the multipliers, of the lanes, of "
              "the table port\nof bound: cycles by those that no schedule can beat: the larger of the first "
              "two; table-major, the\nprojection of the first batch, then the pace of the port; the way "
              "through included\nport used: table beats by cycles")
