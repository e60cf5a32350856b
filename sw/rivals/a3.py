"""A3: each query looks at the keys that a greedy search over sorted columns of K finds.

Ham et al., HPCA 2020. That paper was not at hand: structure and constants are recalled. Its pipeline
has three stages (scores, exponentials, output), each of which takes a key a cycle.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sw.io.errors import InputError
from sw.rivals.fidelity import Chooser
from sw.rivals.rival import Layer, Unpriced

__all__ = ["A3", "candidates", "kept"]

STAGE = 9
"""Recalled: cycles of a stage beside those of its keys, so that a query takes n + 9 in each."""

STAGES = 3
"""Recalled: stages, so that the first output is there after 3 n + 27 cycles."""

LANES = 64
"""Recalled: multipliers for a score, and as many for an output."""

CONSERVATIVE = (0.5, 0.05)
"""Recalled: iterations of the search by keys, and the least weight of a key by the largest."""

AGGRESSIVE = (0.125, 0.10)
"""Recalled: the same of the aggressive approximation."""


def candidates(q: np.ndarray, k: np.ndarray, iterations: int) -> np.ndarray:
    """Keys with a positive greedy score, (m, n), of one head.

    An iteration adds the largest product q_i k_ji that is left to the score of key j, and the smallest
    as well unless all that was added so far sums to less than zero. Popping the largest off sorted columns
    in turn is taking the largest of all products in order, which is how it is done here.
    """
    m, n, d = len(q), len(k), q.shape[1]
    count = min(iterations, n * d)
    found = np.zeros((m, n), bool)
    for row, query in enumerate(q):
        products = (k * query).ravel()
        high = np.argpartition(-products, count - 1)[:count]
        high = high[np.argsort(-products[high], kind="stable")]
        low = np.argpartition(products, count - 1)[:count]
        low = low[np.argsort(products[low], kind="stable")]
        total, taken = 0.0, 0
        for largest in products[high]:
            total += largest
            if total >= 0:
                total += products[low[taken]]
                taken += 1
        score = np.bincount(high // d, products[high], n)
        score += np.bincount(low[:taken] // d, products[low[:taken]], n)
        found[row] = score > 0
    return found


def kept(q: np.ndarray, k: np.ndarray, chosen: np.ndarray, least: float) -> np.ndarray:
    """Candidates whose softmax weight is at least the share ``least`` of the largest, (m, n)."""
    scores = np.where(chosen, q @ k.T / np.sqrt(q.shape[1]), -np.inf)
    return chosen & (scores >= scores.max(axis=1, keepdims=True, initial=-1e300) + np.log(least))


@lru_cache(maxsize=4)
def _chosen(layer: Layer, iterations: int, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Keys that are scored and keys that are kept, (heads, m, n) each."""
    found = [(chosen, kept(q, k, chosen, least)) for q, k in zip(*layer.operands("A3"))
             for chosen in (candidates(q, k, iterations),)]
    return tuple(np.stack(masks) for masks in zip(*found))


@dataclass(frozen=True)
class A3(Chooser, Unpriced):
    """One unit; ``approximation`` as :data:`CONSERVATIVE`, None for all keys.

    Columns of K are sorted before the first query; the paper leaves that to another machine, and it is not
    counted. Memories are assumed to hold any n; the paper builds them for 320.
    """

    approximation: tuple[float, float] | None = None
    source: str = "A3, HPCA 2020"
    has_linears: bool = False

    @property
    def name(self) -> str:
        """How much is approximated."""
        words = {None: "all keys", CONSERVATIVE: "conservative", AGGRESSIVE: "aggressive"}
        return "A3, " + words.get(self.approximation, f"{self.approximation}")

    @property
    def multipliers(self) -> int:
        """Those of scores and outputs: 128. One more multiplies two halves of an exponential."""
        return 2 * LANES

    def _work(self, layer: Layer) -> np.ndarray:
        """Keys of each stage for every query, (heads m, stages)."""
        if layer.d > LANES:
            raise InputError(f"A3 takes heads of at most {LANES}, and the layer has d = {layer.d}")
        if self.approximation is None:
            return np.full((layer.heads * layer.queries, STAGES), layer.n)
        scored, left = (mask.sum(axis=2).ravel() for mask in self._masks(layer))
        return np.stack([np.full(len(left), self.iterations(layer)), scored, left, left], axis=1)

    def _masks(self, layer: Layer) -> tuple[np.ndarray, np.ndarray]:
        return _chosen(layer, self.iterations(layer), self.approximation[1])

    def chosen(self, layer: Layer) -> np.ndarray:
        """Which keys are in the output of each query, (heads, m, n)."""
        if self.approximation is None:
            return np.ones((layer.heads, layer.queries, layer.n), bool)
        return self._masks(layer)[1]

    def iterations(self, layer: Layer) -> int:
        """Iterations of the search for a query, one a cycle."""
        return 0 if self.approximation is None else max(1, round(self.approximation[0] * layer.n))

    def cycles(self, workload: Layer) -> int:
        """A query enters a stage when it has left the one before and the stage is free."""
        durations = self._work(workload) + STAGE
        left = np.zeros(durations.shape[1], int)
        for query in durations:
            at = 0
            for stage, takes in enumerate(query):
                at = left[stage] = max(at, left[stage]) + takes
        return int(left[-1])

    def pairs(self, layer: Layer) -> tuple[int, int]:
        """Scores and terms of outputs of all queries."""
        work = self._work(layer)
        return int(work[:, -3].sum()), int(work[:, -1].sum())

    def accesses(self, layer: Layer) -> dict[str, float]:
        """Rows of K and V that are used; two elements of sorted columns for an iteration."""
        scores, outputs = self.pairs(layer)
        rows = layer.heads * layer.queries
        return {"sorted": 2 * self.iterations(layer) * rows / layer.d, "keys": scores, "values": outputs,
                "queries": rows, "outputs": rows}

    def multiplications(self, layer: Layer) -> dict[str, int]:
        """Two for an iteration of the search, scores, a product an exponential, outputs."""
        scores, outputs = self.pairs(layer)
        rows = layer.heads * layer.queries
        return {"selection": 2 * self.iterations(layer) * rows, "scores": scores * layer.d,
                "exponentials": outputs, "outputs": outputs * layer.d}
