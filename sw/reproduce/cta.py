"""Figures of the CTA paper (Wang et al., HPCA 2023), by the models of this project.

Read: every number of the paper below; its figure or section is named beside it.
"""

from model.cta.config import CTAConfig
from model.cta.cost import OPERATING_POINTS, ideal_cycles, table1_cycles
from model.cta.cycles import HeadCycles, head_cycles
from model.cta.energy import job_pj, operations
from model.cta.job import Mode
from sw.io.plot import BLUE, GREEN, GREY, ORANGE, RED, SKY
from sw.reproduce.figure import Entry, Figure
from sw.rivals.published import ACCELERATORS, GPU_SPEEDUP, OF_IDEAL

__all__ = ["fig12_latency", "fig12_throughput", "fig13", "fig14", "table1"]

N = 512
SHARES = {"attention": 0.59, "linear": 0.34, "compression": 0.07}
"""Read: latency by step (Fig. 12). Assumed: that it is the mean over the three points."""

ENERGY_SHARES = {"memories": 0.29, "array": 0.62, "all else": 0.09}
"""Read: energy by part (Fig. 14)."""

REPLAYED_SHARES = {"memories": 0.05, "array": 0.75, "all else": 0.20}
"""Ours at CTA-0, replayed on mapped blocks: docs/synthesis.md, by `hashlayer synth cta --activity`."""

POINTS = tuple((point.name, (point.k0, point.k1, point.k2)) for point in OPERATING_POINTS)


def _head(clusters, n: int = N, **parameters) -> HeadCycles:
    return head_cycles(CTAConfig(**parameters), n, n, *clusters, shared_a=True)


def _bars(axes, groups: dict[str, list[float]], names: list[str], colours) -> None:
    """Groups of bars side by side: a list of values a group, a name a place."""
    width = 0.8 / len(groups)
    for at, (label, values) in enumerate(groups.items()):
        axes.bar([place + at * width for place in range(len(names))], values, width, label=label,
                 color=colours[at])
    axes.set_xticks([place + 0.4 - width / 2 for place in range(len(names))], names)
    axes.legend()


def table1() -> Figure:
    """Steps of Table I, summed, and the whole job here."""
    cfg = CTAConfig()
    entries = []
    for what, how in (("cycles of a head", {}), ("with the paper's loads", {"ahead": False, "sums": 2})):
        entries += [Entry(f"{what}, {name}", table1_cycles(cfg, N, *clusters), _head(clusters, **how).total,
                          ",.0f") for name, clusters in POINTS]
    first = entries[:len(POINTS)]

    def draw(axes):
        _bars(axes, {"Table I, summed": [each.paper for each in first],
                     "here": [each.here for each in first]}, [name for name, _ in POINTS], (GREY, BLUE))
        axes.set_ylabel("cycles of a head")
    return Figure("table1", "CTA, Table I: the schedule of the array", tuple(entries),
                  "The table has no latencies of blocks; here every register counts. Values are loaded "
                  "beside "
                  "other work here, and sums have one bank; the second three rows go without either.",
                  "It holds: all latencies add less than one percent.", "hashlayer bench cta", draw)


def fig12_throughput() -> Figure:
    """Throughput as far as no GPU is needed: against the ideal array, and from point to point."""
    cfg, ideal = CTAConfig(), ideal_cycles(CTAConfig(), N)
    totals = {name: _head(clusters).total for name, clusters in POINTS}
    first = POINTS[0][0]
    entries = [Entry(f"latency by that of the ideal array, {name}", OF_IDEAL[name], total / ideal)
               for name, total in totals.items()]
    entries += [Entry(f"throughput of {ACCELERATORS} engines by that at {first}, {name}",
                      GPU_SPEEDUP[name] / GPU_SPEEDUP[first], totals[first] / total)
                for name, total in totals.items() if name != first]

    def draw(axes):
        _bars(axes, {"paper": [each.paper for each in entries[:3]],
                     "here": [each.here for each in entries[:3]]}, list(totals), (GREY, BLUE))
        axes.set_ylabel("latency by that of the ideal array")
    return Figure("fig12-throughput", "CTA, Fig. 12, throughput and latency", tuple(entries),
                  f"The paper averages over tasks with sequences of several lengths; here n = {N} with "
                  "cluster "
                  "counts that give its average RL and RA. It measures against a V100, which is not here; "
                  "what is "
                  f"left of its speedups without the GPU is their ratio. {cfg.b} × {cfg.d} PEs in both.",
                  "It holds within 6 %. The speedups over a GPU themselves are not reproduced.",
                  "hashlayer reproduce fig12-throughput", draw)


