"""Where the kernels of LookupFFN stand below what the machine can do: shares of its peaks, and a picture.

What a kernel does is counted from the sizes: operations of the block products, of the Hadamard transforms
and of the gather. What must come from memory is what is read at least once: the rows that some token of a
batch takes, as many as uniform codes give on average, the weights of the projection, x and y. Peaks are
measured (:mod:`sw.kernels.peaks`).
"""

from dataclasses import dataclass
from importlib.util import find_spec

from model.lookup.config import LookupConfig
from sw.io.errors import InputError
from sw.io.tables import heading, line
from sw.kernels.peaks import SETS, Peaks

__all__ = ["ENTRY", "Work", "draw", "require_picture", "shares", "show", "work"]

ENTRY = {"kernel fp32": 4, "kernel bf16": 2, "kernel int8": 1, "integers": 1}
"""Bytes of an entry of the tables."""

COLUMNS = (("tokens", 7), ("kernel", 12), ("hash G/s", 8), ("of peak", 7), ("gather GB/s", 11), ("of L1", 6),
           ("of L2", 6), ("memory GB/s", 11), ("of rows", 7), ("of memory", 9))


@dataclass(frozen=True)
class Work:
    """Of one call: ``products`` multiply-adds and ``additions`` of the projection, ``sums`` multiply-adds of
    the gather; ``gathered`` bytes of rows that it reads, ``memory`` bytes of those that are different rows,
    ``others`` bytes of weights, x and y."""

    products: int
    additions: int
    sums: int
    gathered: int
    memory: float
    others: int

    @property
    def operations(self) -> int:
        """All, a multiply-add being two."""
        return 2 * (self.products + self.sums) + self.additions


def work(cfg: LookupConfig, tokens: int, variant: str) -> Work:
    """What one of :data:`ENTRY` does with so many tokens, in one batch: the kernels read their tables
    once for each 8,192 (integers: 2,048)."""
    entries = cfg.h * (1 + cfg.tau if cfg.neighbours else 1)
    if cfg.projection == "dense":
        weights, levels = cfg.d * cfg.h * cfg.tau, 0
    else:
        weights, levels = 4 * cfg.copies * cfg.n * cfg.block, cfg.n.bit_length() - 1
    if variant != "integers":                # the levels within a block are folded into its weights
        levels = max(0, levels - cfg.block.bit_length() + 1)
    row, word = cfg.d * ENTRY[variant], 2 if variant == "integers" else 4
    read = tokens * entries / cfg.h         # of a table, at uniform codes
    different = cfg.h * 2**cfg.tau * (1 - (1 - 2.0**-cfg.tau) ** read)
    additions = 4 * cfg.copies * cfg.n * levels if levels else 0
    return Work(tokens * weights, tokens * additions, tokens * entries * cfg.d, tokens * entries * row,
                different * row, weights * word + tokens * cfg.d * (word + 4))


def shares(cfg: LookupConfig, row: dict, peaks: Peaks) -> dict[str, float]:
    """Rates of a row of :func:`sw.studies.bench.cpu.measure` and their shares of the peaks.

    ``hash_rate`` : multiply-adds of block products a second, while projecting and hashing, and ``hash_share``
    of what the machine has of that kind; ``gather_rate`` : bytes of rows a second, while gathering, and its
    shares of the two first levels; ``memory_rate`` : bytes of different rows a second, and its shares of
    rows read at random and of memory read in order. Times are process time of one thread.
    """
    done, variant = work(cfg, row["tokens"], row["variant"]), row["variant"]
    rate = done.products / row["seconds_hash"]
    gather, memory = (value / row["seconds_gather"] for value in (done.gathered, done.memory))
    return {"hash_rate": rate, "hash_share": rate / (peaks.words if variant == "integers" else peaks.floats),
            "gather_rate": gather, "gather_share_l1": gather / peaks.reads["L1"],
            "gather_share_l2": gather / peaks.reads["L2"], "memory_rate": memory,
            "memory_share_rows": memory / peaks.rows, "memory_share": memory / peaks.reads["memory"]}


