"""One head, from real operands to a result and its report, on any of the three backends."""

from dataclasses import dataclass, field, replace

import numpy as np

from model.border import Borders
from model.cta import head as golden
from model.cta.calibrate import calibrate, draw, projection, targets
from model.cta.config import CTAConfig
from model.cta.cost import attention_ratio, linear_ratio
from model.cta.cycles import head_cycles
from model.cta.job import ErrorCode, HeadResult, Mode
from model.cta.quantise import Quantised, QuantiseError, quantise
from model.cta.reference import Operands, attention_cta, attention_exact, clusters
from sw.io.figures import relative_error
from sw.io.npz import InputError
from sw.run.head_file import HeadFile
from sw.sim.backends import tools

__all__ = ["DEFAULT_COMPRESSION", "Prepared", "Outcome", "prepare", "execute", "build_rtl",
           "differences", "report"]

DEFAULT_COMPRESSION = 0.52


@dataclass(frozen=True)
class Prepared:
    """Operands with their hash functions chosen, and the same in raw integers."""

    cfg: CTAConfig
    real: Operands
    mode: Mode
    quantised: Quantised
    hashing: dict    # for the report: where a, b and w come from


@dataclass(frozen=True)
class Outcome:
    """What a backend gave: real outputs, the raw result, and what saturated on the way from the
    one to the other (backend "float" only: engines give integers)."""

    o: np.ndarray
    result: HeadResult
    borders: Borders = field(default_factory=Borders)


def prepare(cfg: CTAConfig, head: HeadFile, mode: Mode = Mode.CTA, compression: float | None = None,
            counts: tuple[int, int, int] | None = None, seed: int = 0,
            fitted: bool = False) -> Prepared:
    """Hash functions and quantisation.

    ``counts`` (k0, k1, k2) or ``compression`` RL ask for a compression where the file has no w.
    ``fitted`` takes A from the head's own weights and tokens instead of the seed.
    """
    m, n = len(head.xq), len(head.xkv)
    a, b, w = head.a, head.b, head.w
    drawn_a, offset = draw(cfg, seed)
    origin = {"a": "drawn" if a is None else "file", "b": "drawn" if b is None else "file",
              "w": "calibrated" if w is None else "file", "seed": seed}
    a_point = None
    asked = compression is not None or counts is not None
    if w is not None and asked:
        raise InputError("the file has w: no compression can be asked for")
    if fitted and a is not None:
        raise InputError("the file has a: no projection can be asked for")
    a = drawn_a if a is None else a
    # Anything will do for what is not known yet; calibration does not look at it.
    real = Operands(head.xq, head.xkv, head.wq, head.wk, head.wv, head.bq, head.bv,
                    a, offset, np.ones(3))
    if fitted:
        real, origin["a"] = replace(real, a=projection(cfg, real)), "projection"
    if mode == Mode.EXACT:
        if asked:
            raise InputError("exact mode does not compress: no compression can be asked for")
        # The hash is not used; one that surely can be represented stands in.
        real = replace(real, a=np.zeros_like(real.a), b=np.zeros_like(offset))
        origin = {}
    elif w is None:
        if counts is None:
            compression = DEFAULT_COMPRESSION if compression is None else compression
            origin["compression asked"] = compression
            try:
                counts = targets(m, n, compression)
            except ValueError as error:
                raise InputError(str(error)) from None
        for name, count, most in zip(("k0", "k1", "k2"), counts, (m, n, n)):
            if not 1 <= count <= most:
                raise InputError(f"{name} is {count}, must be in 1..{most}, the number of tokens")
        origin["clusters asked"] = list(counts)
    else:
        real = replace(real, b=offset * w[:, None] if b is None else b, w=w)
    try:
        if counts is not None:
            found = calibrate(cfg, real, counts, seed, real.a, b)
            real, a_point = replace(real, a=found.a, b=found.b, w=found.w), found.a_point
        quantised = quantise(cfg, real, mode, a_point=a_point)
    except QuantiseError as error:
        raise InputError(str(error)) from None
    code = golden.check(cfg, quantised.weights, quantised.job)
    if code == ErrorCode.CAPACITY:
        raise InputError(f"exact mode makes every token its own cluster: {m} queries and {n} keys "
                         f"do not fit k0 = {cfg.k0} and k1 = {cfg.k1}")
    if code != ErrorCode.NONE:
        raise InputError(f"the engine would refuse this job: {code.name}")
    return Prepared(cfg, real, mode, quantised, origin)


