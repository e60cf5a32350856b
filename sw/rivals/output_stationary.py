"""An output-stationary systolic array: what a plain matrix engine of equal size makes of attention."""

from dataclasses import dataclass

from sw.rivals.rival import ExactAttention, Layer, Unpriced

__all__ = ["Gemm", "OutputStationary"]


@dataclass(frozen=True)
class Gemm:
    """A product of (rows, depth) and (depth, columns)."""

    rows: int
    depth: int
    columns: int


@dataclass(frozen=True)
class OutputStationary(ExactAttention, Unpriced):
    """R x C PEs, each of which keeps one element of the result until it is complete.

    A tile of R x C results takes depth cycles, and operands enter skewed from two sides and results
    leave by the columns: 2R + C + depth - 2 cycles. This is the formula of SCALE-Sim (Samajdar et al.,
    ISPASS 2020), recalled; a test finds it anew by simulating the array. ``overlapped`` holds results in a
    second register while they leave, so that tiles follow each other without a gap: assumed, and kinder.

    Assumed as well: a PE is as large as one of the CTA array, so that equal area is an equal number;
    softmax works in the shadow of the products; every intermediate matrix passes through a memory.
    """

    rows: int = 16
    columns: int = 32
    overlapped: bool = False
    source: str = "SCALE-Sim, ISPASS 2020"
    has_linears: bool = True

    @property
    def name(self) -> str:
        """The shape."""
        return f"output-stationary {self.rows} x {self.columns}" + ", overlapped" * self.overlapped

    @property
    def multipliers(self) -> int:
        """PEs."""
        return self.rows * self.columns

    @staticmethod
    def gemms(layer: Layer) -> dict[str, list[Gemm]]:
        """The products of one head."""
        m, n, d, dw = layer.queries, layer.n, layer.d, layer.width
        return {"linears": [Gemm(rows, dw, d) for rows in (m, n, n)],
                "scores": [Gemm(m, d, n)], "outputs": [Gemm(m, n, d)]}

    def tiles(self, gemm: Gemm) -> int:
        """Tiles of the result."""
        return -(-gemm.rows // self.rows) * -(-gemm.columns // self.columns)

    def gemm_cycles(self, gemm: Gemm) -> int:
        """Cycles of one product."""
        edges = 2 * self.rows + self.columns - 2
        if self.overlapped:
            # A second register gives up its R rows before the next tile fills it.
            return self.tiles(gemm) * max(gemm.depth, self.rows) + edges
        return self.tiles(gemm) * (gemm.depth + edges)

    def cycles(self, workload: Layer) -> int:
        """All products of all heads, one after the other."""
        return workload.heads * sum(self.gemm_cycles(gemm) for of in self.gemms(workload).values()
                                    for gemm in of)

    def accesses(self, layer: Layer) -> dict[str, float]:
        """A row of tiles reads the right operand anew, a column of tiles the left; results once."""
        moved = {}
        for use, gemms in self.gemms(layer).items():
            words = sum(g.rows * g.depth * -(-g.columns // self.columns)
                        + g.depth * g.columns * -(-g.rows // self.rows)
                        + g.rows * g.columns for g in gemms)
            moved[use] = layer.heads * words / layer.d
        return moved

    def multiplications(self, layer: Layer) -> dict[str, int]:
        """Those of exact attention."""
        return {use: layer.heads * sum(g.rows * g.depth * g.columns for g in gemms)
                for use, gemms in self.gemms(layer).items()}
