"""ELSA: each query looks at the keys that a sign-random-projection hash takes for similar.

Ham et al., ISCA 2021. That paper was not at hand: its structure and constants are recalled, but for what
the CTA paper tells of it. The formula of its angles is held against random vectors by a test.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import ClassVar

import numpy as np

from model.cta.config import CTAConfig
from model.cta.cost import ideal_cycles
from sw.io.errors import InputError
from sw.rivals.fidelity import Chooser
from sw.rivals.published import OF_IDEAL, OVER_ELSA
from sw.rivals.rival import Area, Layer, Unpriced, interleaved, linear_products

__all__ = ["ELSA", "angle", "angle_bias", "candidates", "linears_on_gpu", "projection", "threshold"]

MODULES = 4
"""Recalled: attention modules, each with a bank of keys and values of its own."""

SELECTORS = 8
"""Recalled: candidate selectors of a module, each of which looks at one key a cycle."""

LANES = 64
"""Recalled: multipliers of a module for a score, and as many for an output."""

HASH_MULTIPLIERS = 256
"""Recalled: multipliers of the hash unit, which no count of multipliers here includes."""

DIVIDERS = 16
"""Recalled: multipliers that divide an output by its sum. With 4 x 128 they are the 528 compared."""

OPERAND_BITS = 9
"""Recalled: bits of an element of Q, K and V. A hash of 64 bits weighs 1/9 of a row of 64."""

BIAS_QUANTILE = 0.8
"""Recalled: share of pairs of which the corrected angle is no larger than the true one."""

BIAS_64 = 0.127
"""Recalled: that correction for 64 bits; a test finds it anew from random vectors, within 0.004."""

FACTOR, FACTORS = 4, 3
"""Recalled: a projection of 64 is the Kronecker product of three orthogonal 4 x 4 matrices."""

HASH_PRODUCTS = FACTORS * FACTOR * LANES
"""Derived: multiplications of a hash, a factor after the other: 768 in place of 64 x 64."""

SEED = 0
"""Assumed: of the projection, which the paper draws at random."""


@cache
def projection(seed: int = SEED) -> np.ndarray:
    """An orthogonal matrix of :data:`LANES` rows: the Kronecker product of three small ones."""
    rng = np.random.default_rng(seed)
    found = np.ones((1, 1))
    for _ in range(FACTORS):
        found = np.kron(found, np.linalg.qr(rng.standard_normal((FACTOR, FACTOR)))[0])
    return found


def angle(q: np.ndarray, k: np.ndarray, seed: int = SEED) -> np.ndarray:
    """Angles (m, n) between two sets of vectors, as their hashes tell: pi by the share of bits that differ.

    Shorter vectors are filled with zeros, as heads narrower than the unit have to be.
    """
    signs = [np.where(v @ projection(seed)[:, :v.shape[1]].T >= 0, 1.0, -1.0) for v in (q, k)]
    return np.pi * (1 - signs[0] @ signs[1].T / LANES) / 2


@cache
def angle_bias(d: int) -> float:
    """What an angle of the hash is too large by at most in a share :data:`BIAS_QUANTILE` of pairs."""
    if d == LANES:
        return BIAS_64
    rng = np.random.default_rng(SEED)
    a, b = (rng.standard_normal((400, d)) for _ in range(2))
    cosine = a @ b.T / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    return float(np.quantile(angle(a, b) - np.arccos(cosine), BIAS_QUANTILE))


def threshold(q: np.ndarray, k: np.ndarray, p: float) -> float:
    """t of a layer: the mean over its queries of the least score that matters, over ||q|| max ||k||.

    A score matters where its softmax is above p / n. Recalled; the paper learns t from training data, the
    layer that is priced stands for them here. 1 where no score of the layer matters.
    """
    least = []
    for queries, keys in zip(q, k):
        scores = queries @ keys.T
        weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / np.sqrt(q.shape[2]))
        weights /= weights.sum(axis=1, keepdims=True)
        largest = np.linalg.norm(queries, axis=1, keepdims=True) * np.linalg.norm(keys, axis=1).max()
        ratio = np.divide(scores, largest, out=np.zeros_like(scores), where=largest > 0)
        found = np.where(weights > p / len(keys), ratio, np.inf).min(axis=1)
        least.append(found[np.isfinite(found)])
    found = np.concatenate(least)
    return float(found.mean()) if len(found) else 1.0


def candidates(q: np.ndarray, k: np.ndarray, p: float) -> np.ndarray:
    """Which keys each query looks at, (heads, m, n): ||k|| cos(angle) above t max ||k||.

    A query without any takes the one that seems most similar; what the paper does then is assumed.
    """
    t, bias = threshold(q, k, p), angle_bias(q.shape[2])
    found = []
    for queries, keys in zip(q, k):
        norms = np.linalg.norm(keys, axis=1)
        similar = norms * np.cos(np.maximum(0, angle(queries, keys) - bias))
        best = similar.max(axis=1, keepdims=True)
        found.append((similar > t * norms.max()) | (similar == best) & (best <= t * norms.max()))
    return np.stack(found)


@lru_cache(maxsize=4)
def _chosen(layer: Layer, p: float) -> np.ndarray:
    """Candidates of a layer, found once for all that is asked of it."""
    return candidates(*layer.operands(f"ELSA, p = {p:g},"), p)


def linears_on_gpu(layer: Layer) -> float:
    """Cycles at 1 GHz in which a V100 does the linears of a layer, for each of 12 units beside it.

    Derived: CTA's share of the ideal latency, times its speedup over 12 ELSA-Aggressive and a V100, is
    7.49 ideal latencies at each of the three points. The least cycles of ELSA are taken off; other
    shapes go by their multiplications. n = 512 and d = 64 are assumed, the paper tells averages alone.
    """
    reference = Layer(n=512)
    system = np.mean([OF_IDEAL[point] * OVER_ELSA[point] for point in OF_IDEAL])
    alone = system * ideal_cycles(CTAConfig(), 512) - ELSA().least(reference)
    return float(alone * linear_products(layer) / linear_products(reference))


@dataclass(frozen=True)
class ELSA(Chooser, Unpriced):
    """One unit. ``p`` is how much a score has to matter, None for all keys; larger is more aggressive.

    ``gpu``: linears on a V100 shared by twelve units, as the CTA paper compares (Sec. VI-C).
    """

    p: float | None = None
    gpu: bool = False
    source: str = "ELSA, ISCA 2021; CTA, HPCA 2023, Sec. VI-C"

    AREA: ClassVar[Area] = Area(2.150, "40 nm")
    """Derived: twelve ELSA have the area of twelve CTA (Sec. VI-C, Methodology), 2.150 mm2 each."""

    @property
    def name(self) -> str:
        """How much is approximated, and who does the linears."""
        return ("ELSA, all keys" if self.p is None else f"ELSA, p = {self.p:g}") + " + V100" * self.gpu

    @property
    def multipliers(self) -> int:
        """Those of scores, outputs and divisions: 528."""
        return MODULES * 2 * LANES + DIVIDERS

    @property
    def has_linears(self) -> bool:
        """Only with the GPU."""
        return self.gpu

    def chosen(self, layer: Layer) -> np.ndarray:
        """Which keys each query looks at, (heads, m, n)."""
        if self.p is None:
            return np.ones((layer.heads, layer.queries, layer.n), bool)
        return _chosen(layer, self.p)

    def _fits(self, layer: Layer) -> None:
        if layer.d > LANES:
            raise InputError(f"ELSA takes heads of at most {LANES}, and the layer has d = {layer.d}")

    def _pace(self, layer: Layer) -> tuple[int, int]:
        """Cycles of a key before the first query, and the least of a query."""
        hashing = -(-HASH_PRODUCTS // HASH_MULTIPLIERS)
        selecting = -(-layer.n // (MODULES * SELECTORS))
        return hashing, max(selecting, hashing, -(-layer.d // DIVIDERS))

    def least(self, layer: Layer) -> int:
        """Cycles if hardly any key were chosen."""
        hashing, pace = self._pace(layer)
        return layer.heads * (hashing * layer.n + pace * layer.queries)

    def cycles(self, workload: Layer) -> int:
        """Keys are hashed one by one; then each query takes as long as its slowest part.

        Parts work on following queries at the same time: selection, the fullest bank of candidates at
        one a cycle, the hash of the next query, division. Key j lies in bank j mod 4.
        """
        self._fits(workload)
        hashing, pace = self._pace(workload)
        queries = sum(np.maximum(pace, interleaved(head, MODULES)).sum() for head in self.chosen(workload))
        own = workload.heads * hashing * workload.n + int(queries)
        return own + round(linears_on_gpu(workload)) if self.gpu else own

    def pairs(self, layer: Layer) -> int:
        """Chosen keys of all queries."""
        return int(self.chosen(layer).sum())

    def accesses(self, layer: Layer) -> dict[str, float]:
        """Keys once to be hashed, hashes for every query, keys and values that were chosen.

        What the GPU moves is not in.
        """
        bits = LANES / (OPERAND_BITS * layer.d)
        pairs = self.pairs(layer)
        return {"keys": layer.heads * layer.n + pairs, "values": pairs,
                "hashes": bits * layer.heads * (layer.n + layer.queries * layer.n),
                "queries": layer.heads * layer.queries, "outputs": layer.heads * layer.queries}

    def multiplications(self, layer: Layer) -> dict[str, int]:
        """Hashes and norms, a product of norm and cosine a pair, scores and outputs of what was chosen."""
        heads, m, n, d = layer.heads, layer.queries, layer.n, layer.d
        pairs = self.pairs(layer)
        return {"hashes": heads * ((m + n) * HASH_PRODUCTS + n * d), "selection": heads * m * n,
                "linears": linear_products(layer) if self.gpu else 0,
                "scores": pairs * d, "outputs": pairs * d + heads * m * d}
