"""One LookupFFN layer: the stages composed, operands checked, events counted."""


from model.errors import JobRefused, require_range, require_raw
from model.fixed import SHIFT
from model.lookup import bh4, gather
from model.lookup import hash as hashing
from model.lookup.config import STAGES, LookupConfig
from model.lookup.job import ErrorCode, Job, LayerResult, LayerWeights, Order, Saturation

__all__ = ["JobRefused", "check", "require_accepted", "require_order", "validate", "trace", "run",
           "TOKENS_MAX"]

TOKENS_MAX = 65535
NO_TILE = "order is table-major, must be token-major on an engine without a tile"


def check(cfg: LookupConfig, weights: LayerWeights, job: Job) -> ErrorCode:
    """What the engine answers to the job. LOAD is a fault that a :class:`Job` cannot express."""
    return _refusal(cfg, job)[0]


def _refusal(cfg, job):
    if not 1 <= len(job.x) <= TOKENS_MAX:
        return ErrorCode.TOKENS, f"t is {len(job.x)}, must be in 1..{TOKENS_MAX}"
    mix = cfg.fmt.mix
    for name in ("gain", "skip"):
        if not mix.min <= getattr(job, name) <= mix.max:
            return ErrorCode.FIELD, (f"{name} is {getattr(job, name)}, "
                                     f"must be in {mix.min}..{mix.max}")
    if _lacks_tile(cfg, job.order):
        return ErrorCode.ORDER, NO_TILE
    return ErrorCode.NONE, ""


def _lacks_tile(cfg, order):
    return order == Order.TABLE_MAJOR and not cfg.tile


def require_accepted(cfg: LookupConfig, job: Job) -> None:
    """Raise :class:`JobRefused` for a job that the engine refuses."""
    code, reason = _refusal(cfg, job)
    if code != ErrorCode.NONE:
        raise JobRefused(code, reason)


def require_order(cfg: LookupConfig, order: Order) -> None:
    """Raise :class:`JobRefused` for an order that the engine refuses; for those who make jobs."""
    if _lacks_tile(cfg, order):
        raise JobRefused(ErrorCode.ORDER, NO_TILE)


def validate(cfg: LookupConfig, weights: LayerWeights, job: Job) -> None:
    """Hold every operand against its shape and format; raises ValueError."""
    f, t = cfg.fmt, len(job.x)
    require_raw("x", job.x, (t, cfg.d), f.x)
    require_raw("w", weights.w, cfg.weight_shape, f.weight)
    require_raw("shift_z", weights.shift_z, (cfg.copies,), SHIFT)
    require_raw("z_bias", weights.z_bias, (cfg.codes,), f.z_bias)
    require_raw("tables", weights.tables, (cfg.h, 1 << cfg.tau, cfg.d), f.table)
    require_raw("shift_s", weights.shift_s, (cfg.h,), SHIFT)
    require_raw("out_bias", weights.out_bias, (cfg.d,), f.out_bias)
    if cfg.projection == "bh4":
        for name in ("shift_block", "shift_hadamard"):
            require_raw(name, getattr(weights, name), (cfg.copies, STAGES), SHIFT)
    if cfg.residual:
        if job.residual is None:
            raise ValueError("residual is None, must be given to an engine that adds it")
        require_raw("residual", job.residual, (t, cfg.d), f.output)
    elif job.residual is not None:
        raise ValueError("residual is given, must be None for an engine that does not add it")
    for name in ("gain", "skip"):
        require_range(name, getattr(job, name), f.mix.min, f.mix.max)
    for name in ("shift_skip", "shift_y"):
        require_range(name, getattr(job, name), 0, SHIFT.max)
    if job.order not in tuple(Order):
        raise ValueError(f"order is {job.order!r}, must be one of {[int(o) for o in Order]}")


def trace(cfg: LookupConfig, weights: LayerWeights, job: Job) -> dict:
    """Every tensor between the stages, by name, and the events; what benches compare against.

    ``blocks hadamards`` (r, 4, t, n) (None for a dense projection), ``z`` (t, h*tau),
    ``codes log_weights scores rows`` (t, h, entries), ``acc`` (t, d) without the bias, ``y``
    (t, d), ``saturations``, ``table_bytes``.

    Raises :class:`JobRefused` where :func:`check` gives a code, ValueError where an operand has
    the wrong shape or lies outside its format.
    """
    result = _walk(cfg, weights, job)
    blocks = hadamards = None
    if cfg.projection == "bh4":
        blocks, hadamards, _ = bh4.stages(cfg, job.x, weights)
    return {"blocks": blocks, "hadamards": hadamards, **result,
            "log_weights": hashing.log_weight(cfg, result["z"]),
            "rows": gather.rows(cfg, result["codes"]),
            "acc": gather.accumulate(cfg, result["codes"], result["scores"], weights.tables)}


def _walk(cfg, weights, job):
    require_accepted(cfg, job)
    validate(cfg, weights, job)
    sat = dict.fromkeys(Saturation, 0)
    z, events = bh4.project(cfg, job.x, weights, job.gain, job.skip, job.shift_skip)
    sat.update(events)
    codes = hashing.codes(cfg, z)
    scores, sat[Saturation.SCORE] = hashing.scores(cfg, z, weights.shift_s)
    y, sat[Saturation.OUTPUT] = gather.gather(cfg, codes, scores, weights.tables,
                                              weights.out_bias, job.shift_y, job.residual)
    return {"z": z, "codes": codes, "scores": scores, "y": y, "saturations": sat,
            "table_bytes": gather.table_bytes(cfg, len(job.x), job.order)}


def run(cfg: LookupConfig, weights: LayerWeights, job: Job) -> LayerResult:
    """The layer's output and report. Raises as :func:`trace` does."""
    t = _walk(cfg, weights, job)
    return LayerResult(t["y"], t["codes"][:, :, 0], t["saturations"], t["table_bytes"])
