"""Area and memory accesses of the CTA paper: Figs. 15 and 16."""

from model.area import gates
from model.cta.area import area, terms
from model.cta.config import CTAConfig
from model.cta.cost import OPERATING_POINTS
from model.technology import costs
from sw.io.plot import BLUE, GREEN, GREY, ORANGE
from sw.io.shipped import HEAD
from sw.reproduce.figure import Entry, Figure
from sw.rivals.array import scaled
from sw.rivals.elsa import ELSA
from sw.rivals.operands import read_layer
from sw.rivals.published import PublishedCTA

__all__ = ["fig15", "fig16"]

CHIP, ARRAY = 2.150, 0.746
"""Read: mm² of a unit in SMIC 40 nm, and the share of the array (Sec. VI-D, Fig. 15)."""

LENGTHS = (128, 256, 384, 512)
"""Read: Fig. 16 goes from 128 to 512 tokens."""


def fig15() -> Figure:
    """Area of the array, of all else in logic, and of memories."""
    cfg, technology = CTAConfig(), "40nm"
    whole = 1e-6 * area(cfg, technology)
    blocks = gates("cta", terms(cfg))
    gate = 1e-6 * costs(technology).gate
    array, logic = gate * blocks["pe"], gate * sum(blocks.values())
    parts = {"array": array, "other logic": logic - array, "memories": whole - logic}
    entries = (Entry("mm² of a unit", CHIP, whole), Entry("mm² of the array", CHIP * ARRAY, array),
               Entry("share of the array", ARRAY, array / whole),
               Entry("mm² of all else", CHIP * (1 - ARRAY), whole - array),
               *(Entry(f"mm² of {name}", None, parts[name]) for name in ("other logic", "memories")))

    def draw(axes):
        axes.bar(["paper", "here"], [CHIP * ARRAY, array], color=BLUE, label="array")
        axes.bar(["paper"], [CHIP * (1 - ARRAY)], bottom=[CHIP * ARRAY], color=GREY, label="all else")
        axes.bar(["here"], [parts["other logic"]], bottom=[array], color=ORANGE, label="other logic")
        axes.bar(["here"], [parts["memories"]], bottom=[logic], color=GREEN, label="memories")
        axes.set_ylabel("mm², 40 nm")
        axes.legend()
    return Figure("fig15", "CTA, Fig. 15: area", entries,
                  "The paper's is SMIC 40 nm at 1 GHz; here gates before layout, sky130 scaled to 40 nm, "
                  "by the "
                  "model of area, and memories by a fit. The paper does not say how large its memories "
                  "are; ours "
                  "hold exact mode on 512 tokens as well.",
                  "It does not hold: the array, before layout, is six tenths of the paper's, and all else "
                  "nearly "
                  "four times as large, most of it memories.",
                  "hashlayer synth cta --technology 40nm", draw)


def fig16() -> Figure:
    """Row accesses by those of ELSA without loss, against the length of a sequence."""
    lines: dict[str, list[float]] = {point.name: [] for point in OPERATING_POINTS}
    for n in LENGTHS:
        layer = read_layer(HEAD, n)
        elsa = sum(ELSA(1).accesses(layer).values())
        for point in OPERATING_POINTS:
            cta = PublishedCTA(clusters=scaled(point, layer), point=point.name)
            lines[point.name].append(sum(cta.accesses(layer).values()) / elsa)
    entries = tuple(Entry(f"row accesses by those of ELSA (p = 1), {name}, n = {n}", None, value)
                    for name, line in lines.items() for n, value in zip(LENGTHS, line))

    def draw(axes):
        for (name, line), colour in zip(lines.items(), (BLUE, ORANGE, GREEN)):
            axes.plot(LENGTHS, line, "o-", label=name, color=colour)
        axes.set_xlabel("tokens")
        axes.set_ylabel("row accesses by those of ELSA, p = 1")
        axes.set_ylim(bottom=0)
        axes.legend()
    return Figure("fig16", "CTA, Fig. 16: memory accesses", entries,
                  "The paper's bars have no numbers. ELSA chooses its candidates on the queries and keys "
                  "of the "
                  "head that ships; its structure is recalled, as its paper was not at hand. The linears "
                  "that it "
                  "leaves to a GPU are not in its accesses.",
                  "It holds: fewer accesses at each length, and the fewer the longer the sequence.",
                  "hashlayer rivals --n 512", draw)