def _shares(clusters, n: int) -> dict[str, float]:
    cost = _head(clusters, n)
    found = operations(cost)
    attention, linear = (sum(found[name] for name in names) / cost.total
                         for names in (("score", "out"), ("k", "v", "q")))
    return {"attention": attention, "linear": linear, "compression": 1 - attention - linear}


def fig12_latency() -> Figure:
    """Latency by step, at the length of the paper's points and at one that it averages over."""
    found = {}
    for n in (N, 384):
        one = [_shares([round(count * n / N) for count in clusters], n) for _, clusters in POINTS]
        found[n] = {name: sum(each[name] for each in one) / len(one) for name in SHARES}
    entries = [Entry(f"share of {name}, n = {n}", SHARES[name], shares[name])
               for n, shares in found.items() for name in SHARES]

    def draw(axes):
        _bars(axes, {"paper": list(SHARES.values()), **{f"here, n = {n}": [shares[name] for name in SHARES]
                                                        for n, shares in found.items()}},
              list(SHARES), (GREY, BLUE, SKY))
        axes.set_ylabel("share of the latency")
    return Figure("fig12-latency", "CTA, Fig. 12, latency by step", tuple(entries),
                  "Mean of the three points. Here a step has the cycles in which its products are formed; "
                  "whatever "
                  "the array waits for or loads stands with compression. The paper averages over lengths.",
                  "It holds in order. Attention agrees at 384 tokens and has more at 512; compression has "
                  "half as "
                  "much again or more, with all waits in it.",
                  "hashlayer reproduce fig12-latency", draw)


def fig13() -> Figure:
    """Latency against the parallelism of PAG, for several widths of the array."""
    lines, entries = {}, []
    for b in (4, 8, 16):
        places = [2 << power for power in range(b.bit_length())]
        lines[b] = {pag: _head(POINTS[0][1], b=b, pag=pag).total for pag in places}
        entries += [Entry(f"cycles at {pag} exponentials by those at 2b, b = {b}", None,
                          cycles / lines[b][2 * b]) for pag, cycles in lines[b].items()]

    def draw(axes):
        for (b, line), colour in zip(lines.items(), (ORANGE, BLUE, GREEN)):
            axes.plot(list(line), [cycles / line[2 * b] for cycles in line.values()], "o-", color=colour,
                      label=f"b = {b}")
        axes.set_xscale("log", base=2)
        axes.set_xlabel("exponentials a cycle")
        axes.set_ylabel("cycles by those at 2b")
        axes.legend()
    return Figure("fig13", "CTA, Fig. 13: array width and parallelism of PAG", tuple(entries),
                  f"CTA-0, n = {N}, the program of the paper. Its curves are a picture without numbers; "
                  "what it "
                  "says is that 2b exponentials a cycle are the optimum.",
                  "It holds: at half of that a head takes a fifth more cycles. Two banks of probabilities "
                  "(`aps`), which the paper does not have, are not in this picture.",
                  "hashlayer reproduce fig13", draw)


def fig14() -> Figure:
    """Energy: by part, and from point to point."""
    cfg = CTAConfig()
    joules = {name: 1e-6 * job_pj(cfg, _head(clusters), "45nm") for name, clusters in POINTS}
    exact = 1e-6 * job_pj(cfg, head_cycles(cfg, N, N, N, N, 0, Mode.EXACT), "45nm")
    entries = [Entry(f"share of {name}", share, REPLAYED_SHARES[name])
               for name, share in ENERGY_SHARES.items()]
    entries += [Entry(f"energy by that of exact attention, {name}", None, each / exact)
                for name, each in joules.items()]
    entries += [Entry(f"µJ of a head, {name}", None, each) for name, each in joules.items()]

    def draw(axes):
        _bars(axes, {"paper": list(ENERGY_SHARES.values()), "here": list(REPLAYED_SHARES.values())},
              list(ENERGY_SHARES), (GREY, RED))
        axes.set_ylabel("share of the energy")
    return Figure("fig14", "CTA, Fig. 14: energy", tuple(entries),
                  "The paper's is SMIC 40 nm; here gates are replayed before wires, sky130 scaled to 45 "
                  "nm, and "
                  "memories are a model. Nothing is clock gated here. Shares are of a replay at CTA-0 that "
                  "takes "
                  "minutes, recorded in docs/synthesis.md; µJ are by the model of energy.",
                  "It does not hold for the shares: memories have a sixth of what the paper gives them.",
                  "hashlayer synth cta --activity build/cta-0.npz", draw)
