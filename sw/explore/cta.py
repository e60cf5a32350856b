"""What a design of the CTA engine costs on attention layers, by the models: cycles, area, energy, error.

Cycles are those of ``hashlayer bench layers --model``: heads one behind the other, transfers beside them.
"""

from functools import lru_cache

from model.accelerator import NotMeasured
from model.area import area_um2, gates, require_fitted
from model.cta.area import terms
from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.energy import SCALES, energy_data, job_pj, operations
from model.cta.job import Mode
from model.cta.macros import macros
from sw.explore.workload import clusters
from sw.io.errors import InputError
from sw.rivals.fidelity import cluster_error
from sw.rivals.operands import read_layer
from sw.studies.bench.layers import BETWEEN

__all__ = ["COMMON", "CONFIG", "INDIFFERENT", "configuration", "measured_error", "price"]

CONFIG = CTAConfig
COMMON = ("dw", "d")
"""What workloads of one engine agree in."""

INDIFFERENT = frozenset({"tokens", "exact", "k0", "k1", "k2", "sets", "lanes", "exp_mantissa", "recip_index",
                         "mean_reciprocal_frac", "result_guard"})
"""Fields on which the cycles of a job do not depend, so that points that differ in these alone share a walk.
A field that is not named here counts as one that matters."""


def configuration(point: dict) -> CTAConfig:
    """The engine of a point: what its workloads need, and over it what the point says.

    Raises :class:`model.errors.ConfigError`.
    """
    first = point["workloads"][0]
    most = max(512, *(workload["n"] for workload in point["workloads"]))
    return CTAConfig(**({"d": first["d"], "dw": first["dw"], "n": most} | point["hardware"]))


class _Head:
    """What is kept of a walk: cycles, losses by cause, useful cycles, cycles by operation."""

    def __init__(self, cfg: CTAConfig, cost):
        self.total, self.losses = cost.total, cost.losses
        self.useful = sum(cost.macs.values()) / (cfg.b * cfg.d)
        self.operations = operations(cost)


class _Config:
    """A configuration that is looked up by what cycles depend on."""

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        self.key = tuple((name, str(getattr(cfg, name))) for name in (*cfg.PARAMETERS, *cfg.CONSTANTS)
                         if name not in INDIFFERENT)

    def __eq__(self, other):
        return self.key == other.key

    def __hash__(self):
        return hash(self.key)


@lru_cache(maxsize=1 << 14)
def _head(config: _Config, n: int, sizes: tuple[int, int, int] | None, reuse: bool) -> _Head:
    mode = Mode.EXACT if sizes is None else Mode.CTA
    cfg = config.cfg
    return _Head(cfg, head_cycles(cfg, n, n, *(sizes or (n, n, 0)), mode, shared_a=cfg.slices == 1,
                                  reuse=reuse, uses=False))


@lru_cache(maxsize=64)
def measured_error(files: tuple[str, ...], stamp: str, sizes: tuple[int, int, int] | None) -> float:
    """Relative error of CTA on real heads, hash directions fitted, without fine-tuning; 0 where exact.

    ``stamp`` is the hash of the files. Raises InputError where no directions reach the cluster counts.
    """
    if sizes is None:
        return 0.0
    layer = read_layer(list(files), clusters=sizes)
    found = cluster_error(layer, sizes, fitted=True)
    if found is None:
        raise InputError(f"clusters {', '.join(map(str, sizes))} are out of reach on these operands")
    return found


def _admitted(cfg: CTAConfig, workload: dict, sizes) -> None:
    """Refuse a job that the engine has no room for. More clusters than its capacity would be shared, which no
    model of accuracy here knows."""
    n = workload["n"]
    if n > cfg.n:
        raise InputError(f"{workload['name']} has n = {n}, the engine takes at most {cfg.n} tokens")
    if (cfg.d, cfg.dw) != (workload["d"], workload["dw"]):
        raise InputError(f"{workload['name']} has d {workload['d']} and dw {workload['dw']}, the engine "
                         f"{cfg.d} and {cfg.dw}")
    if sizes is None and n > cfg.exact:
        raise InputError(f"{workload['name']} is exact with n = {n}, the engine has exact = {cfg.exact}")
    for name, count in zip(("k0", "k1", "k2"), sizes or ()):
        if count > getattr(cfg, name):
            raise InputError(f"{workload['name']} has {count} clusters in {name}, the engine has room for "
                             f"{getattr(cfg, name)}")


