"""Figures of the rivals' papers beside what the models here give."""

from dataclasses import dataclass

import numpy as np

from model.cta.cost import OPERATING_POINTS
from sw.io.tables import heading, line
from sw.rivals import elsa
from sw.rivals.a3 import A3
from sw.rivals.array import scaled
from sw.rivals.elsa import ELSA
from sw.rivals.ideal import Ideal
from sw.rivals.leopard import SPEEDUP, LeOPArd
from sw.rivals.published import OF_IDEAL, OVER_ELSA, PublishedCTA
from sw.rivals.rival import Layer

__all__ = ["Figure", "correction", "figures", "table"]

COLUMNS = (("", 54), ("paper", 8), ("here", 8), ("ratio", 6), ("read", 9))

A3_TOKENS = 320
"""Recalled: keys that the memories of A3 are built for."""


@dataclass(frozen=True)
class Figure:
    """``paper`` is the figure of a paper and ``here`` ours; ``standing`` as :mod:`sw.rivals.rival` has it."""

    what: str
    paper: float
    here: float
    standing: str


def correction(draws: int = 20, pairs: int = 300) -> float:
    """What the angle of a hash of 64 bits is too large by at most in 80% of random pairs, found anew."""
    rng, over = np.random.default_rng(elsa.SEED), []
    for seed in range(draws):
        a, b = (rng.standard_normal((pairs, elsa.LANES)) for _ in range(2))
        cosine = a @ b.T / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
        over.append(elsa.angle(a, b, seed) - np.arccos(cosine))
    return float(np.quantile(over, elsa.BIAS_QUANTILE))


def figures(layer: Layer) -> list[Figure]:
    """All of them; those that depend on queries and keys are those of ``layer``, n = 512 and d = 64."""
    found, ideal = [], Ideal().cycles(layer)
    points = [(point.name, PublishedCTA(clusters=scaled(point, layer)).cycles(layer))
              for point in OPERATING_POINTS]
    system = ELSA(4, gpu=True).cycles(layer)
    found += [Figure(f"CTA Sec. VI-C: latency by that of the ideal array, {name}", OF_IDEAL[name],
                     cycles / ideal, "read") for name, cycles in points]
    found += [Figure(f"CTA Sec. VI-C: over ELSA-Aggressive + V100, {name}", OVER_ELSA[name],
                     system / cycles, "read") for name, cycles in points]
    first, many = (A3().cycles(Layer(A3_TOKENS, m=m)) for m in (1, 101))
    return found + [
        Figure("ELSA: correction of an angle of 64 bits", elsa.BIAS_64, correction(), "recalled"),
        Figure("ELSA: cycles of a query on 512 keys, all looked at", 128,
               (ELSA().cycles(Layer(512)) - 3 * 512) / 512, "recalled"),
        Figure(f"A3: cycles to the first output, n = {A3_TOKENS}", 987, first, "recalled"),
        Figure(f"A3: cycles of a query, n = {A3_TOKENS}", 329, (many - first) / 100, "recalled"),
        Figure("LeOPArd abstract: speedup over no pruning, 75% pruned", SPEEDUP,
               LeOPArd(None).cycles(layer) / LeOPArd().cycles(layer), "read")]


def table(found: list[Figure]) -> str:
    """The figures on a terminal."""
    rows = [line(COLUMNS, [each.what, f"{each.paper:g}", f"{each.here:.4g}", f"{each.here / each.paper:.2f}",
                           each.standing]) for each in found]
    return "\n".join([heading(COLUMNS), *rows, "",
                      "read: whether the paper's figure was read, or recalled from memory of the paper",
                      "over ELSA + V100: the three share one number fitted to them, the V100's linears"])
