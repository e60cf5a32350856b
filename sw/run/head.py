"""One head: from real operands to a job of the CTA engine, and what a report says of it."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from model.cta import head as golden
from model.cta.calibrate import calibrate, draw, projection, targets
from model.cta.config import CTAConfig
from model.cta.cost import attention_ratio, linear_ratio
from model.cta.job import ErrorCode, HeadResult, Mode
from model.cta.quantise import Quantised, QuantiseError, quantise
from model.cta.reference import Operands, attention_cta, attention_exact, clusters
from sw.io.errors import InputError
from sw.io.figures import relative_error
from sw.run.head_file import HeadFile
from sw.run.pipeline import Outcome, Prepared
from sw.sim.engines import ENGINES

__all__ = ["DEFAULT_COMPRESSION", "PreparedHead", "prepare"]

DEFAULT_COMPRESSION = 0.52


@dataclass(frozen=True)
class PreparedHead(Prepared):
    """Operands of a head with their hash functions chosen, and the same in raw integers.

    ``hashing`` tells the report where a, b and w come from.
    """

    ENGINE: ClassVar = ENGINES["cta"]

    cfg: CTAConfig
    real: Operands
    quantised: Quantised
    hashing: dict

    @property
    def mode(self) -> Mode:
        """That of the job."""
        return self.quantised.job.mode

    def in_double(self) -> tuple[np.ndarray, dict]:
        """The algorithm in double precision, hashing and all."""
        real = self.real
        if self.mode == Mode.EXACT:
            n, m = len(real.xkv), len(real.xq)
            tables, k = (np.arange(m), np.arange(n), np.zeros(n, np.int64)), (m, n, 0)
            o = attention_exact(*real.attention)
        else:
            tables = clusters(real.xq, real.xkv, real.a, real.b, real.w)
            k = tuple(int(ct.max()) + 1 for ct in tables)
            o = attention_cta(*real.attention, *tables)
        return o, {f"ct{c}": table for c, table in enumerate(tables)} | {
            f"k{c}": count for c, count in enumerate(k)}

    def figures(self, outcome: Outcome, backend: str) -> dict:
        """Compression, hash functions and errors."""
        real, r = self.real, outcome.result
        m, n, k = len(real.xq), len(real.xkv), r.k1 + r.k2
        exact = attention_exact(*real.attention)
        error = {"against exact attention": relative_error(outcome.output, exact)}
        if self.mode == Mode.CTA:
            cta = attention_cta(*real.attention, r.ct0, r.ct1, r.ct2)
            error["against float CTA, clusters forced"] = relative_error(outcome.output, cta)
            error["float CTA against exact attention"] = relative_error(cta, exact)
        full = self.mode == Mode.EXACT
        return {
            "mode": self.mode.name.lower(),
            "n": n, "m": m, "k0": r.k0, "k1": r.k1, "k2": r.k2,
            "RL": 1.0 if full else linear_ratio(m, n, r.k0, k),
            "RA": 1.0 if full else attention_ratio(m, n, r.k0, k),
            "hashing": {**self.hashing, "w used": None if full else real.w.tolist()},
            "error": error, "points": vars(self.quantised.points)}

    def events(self, result: HeadResult) -> dict:
        """Tokens beyond the clusters, and compressed queries without probability."""
        return {"overflow": {f"lsh{c}": count for c, count in enumerate(result.overflow)},
                "zero_rows": result.zero_rows}


def prepare(cfg: CTAConfig, head: HeadFile, mode: Mode = Mode.CTA, compression: float | None = None,
            counts: tuple[int, int, int] | None = None, seed: int = 0,
            fitted: bool = False) -> PreparedHead:
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
        raise InputError(f"exact mode has a row a token: {m} queries and {n} keys "
                         f"do not fit exact = {cfg.exact}")
    if code == ErrorCode.TOKENS:
        raise InputError(f"{m} queries and {n} keys do not fit n = {cfg.n} each and tokens = "
                         f"{cfg.tokens} together")
    if code != ErrorCode.NONE:
        raise InputError(f"the engine would refuse this job: {code.name}")
    return PreparedHead(cfg, real, quantised, origin)
