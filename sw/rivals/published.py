"""CTA as it is published: the program of Table I summed step by step, without latencies of blocks."""

from dataclasses import dataclass
from typing import ClassVar

from model.cta.cost import table1_cycles
from sw.io.errors import InputError
from sw.rivals.array import Clustered, array_accesses
from sw.rivals.rival import Area, Layer

__all__ = ["ACCELERATORS", "GPU_SPEEDUP", "OF_IDEAL", "OVER_ELSA", "PublishedCTA"]

OF_IDEAL = {"CTA-0": 0.41, "CTA-0.5": 0.34, "CTA-1": 0.26}
"""Read: latency by that of the ideal accelerator, average of all testcases (Sec. VI-C, Latency)."""

GPU_SPEEDUP = {"CTA-0": 27.7, "CTA-0.5": 33.8, "CTA-1": 44.2}
"""Read: throughput of 12 units by that of a V100, geometric mean (Sec. VI-C, Throughput)."""

OVER_ELSA = {"CTA-0": 18.3, "CTA-0.5": 22.1, "CTA-1": 28.7}
"""Read: the same over 12 ELSA-Aggressive and a V100 that does the linears (Sec. VI-C, Throughput)."""

ACCELERATORS = 12
"""Read: units that are compared with one GPU, of CTA and of ELSA alike (Sec. VI-C, Methodology)."""


@dataclass(frozen=True)
class PublishedCTA(Clustered):
    """The paper's simulator sums the steps of Table I; so does ``model.cta.cost.table1_cycles``.

    The paper has one head a run, so each head hashes its own tokens.
    """

    source: str = "CTA, HPCA 2023, Table I"

    AREA: ClassVar[Area] = Area(2.150, "40 nm")
    """Read: one unit with its memories, SMIC 40 nm (Sec. VI-D, Area); 74.6% of it is the array."""

    @property
    def name(self) -> str:
        """The operating point."""
        return f"{self.point} as published"

    def cycles(self, workload: Layer) -> int:
        """Steps of Table I; raises :class:`sw.io.errors.InputError` for tokens that it has no row for."""
        if workload.width != workload.d:
            raise InputError(f"Table I is for dw = d, and the layer has dw {workload.width}, d {workload.d}")
        return workload.heads * table1_cycles(self.config(workload), workload.n,
                                              *self.counts(workload), workload.queries)

    def accesses(self, layer: Layer) -> dict[str, int]:
        """See :func:`sw.rivals.array.array_accesses`."""
        one = array_accesses(self.config(layer), layer.queries, layer.n, *self.counts(layer))
        return {what: layer.heads * rows for what, rows in one.items()}
