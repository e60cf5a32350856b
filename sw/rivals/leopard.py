"""LeOPArd: keys go into a score a few bits at a time, and stop when it cannot reach a threshold any more.

Li et al., ISCA 2022. That paper was not at hand but for its abstract: structure and constants are recalled.
Serial units work on different keys of one query; behind them a parallel unit takes a surviving key a cycle.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sw.io.errors import InputError
from sw.rivals.fidelity import Chooser
from sw.rivals.rival import Layer, Unpriced, fixed_point, interleaved

__all__ = ["SPEEDUP", "LeOPArd", "cycles_a_key"]

SPEEDUP = 1.9
"""Read: average speedup over the same machine without pruning, 43 tasks (abstract)."""

BITS = 12
"""Recalled: bits of Q and K, sign and magnitude."""

SERIAL = 2
"""Recalled: bits of a key that a unit takes a cycle."""

UNITS = 6
"""Recalled: serial units, so that all of them together do one whole key a cycle."""

LANES = 64
"""Recalled: elements of a vector that a unit takes at once."""

PRUNED = 0.75
"""Assumed: share of pairs below the threshold. The paper learns thresholds in fine-tuning, which is not
done here; its averages by family of models are on both sides of this one, as recalled."""


def cycles_a_key(q: np.ndarray, k: np.ndarray, threshold: float) -> np.ndarray:
    """Cycles of a serial unit for each pair, (m, n), of integer queries and keys of one head.

    After each step the score can still grow by the bits to come where query and key have one sign.
    Where it is below the threshold even then, the pair is pruned. The sign comes with the first step:
    assumed.
    """
    magnitude, sign = np.abs(k), np.where(k < 0, -1.0, 1.0)
    q = q.astype(np.float64)                    # products of floats are fast, and exact at this size
    agreeing = (np.abs(q).sum(axis=1)[:, None] + q @ sign.T) / 2       # sum of |q| where signs agree
    found = np.full((len(q), len(k)), BITS // SERIAL)
    alive = np.ones(found.shape, bool)
    for step in range(1, BITS // SERIAL + 1):
        left = BITS - SERIAL * step
        score = q @ ((magnitude >> left << left) * sign).T
        stopped = alive & (score + agreeing * ((1 << left) - 1) < threshold)
        found[stopped] = step
        alive &= ~stopped
    return found


@lru_cache(maxsize=4)
def _work(layer: Layer, pruned: float) -> tuple[np.ndarray, np.ndarray]:
    """Cycles of all pairs of a layer and which survive, (heads m, n) each."""
    heads = [(fixed_point(q, BITS), fixed_point(k, BITS)) for q, k in zip(*layer.operands("LeOPArd"))]
    scores = [q.astype(np.float64) @ k.T for q, k in heads]
    least = np.quantile(scores, pruned)
    steps = [cycles_a_key(q, k, least) for q, k in heads]
    # The best key of a query survives, or it would have no output: assumed.
    alive = [s >= np.minimum(least, s.max(axis=1, keepdims=True)) for s in scores]
    return np.concatenate(steps), np.concatenate(alive)


@dataclass(frozen=True)
class LeOPArd(Chooser, Unpriced):
    """One tile. ``pruned`` is the share of pairs that a threshold a layer prunes, None for no threshold.

    Softmax and buffers between the two units are assumed never to hold it up.
    """

    pruned: float | None = PRUNED
    source: str = "LeOPArd, ISCA 2022"
    has_linears: bool = False

    @property
    def name(self) -> str:
        """How much is pruned."""
        return "LeOPArd, all keys" if self.pruned is None else f"LeOPArd, {self.pruned:.0%} pruned"

    @property
    def multipliers(self) -> int:
        """64 parallel ones for outputs; 6 x 64 of 12 x 2 bits count as 64 of 12 x 12."""
        return LANES + UNITS * LANES * SERIAL // BITS

    def _work(self, layer: Layer) -> tuple[np.ndarray, np.ndarray]:
        """Cycles of all pairs and which survive, (heads m, n) each."""
        if layer.d > LANES:
            raise InputError(f"LeOPArd takes heads of at most {LANES}, and the layer has d = {layer.d}")
        if self.pruned is None:
            shape = (layer.heads * layer.queries, layer.n)
            return np.full(shape, BITS // SERIAL), np.ones(shape, bool)
        if not 0 <= self.pruned < 1:
            raise InputError(f"pruned is {self.pruned:g}, must be in 0..1, without 1")
        return _work(layer, self.pruned)

    def chosen(self, layer: Layer) -> np.ndarray:
        """Which pairs survive, (heads, m, n)."""
        return self._work(layer)[1].reshape(layer.heads, layer.queries, layer.n)

    def cycles(self, workload: Layer) -> int:
        """Queries follow each other through both units; key j goes to serial unit j mod 6."""
        steps, alive = self._work(workload)
        front, back = interleaved(steps, UNITS), alive.sum(axis=1)
        scored = done = 0
        for first, second in zip(front, back):
            scored += first
            done = max(done, scored) + second
        return int(done)

    def accesses(self, layer: Layer) -> dict[str, float]:
        """The bits of keys that were looked at, values that survive, queries and outputs."""
        steps, alive = self._work(layer)
        rows = layer.heads * layer.queries
        return {"keys": float(steps.sum()) * SERIAL / BITS, "values": int(alive.sum()),
                "queries": rows, "outputs": rows}

    def multiplications(self, layer: Layer) -> dict[str, float]:
        """Scores by the share of the bits that were multiplied, and outputs."""
        steps, alive = self._work(layer)
        return {"scores": float(steps.sum()) * SERIAL / BITS * layer.d,
                "outputs": int(alive.sum()) * layer.d}