def execute(prepared: Prepared, backend: str, progress: bool = False) -> Outcome:
    """Run the job; ``rtl`` builds the simulator if it is not in the cache."""
    cfg, job = prepared.cfg, prepared.quantised.job
    if backend == "float":
        return _float(prepared)
    if backend == "golden":
        result = golden.run(cfg, prepared.quantised.weights, job)
    else:
        result = _simulate(cfg, prepared.quantised.weights, job, progress)
    return Outcome(prepared.quantised.output(cfg, result.o), result)


def build_rtl(cfg: CTAConfig, progress: bool = False) -> None:
    """Emit and compile the engine, unless that has been done for this configuration."""
    with tools():
        from sw.sim.engine import build
        build(cfg, progress=progress)


def _simulate(cfg, weights, job, progress):
    with tools():
        from sw.sim.cta import Refused, run_head
        try:
            return run_head(cfg, weights, job, progress=progress)
        except Refused as error:
            raise InputError(str(error)) from None


def _float(prepared: Prepared) -> Outcome:
    """The algorithm in double precision, hashing and all."""
    cfg, real = prepared.cfg, prepared.real
    if prepared.mode == Mode.EXACT:
        n, m = len(real.xkv), len(real.xq)
        tables, k = (np.arange(m), np.arange(n), np.zeros(n, np.int64)), (m, n, 0)
        o = attention_exact(*real.attention)
    else:
        tables = clusters(real.xq, real.xkv, real.a, real.b, real.w)
        k = tuple(int(ct.max()) + 1 for ct in tables)
        o = attention_cta(*real.attention, *tables)
    # Double precision has no format: what would not fit the engine's outputs is counted as theirs.
    borders = Borders()
    raw = borders.quantise("o", cfg.fmt.output, o, prepared.quantised.points.o)
    return Outcome(o, HeadResult(raw, *tables, *k), borders)


def differences(a, b) -> list[str]:
    """Names of the fields in which two results of a head differ."""
    arrays = [name for name in ("o", "ct0", "ct1", "ct2")
              if not np.array_equal(getattr(a, name), getattr(b, name))]
    return arrays + [name for name in ("k0", "k1", "k2", "saturations", "overflow", "zero_rows")
                     if getattr(a, name) != getattr(b, name)]


def report(prepared: Prepared, outcome: Outcome, backend: str) -> dict:
    """Everything about a run, as plain data."""
    cfg, real, r = prepared.cfg, prepared.real, outcome.result
    m, n, k = len(real.xq), len(real.xkv), r.k1 + r.k2
    exact = attention_exact(*real.attention)
    error = {"against exact attention": relative_error(outcome.o, exact)}
    if prepared.mode == Mode.CTA:
        cta = attention_cta(*real.attention, r.ct0, r.ct1, r.ct2)
        error["against float CTA, clusters forced"] = relative_error(outcome.o, cta)
        error["float CTA against exact attention"] = relative_error(cta, exact)
    full = prepared.mode == Mode.EXACT
    data = {
        "backend": backend, "mode": prepared.mode.name.lower(),
        "config": {key: value for key, value in cfg.as_dict().items() if key != "fmt"},
        "config_hash": cfg.digest,
        "n": n, "m": m, "k0": r.k0, "k1": r.k1, "k2": r.k2,
        "RL": 1.0 if full else linear_ratio(m, n, r.k0, k),
        "RA": 1.0 if full else attention_ratio(m, n, r.k0, k),
        "hashing": {**prepared.hashing, "w used": None if full else real.w.tolist()},
        "error": error,
        "points": vars(prepared.quantised.points),
        "operands": prepared.quantised.borders.as_dict(),
        "operands_saturated": prepared.quantised.saturated,
    }
    if backend == "float":
        data["outputs"] = outcome.borders.as_dict()
    else:
        data["saturations"] = {kind.name.lower(): count for kind, count in r.saturations.items()}
        data["overflow"] = {f"lsh{c}": count for c, count in enumerate(r.overflow)}
        data["zero_rows"] = r.zero_rows
    data["cycles"] = _cycles(prepared, r, backend)
    return data


def _cycles(prepared, r, backend):
    """Cycles of the job, measured on the RTL or else from the cycle model."""
    if backend == "rtl":
        return {"source": "rtl", "total": r.cycles, "phases": r.phases}
    model = head_cycles(prepared.cfg, len(prepared.real.xkv), len(prepared.real.xq), r.k0, r.k1,
                        r.k2, prepared.mode, prepared.quantised.weights.shared_a)
    return {"source": "cycle model", "total": model.total, "phases": model.phases}
