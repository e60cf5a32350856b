"""Tables of the LookupFFN paper (Zeng et al., ICML 2023) that follow from shapes alone.

Read: every number of the paper below.
"""

from model.lookup.config import LookupConfig
from model.lookup.cost import account, vanilla_flop
from sw.io.plot import BLUE, GREY
from sw.reproduce.figure import Entry, Figure

__all__ = ["flop", "sizes"]

TOTALS = ((1, 256, 8, 512, 1.38), (1, 128, 8, 512, 0.69), (2, 170, 9, 768, 1.39), (3, 32, 8, 512, 0.31),
          (3, 64, 8, 512, 0.35), (4, 256, 4, 512, 0.82))
"""Table, h, τ, d, MFLOP a token."""

HASHES = (("dense", 128, 8, {"projection": "dense"}, 1.05), ("BH4, block 64", 128, 8, {"block": 64}, 0.56),
          ("BH4, block 32", 128, 8, {"block": 32}, 0.30), ("BH4, block 16", 128, 8, {"block": 16}, 0.17))
"""Table 3: the projection, h, τ, parameters, MFLOP a token of it alone."""

SMALLEST = (32, 8, 512, 16)
"""h, τ, d and MiB of the smallest tables of Table 3: "16MB and more"."""


def flop() -> Figure:
    """FLOP a token of all layers of Tables 1 to 4."""
    entries = [Entry(f"MFLOP, vanilla, d {d}", paper, vanilla_flop(d) / 1e6, ".3g")
               for d, paper in ((512, 4.19), (768, 9.44))]
    entries += [Entry(f"MFLOP, Table {table}, h {h}, τ {tau}, d {d}", paper,
                      account(LookupConfig(d=d, h=h, tau=tau, block=64)).flop / 1e6)
                for table, h, tau, d, paper in TOTALS]
    entries += [Entry(f"MFLOP of the projection, Table 3, {name}", paper,
                      account(LookupConfig(h=h, tau=tau, **more)).hash_flop / 1e6)
                for name, h, tau, more, paper in HASHES]

    def draw(axes):
        places = range(len(entries))
        axes.barh([place - 0.2 for place in places], [each.paper for each in entries], 0.4, color=GREY,
                  label="paper")
        axes.barh([place + 0.2 for place in places], [each.here for each in entries], 0.4, color=BLUE,
                  label="here")
        axes.set_yticks(list(places), [each.what.removeprefix("MFLOP").strip(" ,") for each in entries],
                        fontsize=7)
        axes.invert_yaxis()
        axes.set_xlabel("MFLOP a token")
        axes.legend()
    return Figure("flop", "LookupFFN, Tables 1 to 4: FLOP a token", tuple(entries),
                  "Shapes are the paper's, blocks of 64 where none is printed. The formula counts what the "
                  "paper "
                  "counts: a transform n log2 n additions, a product two, all else nothing.",
                  "It holds to all digits that are printed.", "hashlayer reproduce flop", draw)


def sizes() -> Figure:
    """Sizes of tables."""
    h, tau, d, mib = SMALLEST
    cost = account(LookupConfig(d=d, h=h, tau=tau))
    entries = (Entry(f"MiB in single precision, h {h}, τ {tau}, d {d}", mib, cost.fp32_bytes / (1 << 20)),
               Entry("MiB as the engine keeps them", None, cost.stored_bytes / (1 << 20)))
    return Figure("sizes", "LookupFFN, sizes of tables", entries, "The engine keeps entries of 8 bits.",
                  "It holds.", f"hashlayer accounting --h {h} --tau {tau} --block 64")
