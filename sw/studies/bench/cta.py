"""The bench of the CTA engine: jobs whose cluster counts are exactly the paper's three operating points,
and exact mode on the same tokens, beside the formula of Table I."""

import dataclasses

from model.cta.config import CTAConfig
from model.cta.cost import OPERATING_POINTS, ideal_cycles, table1_cycles, useful_macs
from model.cta.job import Mode
from model.cta.stimulus import operating_point
from sw.sim.engines import ENGINES
from sw.studies.bench.case import Bench, Case, verdicts

__all__ = ["CTABench"]

PHASES = {"compress": ("hash",), "linear": ("k", "v"), "attention": ("q", "score", "out")}
"""Phases of the status word, and the products that are formed in each."""


class CTABench(Bench):
    """See :class:`sw.studies.bench.case.Bench`."""

    ENGINE = ENGINES["cta"]
    CFG = CTAConfig()

    def cases(self, seed: int) -> list[Case]:
        """The first head of a layer, then any of the others, which takes its clusters."""
        jobs = []
        for point in OPERATING_POINTS:
            weights, job = operating_point(self.CFG, point.k0, point.k1, point.k2, self.CFG.n,
                                           seed=seed)
            jobs.append((point.name, weights, job))
        jobs.append(("exact", weights, dataclasses.replace(job, mode=Mode.EXACT)))
        return [Case(name + ", again" * reuse, self.CFG, weights, job, {"reuse": reuse})
                for reuse in (False, True) for name, weights, job in jobs]

    def title(self, source: str) -> str:
        """The array and its tokens."""
        cfg = self.CFG
        return f"b = {cfg.b}, d = {cfg.d}, l = {cfg.l}, n = {cfg.n}; cycles from the {source}"

    def figures(self, case: Case, result) -> dict:
        """Clusters, the formula of Table I, and useful multiplier slots by phase."""
        cfg, job = case.cfg, case.job
        n, m = len(job.xkv), len(job.xkv) if job.xq is None else len(job.xq)
        macs = useful_macs(cfg, n, result.k0, result.k1, result.k2, m)
        if case.how["reuse"]:
            macs["hash"] = 0
        slots = cfg.b * cfg.d
        return {
            "k0": result.k0, "k1": result.k1, "k2": result.k2,
            "table1": None if job.mode == Mode.EXACT else
            table1_cycles(cfg, n, result.k0, result.k1, result.k2, m),
            "phases": {phase: {"cycles": result.phases[phase],
                               "useful": sum(macs[use] for use in uses) /
                               (slots * result.phases[phase])}
                       for phase, uses in PHASES.items()},
            "useful": sum(macs.values()) / (slots * result.cycles),
            "of_ideal": result.cycles / ideal_cycles(cfg, n, m)}

    def show(self, rows) -> None:
        """Two tables: cycles and what they are compared with, multiplier slots by phase."""
        cfg = self.CFG
        print(f"{'':16}{'k0':>6}{'k1':>6}{'k2':>6}{'cycles':>10}{'Table I':>10}{'ratio':>8}"
              f"{'of ideal':>10}{verdicts(None)}")
        for r in rows:
            formula, ratio = "-", "-"
            if r["table1"] is not None:
                formula, ratio = f"{r['table1']:,}", f"{r['cycles'] / r['table1']:.3f}"
            print(f"{r['name']:16}{r['k0']:>6}{r['k1']:>6}{r['k2']:>6}{r['cycles']:>10,}{formula:>10}"
                  f"{ratio:>8}{r['of_ideal']:>10.3f}{verdicts(r)}")
        print(f"\n{'':16}" + "".join(f"{phase:>12}{'useful':>8}" for phase in PHASES)
              + f"{'all':>12}{'useful':>8}")
        for r in rows:
            print(f"{r['name']:16}"
                  + "".join(f"{p['cycles']:>12,}{p['useful']:>8.1%}" for p in r["phases"].values())
                  + f"{r['cycles']:>12,}{r['useful']:>8.1%}")
        print(f"\nof ideal: cycles by those of exact attention with all {cfg.b} × {cfg.d} multipliers "
              f"busy in every cycle ({ideal_cycles(cfg, cfg.n):,.0f})\n"
              "useful: multiplier slots whose product enters a result, of all slots\n"
              "again: a further head of the same layer, which takes the clusters of the first")
