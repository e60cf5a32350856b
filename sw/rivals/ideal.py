"""The ideal array: exact attention, every multiplier busy in every cycle."""

from dataclasses import dataclass

from sw.rivals.rival import ExactAttention, Layer, Unpriced, linear_products

__all__ = ["Ideal"]


@dataclass(frozen=True)
class Ideal(ExactAttention, Unpriced):
    """As many multipliers as the CTA array has PEs, at peak throughput, without any approximation.

    The "ideal accelerator" of the CTA paper (Sec. VI-C). Its accesses are a lower bound as well: each
    token, each weight and each output once, all between them kept inside. Multipliers of
    post-processing, eight more in the CTA array, are not counted.
    """

    multipliers: int = 512
    name: str = "ideal"
    source: str = "CTA, HPCA 2023, Sec. VI-C"
    has_linears: bool = True

    def cycles(self, workload: Layer) -> int:
        """Multiplications by multipliers, rounded up."""
        return -(-sum(self.multiplications(workload).values()) // self.multipliers)

    def accesses(self, layer: Layer) -> dict[str, float]:
        """Every operand and every result once."""
        own = layer.queries if layer.m is not None else 0
        tokens = (layer.n + own) * (layer.width // layer.d)
        return {"tokens": tokens, "weights": layer.heads * 3 * layer.width,
                "outputs": layer.heads * layer.queries}

    def multiplications(self, layer: Layer) -> dict[str, int]:
        """Linears, scores and outputs of exact attention."""
        pairs = layer.heads * layer.queries * layer.n * layer.d
        return {"linears": linear_products(layer), "scores": pairs, "outputs": pairs}
