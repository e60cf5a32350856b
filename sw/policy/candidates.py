"""How far a layer may be compressed: what a policy chooses from. It needs no torch."""

from dataclasses import dataclass

from model.cta.cost import OPERATING_POINTS, POINT_TOKENS

__all__ = ["CANDIDATES", "Candidate", "Fractions"]

Fractions = tuple[float, float, float]


@dataclass(frozen=True)
class Candidate:
    """A compression to choose from: ``fractions`` k0/m, k1/n, k2/n; None for exact attention."""

    name: str
    fractions: Fractions | None


def _points() -> tuple[Candidate, ...]:
    fractions = [(p.name, p.fractions) for p in OPERATING_POINTS]
    counts = [("q/4", (120, 217, 24)), ("q/16", (30, 258, 29)), ("1/4", (120, 110, 12)),
               ("1/16", (30, 29, 3))]
    return (Candidate("exact", None), Candidate("0.9", (0.9, 0.81, 0.09)),
            *(Candidate(name, ks) for name, ks in fractions),
            *(Candidate(name, tuple(k / POINT_TOKENS for k in ks)) for name, ks in counts))


CANDIDATES = _points()
"""Exact, RL = .9, the paper's three operating points, and beyond them: a quarter of the queries
with the keys of CTA-1, a sixteenth of the queries with those of CTA-0, a quarter of both, a
sixteenth of both."""
