"""Which engine and which compression a layer, for an area, a time and an error: an exact choice among a few.

Shapes of a small grid are tried. For each, a knapsack over the layers gives the fewest cycles within the
error; the clusters that its policy needs are the capacities of the engine, so a policy is also a matter of
area. To have area count, policies are sought under each bound of clusters that a candidate has.
"""

from dataclasses import dataclass

from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.job import Mode
from model.errors import ConfigError
from sw.explore.evaluation import evaluate
from sw.explore.networks import Network
from sw.explore.workload import counts
from sw.io.errors import InputError
from sw.policy.candidates import Candidate
from sw.policy.knapsack import plans

__all__ = ["Advice", "GRID", "Limits", "advise"]

GRID = tuple((b, pag, program) for b in (2, 4, 8, 16, 32) for pag in (b, 2 * b)
             for program in ("weights", "table1"))
"""Columns, exponentials a cycle and programs that are tried."""

LEAST = 32
"""Clusters that an engine has room for at least, as by its defaults: less saves next to nothing."""


@dataclass(frozen=True)
class Limits:
    """The most that a design may have; None where nobody says it. ``bandwidth`` is in elements a cycle."""

    error: float
    area_mm2: float | None = None
    time_us: float | None = None
    bandwidth: float | None = None


@dataclass(frozen=True)
class Advice:
    """``point`` and ``row`` as in :mod:`sw.explore.evaluation`; ``policy`` the candidate of each layer, and
    its ``error``; ``exact_cycles`` of the same network, exact, on this shape."""

    point: dict
    row: dict
    policy: tuple[Candidate, ...]
    error: float
    exact_cycles: int


def _cycles(net: Network, cfg: CTAConfig, n: int, candidate: Candidate) -> int:
    sizes, total = counts(candidate.fractions, n), 0
    mode = Mode.EXACT if sizes is None else Mode.CTA
    for reuse, heads in ((False, 1), (True, net.heads - 1)):
        if heads:
            total += heads * head_cycles(cfg, n, n, *(sizes or (n, n, 0)), mode, shared_a=cfg.slices == 1,
                                         reuse=reuse, uses=False).total
    return total


def _policies(net: Network, cost: dict[Candidate, int], error: float):
    """The fewest cycles within the error, under each bound of the clusters that a layer may have."""
    def size(candidate):
        return 3.0 if candidate.fractions is None else sum(candidate.fractions)
    for bound in sorted({size(candidate) for candidate in cost}, reverse=True):
        options = [[each for each in layer if size(each[0]) <= bound] for layer in net.options]
        if not all(options):
            return
        if net.uniform:
            found = [(net.layers * cost[candidate], wrong, (candidate,) * net.layers)
                     for candidate, wrong in options[0]]
        else:
            choices = plans([[cost[candidate] for candidate, _ in layer] for layer in options],
                            [[wrong for _, wrong in layer] for layer in options])
            found = [(cycles, wrong, tuple(layer[at][0] for layer, at in zip(options, chosen)))
                     for cycles, wrong, chosen in choices]
        within = [each for each in found if each[1] <= error + 1e-12]
        if within:
            yield min(within, key=lambda each: each[0])


def _point(net: Network, n: int, b: int, pag: int, program: str, policy, choices: dict, clock) -> dict:
    """The point whose engine has room for this policy and no more; layers that do alike are one workload."""
    work, needed = [], [LEAST] * 3
    for at, candidate in enumerate(policy):
        sizes = counts(candidate.fractions, n)
        needed = [max(most, count) for most, count in zip(needed, sizes or ())] or needed
        if work and work[-1]["candidate"] == candidate.name:
            work[-1] |= {"layers": work[-1]["layers"] + 1}
            continue
        work.append({"name": f"layers from {at}", "candidate": candidate.name, "dw": net.dw, "d": net.d,
                     "heads": net.heads, "shared": True, "n": n, "layers": 1, "operands": None,
                     "point": "exact" if sizes is None else None,
                     "clusters": None if sizes is None else list(sizes)})
    exact = n if any(candidate.fractions is None for candidate in policy) else LEAST
    hardware = {"b": b, "pag": pag, "program": program, "n": max(n, LEAST),
                "exact": min(exact, max(n, LEAST)),
                **{name: min(max(n, LEAST), count) for name, count in zip(("k0", "k1", "k2"), needed)},
                "lanes": min(16, net.d), "sets": 2}
    for each in work:
        each.pop("candidate")
    return {"engine": "cta", "hardware": hardware, "choices": choices, "workloads": work, "clock_mhz": clock}


def advise(net: Network, n: int, limits: Limits, technology: str = "45nm", clock: float | None = None,
           show=lambda what: None) -> Advice:
    """The fastest design within all limits; the smallest one where no area is given.

    Raises InputError where there is none, with what comes nearest.
    """
    found, nearest = [], []
    for b, pag, program in GRID:
        show(f"b = {b}, pag = {pag}, {program}")
        try:
            cfg = CTAConfig(b=b, d=net.d, dw=net.dw, pag=pag, program=program, n=max(n, LEAST),
                            lanes=min(16, net.d))
        except ConfigError as error:
            raise InputError(f"no engine takes heads of {net.d} in tokens of {net.dw}: {error}") from None
        cost = {candidate: _cycles(net, cfg, n, candidate) for layer in net.options for candidate, _ in layer}
        exact = net.layers * _cycles(net, cfg, n, Candidate("exact", None))
        for _, error, policy in _policies(net, cost, limits.error):
            point = _point(net, n, b, pag, program, policy, {"technology": technology}, clock)
            row = evaluate(point)
            if row["status"] == "failed":
                continue
            beyond = [row[name] / most for name, most in (
                ("area_mm2", limits.area_mm2), ("time_us", limits.time_us),
                ("elements_a_cycle", limits.bandwidth)) if most is not None and row[name] > most]
            advice = Advice(point, row, policy, error, exact)
            (nearest if beyond else found).append((max(beyond, default=0.0), advice))
    if found:
        order = ("cycles", "area_mm2") if limits.area_mm2 is not None else ("area_mm2", "cycles")
        return min((advice for _, advice in found), key=lambda each: tuple(each.row[name] for name in order))
    if not nearest:
        raise InputError(f"error is {limits.error:g}: no policy of {net.name} is known to keep it")
    closest = min(nearest, key=lambda each: each[0])[1].row
    raise InputError("no design is within all limits; the nearest has " + ", ".join(
        f"{name} {closest[name]:.4g}" for name in ("area_mm2", "time_us", "elements_a_cycle", "cycles")
        if closest[name] is not None))
