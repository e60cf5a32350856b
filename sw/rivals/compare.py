"""All rivals on one layer, in rows."""

from dataclasses import dataclass

from model.accelerator import NotMeasured
from model.cta.cost import OPERATING_POINTS
from sw.io.errors import InputError
from sw.io.tables import heading, line
from sw.rivals.a3 import A3, AGGRESSIVE, CONSERVATIVE
from sw.rivals.array import scaled
from sw.rivals.compressed import Compressed
from sw.rivals.elsa import ELSA
from sw.rivals.exact import Exact
from sw.rivals.ideal import Ideal
from sw.rivals.leopard import LeOPArd
from sw.rivals.output_stationary import OutputStationary
from sw.rivals.published import PublishedCTA
from sw.rivals.rival import Layer, Rival, linear_products

__all__ = ["Row", "price", "rivals", "rows", "table"]

TECHNOLOGY = "40 nm"
"""Assumed: the technology of the column of areas, that of the CTA paper."""

COLUMNS = (("", 38), ("multipliers", 11), ("cycles", 10), ("linears", 9), ("of ideal", 8), ("error", 6),
           ("row accesses", 12), ("multiplications", 15), ("mm2", 6))


@dataclass(frozen=True)
class Row:
    """One rival on a layer; what it does not tell is None. ``why`` is the reason why it does not take the
    layer.

    ``of_ideal`` is multipliers by cycles, by the multiplications of exact attention. Linears that are
    done elsewhere are added as if the rival's own multipliers did them without a pause, which is kind to
    it. ``error`` is that of :meth:`sw.rivals.rival.Rival.error`.
    """

    name: str
    source: str
    multipliers: int
    linears: str
    cycles: int | None = None
    of_ideal: float | None = None
    error: float | None = None
    accesses: dict[str, float] | None = None
    multiplications: dict[str, float] | None = None
    area_mm2: float | None = None
    why: str | None = None


def rivals(layer: Layer, b: int = 8) -> list[Rival]:
    """One of each kind, and its approximations; clusters are those of the layer, else the three points."""
    d = layer.d
    points = ([(layer.clusters, "CTA")] if layer.clusters else
              [(scaled(point, layer), point.name) for point in OPERATING_POINTS])
    return [Ideal(b * d), Exact(b, d),
            *(Compressed(b, d, clusters=counts, point=name) for counts, name in points),
            *(PublishedCTA(b, d, clusters=counts, point=name) for counts, name in points),
            OutputStationary(2 * b, d // 2), OutputStationary(2 * b, d // 2, overlapped=True),
            ELSA(), ELSA(1), ELSA(4), ELSA(4, gpu=True),
            A3(), A3(CONSERVATIVE), A3(AGGRESSIVE), LeOPArd(None), LeOPArd()]


def price(rival: Rival, layer: Layer) -> Row:
    """What a rival says of a layer."""
    on_gpu = getattr(rival, "gpu", False)
    linears = "V100" if on_gpu else "own" if rival.has_linears else "elsewhere"
    about = (rival.name, rival.source, rival.multipliers, linears)
    try:
        cycles = rival.cycles(layer)
        accesses, products = rival.accesses(layer), rival.multiplications(layer)
        wrong = rival.error(layer)
    except InputError as error:
        return Row(*about, why=str(error))
    try:
        area = rival.area(TECHNOLOGY) / 1e6
    except NotMeasured:
        area = None
    slots = rival.multipliers * cycles + (0 if rival.has_linears else linear_products(layer))
    ideal = sum(Ideal().multiplications(layer).values())
    return Row(*about, cycles, None if on_gpu else slots / ideal, wrong, accesses, products, area)


def rows(layer: Layer, b: int = 8) -> list[Row]:
    """All rivals on a layer."""
    return [price(rival, layer) for rival in rivals(layer, b)]


def table(found: list[Row]) -> str:
    """The rows on a terminal, and what the columns mean."""
    lines = [heading(COLUMNS)]
    for row in found:
        if row.why is None:
            lines.append(line(COLUMNS, [
                row.name, row.multipliers, f"{row.cycles:,}", row.linears,
                "-" if row.of_ideal is None else f"{row.of_ideal:.3f}",
                "-" if row.error is None else f"{row.error:.3f}",
                f"{sum(row.accesses.values()):,.0f}", f"{sum(row.multiplications.values()):,.0f}",
                "-" if row.area_mm2 is None else f"{row.area_mm2:.2f}"]).rstrip())
    return "\n".join([*lines, "",
        "linears: who projects tokens to Q, K and V; elsewhere: another machine, not in the cycles",
        "of ideal: multipliers by cycles, by the multiplications of exact attention; linears done elsewhere",
        "          are added as if own multipliers did them without a pause",
        "error: of the outputs against exact attention, relative, in double precision, without fine-tuning;",
        "       this engine with fitted hash directions, CTA as published with random ones",
        "row accesses: reads and writes of rows of d operands; what a host writes and reads is not in",
        f"mm2: one unit in {TECHNOLOGY}, as published; ELSA's by the equal area that the CTA paper tells of",
        *(f"not in the table: {row.name}: {row.why}" for row in found if row.why is not None)])
