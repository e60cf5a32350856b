"""Our engine with compressed tokens, by its exact cycle model: what the rivals are held against."""

from dataclasses import dataclass, replace
from typing import ClassVar

from model.cta.accelerator import CTAAccelerator
from sw.rivals.array import Clustered, array_accesses
from sw.rivals.rival import Layer

__all__ = ["Compressed"]


@dataclass(frozen=True)
class Compressed(Clustered):
    """The CTA engine of ``b`` columns; heads after the first take its clusters.

    Each clustering may have directions of its own here, and the error is that of fitted ones.
    """

    source: str = "model.cta.cycles, equal to the RTL"

    FITTED: ClassVar[bool] = True
    """Derived: fitted directions are at least as good on real heads (docs/results.md)."""

    @property
    def name(self) -> str:
        """The operating point."""
        return f"this engine, {self.point}"

    def cycles(self, workload: Layer) -> int:
        """The first head, and the others on its clusters."""
        return CTAAccelerator(self.config(workload)).cycles(
            replace(workload, clusters=self.counts(workload)))

    def accesses(self, layer: Layer) -> dict[str, int]:
        """See :func:`sw.rivals.array.array_accesses`; clusters are found once."""
        cfg, counts = self.config(layer), self.counts(layer)
        first = array_accesses(cfg, layer.queries, layer.n, *counts)
        other = first | {"tokens": 0, "directions": 0, "centroids": sum(counts) * cfg.slices}
        return {what: first[what] + (layer.heads - 1) * other[what] for what in first}

    def multiplications(self, layer: Layer) -> dict[str, int]:
        """As of all arrays, but hashes are taken once."""
        found = super().multiplications(layer)
        return found | {"hashes": found["hashes"] // layer.heads}
