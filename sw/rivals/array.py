"""The b x d array, our engine's and the CTA paper's alike: its row accesses and its multiplications."""

from dataclasses import dataclass
from typing import ClassVar

from model.cta.config import CTAConfig
from model.cta.cost import OperatingPoint, useful_macs
from sw.io.errors import InputError
from sw.rivals.fidelity import cluster_error
from sw.rivals.rival import Layer, Unpriced

__all__ = ["Array", "Clustered", "array_accesses", "scaled"]


@dataclass(frozen=True)
class Array(Unpriced):
    """An array of ``b`` columns of ``d`` PEs, d the dimension of the heads that it takes."""

    b: int = 8
    d: int = 64
    has_linears: bool = True

    @property
    def multipliers(self) -> int:
        """PEs of the array."""
        return self.b * self.d

    def config(self, layer: Layer) -> CTAConfig:
        """The engine that takes this layer."""
        if layer.d != self.d:
            raise InputError(f"the heads have d = {layer.d}, the array has d = {self.d}")
        return CTAConfig(b=self.b, d=self.d, dw=layer.width, n=max(2, layer.n, layer.queries))

    def multiplications(self, layer: Layer) -> dict[str, int]:
        """Of all heads, those that exact attention needs."""
        return self.products(layer, (layer.queries, layer.n, 0))

    def products(self, layer: Layer, clusters: tuple[int, int, int]) -> dict[str, int]:
        """Multiplications of all heads, by use; each head hashes its own tokens."""
        macs = useful_macs(self.config(layer), layer.n, *clusters, layer.queries)
        return {"hashes": layer.heads * macs["hash"],
                "linears": layer.heads * (macs["q"] + macs["k"] + macs["v"]),
                "scores": layer.heads * macs["score"], "outputs": layer.heads * macs["out"]}


@dataclass(frozen=True)
class Clustered(Array):
    """An array that works on ``clusters`` (k0, k1, k2), those of the layer if None.

    ``point`` is what they are called, ``FITTED`` tells whether hash directions are those of the head.
    """

    clusters: tuple[int, int, int] | None = None
    point: str = "CTA"

    FITTED: ClassVar[bool] = False
    """Read: hash directions are random (Sec. III-A)."""

    def counts(self, layer: Layer) -> tuple[int, int, int]:
        """k0, k1, k2; raises :class:`sw.io.errors.InputError` where nobody gives them."""
        found = self.clusters or layer.clusters
        if found is None:
            raise InputError(f"{self.name} needs cluster counts")
        return found

    def multiplications(self, layer: Layer) -> dict[str, int]:
        """Hashes of the tokens; linears, scores and outputs of the centroids."""
        return self.products(layer, self.counts(layer))

    def error(self, layer: Layer) -> float | None:
        """Of hash functions calibrated to these counts; see :func:`sw.rivals.fidelity.cluster_error`."""
        return cluster_error(layer, self.counts(layer), self.FITTED)


def scaled(point: OperatingPoint, layer: Layer) -> tuple[int, int, int]:
    """Clusters of a point for the tokens of a layer, as many a token as it has; at least one each."""
    rows = (layer.queries, layer.n, layer.n)
    return tuple(max(1, round(share * count)) for share, count in zip(point.fractions, rows))


def array_accesses(cfg: CTAConfig, m: int, n: int, k0: int, k1: int, k2: int) -> dict[str, int]:
    """Rows of d operands that a head reads and writes under the program of Table I.

    k2 = 0 is exact attention, without hashing and centroids. Tokens are read once to be hashed and once
    to be accumulated; residual tokens need their centroid both times. Whether consecutive tokens of a
    cluster save the accumulator a read and a write depends on the tokens and is not counted: the
    figure is the most. K and V of a batch share the load of its centroids (Sec. V-B). Cluster
    tables, scores and probabilities move in buffers of other widths and are not in.
    """
    slices, b, d, k = cfg.slices, cfg.b, cfg.d, k1 + k2
    key_batches, query_batches = -(-k // b), -(-k0 // b)
    moved = {"tokens": 0, "directions": 0, "centroids": (k + k0) * slices}
    if k2:
        tokens = (2 * n + m) * slices
        moved |= {"tokens": 2 * tokens, "directions": cfg.l * slices,
                  "centroids": (k + k0) * slices      # loaded for K and V, for Q
                  + 2 * n * slices                    # subtracted from tokens, twice
                  + 2 * tokens                        # accumulated: read and written
                  + 2 * (k + k0) * slices}            # averaged: read and written
    return moved | {"weights": (2 * key_batches + query_batches) * d * slices,
                    "keys": k + k * query_batches, "values": k + k * query_batches, "outputs": k0}

