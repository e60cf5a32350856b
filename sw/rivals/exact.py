"""Our engine in exact mode: ordinary attention on the same array, by its exact cycle model."""

from dataclasses import dataclass, replace

from model.cta.accelerator import CTAAccelerator
from sw.rivals.array import Array, array_accesses
from sw.rivals.rival import ExactAttention, Layer

__all__ = ["Exact"]


@dataclass(frozen=True)
class Exact(ExactAttention, Array):
    """The CTA engine of ``b`` columns without compression.

    The cycles are those of ``model.cta.cycles``, which the RTL keeps to the cycle. ``hashlayer synth``
    measures its area.
    """

    name: str = "this engine, exact"
    source: str = "model.cta.cycles, equal to the RTL"

    def cycles(self, workload: Layer) -> int:
        """All heads, one after the other."""
        return CTAAccelerator(self.config(workload)).cycles(replace(workload, clusters=None))

    def accesses(self, layer: Layer) -> dict[str, int]:
        """See :func:`sw.rivals.array.array_accesses`."""
        one = array_accesses(self.config(layer), layer.queries, layer.n, layer.queries, layer.n, 0)
        return {what: layer.heads * rows for what, rows in one.items()}