def price(point: dict) -> dict:
    """The figures of a point; what is not known is None, and ``..._why`` says why.

    Raises ConfigError for an engine that cannot be and InputError for a job that it does not take.
    """
    cfg = configuration(point)
    technology, choice = point["choices"].get("technology", "45nm"), point["choices"].get("point")
    walked, jobs = _Config(cfg), []
    for workload in point["workloads"]:
        sizes = clusters(workload, choice)
        _admitted(cfg, workload, sizes)
        heads = workload["heads"]
        for reuse, count in ((False, 1 if workload["shared"] else heads),
                             (True, heads - 1 if workload["shared"] else 0)):
            if count:
                jobs.append((count * workload["layers"], _head(walked, workload["n"], sizes, reuse)))
    cycles = sum(count * (head.total + BETWEEN) for count, head in jobs)
    losses = {"between jobs": BETWEEN * sum(count for count, _ in jobs)}
    for count, head in jobs:
        for cause, lost in head.losses.items():
            losses[cause] = losses.get(cause, 0) + count * lost
    memories, counts = macros(cfg), terms(cfg)
    return {"cycles": cycles, "useful": sum(count * head.useful for count, head in jobs) / cycles,
            "losses": {cause: lost / cycles for cause, lost in losses.items() if lost},
            "memory_mbit": 1e-6 * sum(macro.bits * count for macro, count in memories.items()),
            "elements_a_cycle": sum(_moved(workload) for workload in point["workloads"]) / cycles,
            **_area(cfg, counts, memories, technology), **_energy(cfg, counts, jobs, technology),
            **_error(point, choice)}


def _moved(workload: dict) -> int:
    """Elements of tokens, weights and outputs of the layers of a workload. Outputs leave for every token."""
    n, d, dw, heads = (workload[name] for name in ("n", "d", "dw", "heads"))
    return workload["layers"] * (n * dw + heads * (3 * dw * d + n * d))


def _area(cfg: CTAConfig, counts, memories, technology: str) -> dict:
    """As ``model.cta.area.area`` has it, of counts and memories that are at hand."""
    try:
        require_fitted("cta", "CTA", cfg)
        return {"area_mm2": 1e-6 * area_um2("cta", counts, memories, technology)}
    except NotMeasured as error:
        return {"area_mm2": None, "area_why": str(error)}


@lru_cache(maxsize=1)
def _measured_gates() -> float:
    """Gates of the engine whose energy was measured, which is the default one."""
    return sum(gates("cta", terms(CTAConfig())).values())


@lru_cache(maxsize=4)
def _unmeasured(technology: str) -> str:
    """Why the energy of any engine but the measured one is not known."""
    try:
        job_pj(CTAConfig(b=2), _NOTHING, technology)
    except NotMeasured as error:
        return str(error)


def _is_measured(cfg: CTAConfig) -> bool:
    """Whether the energy of this engine was measured. A hash takes as long as a whole evaluation may, and
    nearly no engine is the default one."""
    return cfg == CTAConfig() and cfg.digest == energy_data()["config_hash"]


def _energy(cfg: CTAConfig, counts, jobs, technology: str) -> dict:
    """Energy where it was measured, and beside it the scaled one: pJ a cycle as many times those of the
    measured engine as the engine has gates, which nothing has been held to."""
    if technology not in SCALES:
        why = f"energy is known in {', '.join(SCALES)} alone"
        return {"energy_uj": None, "energy_scaled_uj": None, "energy_why": why}
    figures = energy_data()["pj_a_cycle"]
    known = SCALES[technology] * sum(count * sum(figures[name] * cycles for name, cycles
                                                 in head.operations.items() if cycles)
                                     for count, head in jobs) * 1e-6
    scaled = known * sum(gates("cta", counts).values()) / _measured_gates()
    if not _is_measured(cfg):
        return {"energy_uj": None, "energy_scaled_uj": scaled, "energy_why": _unmeasured(technology)}
    return {"energy_uj": known, "energy_scaled_uj": scaled}


class _Nothing:
    """A job of no cycles: what asks for its energy learns whether there is a figure."""

    total, slots = 0, {}


_NOTHING = _Nothing()


def _error(point: dict, choice) -> dict:
    total, layers = 0.0, 0
    for workload in point["workloads"]:
        sizes, given = clusters(workload, choice), workload["operands"]
        if given is None and sizes is not None:
            return {"error": None, "error_why": f"{workload['name']} has no operands to measure it on"}
        try:
            one = 0.0 if given is None else measured_error(tuple(given["files"]), given["hash"], sizes)
        except InputError as error:
            return {"error": None, "error_why": str(error)}
        total, layers = total + workload["layers"] * one, layers + workload["layers"]
    return {"error": total / layers}