def _kernels(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["variant"] in ENTRY and row["threads"] == 1]


def show(cfg: LookupConfig, rows: list[dict], peaks: Peaks) -> None:
    """Print the peaks, and a line for each kernel of one thread."""
    sizes = ", ".join(f"{name} {peaks.reads[name] / 1e9:,.0f}" for name in SETS)
    print(f"\none core of this machine: {2 * peaks.floats / 1e9:,.0f} GFLOP/s in single precision, "
          f"{peaks.words / 1e9:,.0f} G multiply-adds of 16-bit words a second\nreads in GB/s: {sizes}, "
          f"rows of 128 bytes at random {peaks.rows / 1e9:,.0f}\n\nd {cfg.d}, h {cfg.h}, tau {cfg.tau}")
    print(heading(COLUMNS))
    for row in _kernels(rows):
        found = shares(cfg, row, peaks)
        print(line(COLUMNS, [
            f"{row['tokens']:,}", row["variant"], f"{found['hash_rate'] / 1e9:.1f}",
            f"{found['hash_share']:.2f}", f"{found['gather_rate'] / 1e9:.1f}",
            f"{found['gather_share_l1']:.2f}", f"{found['gather_share_l2']:.2f}",
            f"{found['memory_rate'] / 1e9:.1f}", f"{found['memory_share_rows']:.2f}",
            f"{found['memory_share']:.2f}"]))
    print("\nhash G/s: multiply-adds of the block products, over the time of all of projection and hash\n"
          "gather GB/s: bytes of rows that it reads; memory GB/s: of different rows, were codes uniform")


def require_picture() -> None:
    """Raises InputError in one line where no picture can be drawn: better before minutes of measurement."""
    if find_spec("matplotlib") is None:
        raise InputError("the roofline needs matplotlib, which `make setup` installs (extra plot)")


def draw(cfg: LookupConfig, rows: list[dict], peaks: Peaks, path) -> None:
    """The roofline as PNG: operations a second over operations a byte from memory, points by tokens."""
    import numpy as np

    from sw.io import plot
    figure, axes = plot.pyplot().subplots(figsize=(8, 4.8))
    x = np.geomspace(0.25, 512, 200)
    for name, colour in zip(("memory", "L3", "L2"), (plot.GREY, plot.SKY, plot.BLUE), strict=True):
        roof = np.minimum(x * peaks.reads[name], 2 * peaks.floats)
        axes.plot(x, roof / 1e9, color=colour, lw=1.5, label=f"{name}, {peaks.reads[name] / 1e9:.0f} GB/s")
    for peak, colour, name in ((peaks.words, plot.ORANGE, "products of 16-bit words"),
                               (peaks.floats, plot.DARK, "products in single precision")):
        axes.axhline(2 * peak / 1e9, color=colour, lw=1, ls="--", label=name)
    for variant, colour in (("kernel fp32", plot.DARK), ("integers", plot.ORANGE)):
        mine = [row for row in _kernels(rows) if row["variant"] == variant]
        done = [work(cfg, row["tokens"], variant) for row in mine]
        at = [one.operations / (one.memory + one.others) for one in done]
        speed = [one.operations / row["seconds_cpu"] / 1e9 for one, row in zip(done, mine, strict=True)]
        axes.plot(at, speed, "o-", color=colour, ms=4, lw=0.8, label=variant)
        for where, height, row in zip(at, speed, mine, strict=True):
            axes.annotate(f"{row['tokens']:,}", (where, height), (4, -9), textcoords="offset points",
                          fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel="operations a byte from memory",
             ylabel="G operations a second",
             title=f"LookupFFN on one core, d {cfg.d}, h {cfg.h}, tau {cfg.tau}; points: tokens of a call")
    axes.legend(fontsize=7, loc="lower right")
    plot.save(figure, path)
