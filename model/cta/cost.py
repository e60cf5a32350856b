"""What a head costs by the paper's count: the share of exact attention, cycles of Table I, multiplications.

The formula prices the schedule of Table I step by step, with ideal overlap and without the
latencies of real blocks; the exact count of this engine is in ``model.cta.cycles``.
"""

from dataclasses import dataclass

from model.cta.config import CTAConfig

__all__ = ["OPERATING_POINTS", "POINT_TOKENS", "OperatingPoint", "linear_ratio", "attention_ratio",
           "table1_cycles", "ideal_cycles", "useful_macs"]

POINT_TOKENS = 512
"""Tokens of the sequence to which the cluster counts of the operating points belong."""


def linear_ratio(m, n, k0, k):
    """RL: rows that the linears work on, of those that exact attention has (k = k1 + k2).

    Numbers, or arrays and tensors of one shape.
    """
    return (k0 + 2 * k) / (m + 2 * n)


def attention_ratio(m, n, k0, k):
    """RA: query-key pairs left, of those that exact attention has."""
    return k0 * k / (m * n)


@dataclass(frozen=True)
class OperatingPoint:
    """Cluster counts at :data:`POINT_TOKENS` to which the paper's average RL and RA resolve.

    The paper gives k = k1 + k2; 0.9 of it is level 1 here.
    """

    name: str
    k0: int
    k1: int
    k2: int

    @property
    def k(self) -> int:
        return self.k1 + self.k2

    @property
    def fractions(self) -> tuple[float, float, float]:
        """Clusters a token: k0, k1, k2."""
        return self.k0 / POINT_TOKENS, self.k1 / POINT_TOKENS, self.k2 / POINT_TOKENS


OPERATING_POINTS = (OperatingPoint("CTA-0", 322, 258, 29),
                    OperatingPoint("CTA-0.5", 272, 239, 26),
                    OperatingPoint("CTA-1", 200, 217, 24))


def table1_cycles(cfg: CTAConfig, n: int, k0: int, k1: int, k2: int, m: int | None = None,
                  load: int | None = None, exact: bool = False) -> int:
    """Cycles of Table I. ``load`` is what filling the value registers costs, b by default. ``exact``:
    the same steps without any clustering, for k0 = m and k1 = n.

    Hashing takes n cycles a clustering; K and V each d a batch of b centroids; Q d, scores 1 + k
    and outputs k a batch of b queries. PAG takes n/2 a batch, in the shadow of the next batch.

    The paper has one slice (dw = d) and l no more than b. With T slices hashing, linears and their
    loads take T times as long; A, of which the array then holds a slice at a time, is loaded in
    front of each. That CAG has T times as much to do is not counted, in favour of the paper.
    """
    m = n if m is None else m
    u, d, b, k, T = cfg.b if load is None else load, cfg.d, cfg.b, k1 + k2, cfg.slices
    key_batches, query_batches, pairs = -(-k // b), -(-k0 // b), -(-n // 2)
    loads = 1 if T == 1 else 3 * T
    hashing = 0 if exact else loads * u + T * (2 * n + m) + (d + b) + k2
    keys = key_batches * T * (u + 2 * d)
    queries = query_batches * (T * (u + d) + 1 + 2 * k)
    waiting = (query_batches - 1) * max(0, pairs - (T * (u + d) + 1 + k))
    return hashing + keys + queries + waiting + pairs + 2 * d + b


def ideal_cycles(cfg: CTAConfig, n: int, m: int | None = None) -> float:
    """Exact attention with every multiplier busy in every cycle: no schedule can beat it."""
    return sum(useful_macs(cfg, n, m or n, n, 0, m).values()) / (cfg.b * cfg.d)


def useful_macs(cfg: CTAConfig, n: int, k0: int, k1: int, k2: int, m: int | None = None) -> dict:
    """Multiplications that enter a result, by use of the array; k2 = 0 is exact attention."""
    m, k = n if m is None else m, k1 + k2
    hashing = (2 * n + m) * cfg.l * cfg.dw if k2 else 0
    return {"hash": hashing, "k": k * cfg.dw * cfg.d, "v": k * cfg.dw * cfg.d,
            "q": k0 * cfg.dw * cfg.d, "score": k0 * k * cfg.d, "out": k0 * k * cfg.d}
