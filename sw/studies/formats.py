"""What a format could be instead: the choices of both engines, one by one, and all of them wide.

The error table (:mod:`sw.studies.numerics`) and the budget (:mod:`sw.studies.budget`) vary the same rows.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from model.cta.config import CTAConfig, CTAFormats
from model.fixed import Format
from model.lookup.config import LookupConfig, LookupFormats

__all__ = ["Choices", "CTA", "LOOKUP", "finer", "variant", "within_reach"]

Change = Callable[[int], dict]
"""Formats and constants as chosen, but so many bits wider."""


@dataclass(frozen=True)
class Choices:
    """The formats of an engine. ``rows`` gives by name what changes, and by how many bits it is varied;
    ``wide`` has values as good as exact beside the chosen ones and still within int64 everywhere."""

    rows: dict[str, tuple[Change, tuple[int, ...]]]
    wide: dict[str, Format | int]


def finer(fmt: Format, bits: int) -> Format:
    """``fmt`` with more fraction bits; the integer bits stay."""
    return dataclasses.replace(fmt, width=fmt.width + bits, frac=fmt.frac + bits)


def _finer(formats, *names):
    return lambda by: {name: finer(getattr(formats, name), by) for name in names}


def _wider(formats, name):
    """For a tensor whose binary point is chosen elsewhere."""
    fmt = getattr(formats, name)
    return lambda by: {name: dataclasses.replace(fmt, width=fmt.width + by)}


def _constant(config, name):
    return lambda by: {name: getattr(config, name) + by}


def variant(cfg: CTAConfig | LookupConfig, changes: dict) -> CTAConfig | LookupConfig:
    """``cfg`` with formats (fields of ``cfg.fmt``) and constants changed."""
    names = {f.name for f in dataclasses.fields(cfg.fmt)}
    fmt = dataclasses.replace(cfg.fmt, **{k: v for k, v in changes.items() if k in names})
    return dataclasses.replace(cfg, fmt=fmt, **{k: v for k, v in changes.items() if k not in names})


def within_reach(cfg: LookupConfig, changes: dict) -> dict:
    """``changes`` that make a legal LookupFFN engine: indices of the score's tables are no finer
    than what they look up."""
    limits = {"log_index": changes.get("z", cfg.fmt.z).frac + cfg.log_reach,
              "exp_index": changes.get("log_mantissa", cfg.log_mantissa)}
    return {**changes, **{key: min(changes[key], limit) for key, limit in limits.items()
                          if key in changes}}


_CTA, _LOOKUP = CTAFormats(), LookupFormats()

CTA = Choices(
    rows={
        # The hardware aligns a centroid with a token by a left shift, so neither can be wide alone.
        "token, centroid": (_finer(_CTA, "token", "centroid"), (-2, -1, 1, 2)),
        "weight": (_finer(_CTA, "weight"), (-4, -2, 2)),
        "qkv": (_finer(_CTA, "qkv"), (-4, -2, 2)),
        "score (and exp index)": (_finer(_CTA, "score"), (-3, -2, -1, 2)),
        "exp mantissa": (_constant(CTAConfig, "exp_mantissa"), (-6, -4, -2, 2)),
        "prob": (_finer(_CTA, "prob"), (-8, -4, 4)),
        "ap": (_wider(_CTA, "ap"), (-4, -2, 1, 2)),
        "1/sum index": (_constant(CTAConfig, "recip_index"), (-4, -2, 2)),
        "1/sum mantissa": (_wider(_CTA, "multiplier"), (-6, -4, -2, 2)),
        "result guard": (_constant(CTAConfig, "result_guard"), (-3, -2, 2)),
        "1/count": (_constant(CTAConfig, "mean_reciprocal_frac"), (-6, -4, -2, 2)),
        "output": (_finer(_CTA, "output"), (-4, -2, 2)),
    },
    wide={
        "token": Format(True, 21, 15), "centroid": Format(True, 20, 14), "weight": Format(True, 20, 17),
        "qkv": Format(True, 18, 12), "bias": Format(True, 40, 32), "score": Format(True, 23, 13),
        "prob": Format(False, 34, 22), "ap": Format(False, 20, 0), "ppe": Format(True, 36, 0),
        "multiplier": Format(False, 20, 0), "output": Format(True, 18, 12),
        "exp_mantissa": 20, "recip_index": 16, "mean_reciprocal_frac": 18, "result_guard": 12,
    })

LOOKUP = Choices(
    rows={
        "x": (_wider(_LOOKUP, "x"), (-4, -2, 2)),
        "weight": (_wider(_LOOKUP, "weight"), (-2, -1, 2)),
        "stage": (_wider(_LOOKUP, "stage"), (-4, -2, 2)),
        "mix": (_finer(_LOOKUP, "mix"), (-3, 4)),
        "z": (_finer(_LOOKUP, "z", "z_bias"), (-2, -1, 2)),
        "z grid": (_finer(_LOOKUP, "z_bias"), (-4, -2, 4)),
        "score": (_wider(_LOOKUP, "score"), (-4, -2, 2)),
        "table": (_wider(_LOOKUP, "table"), (-4, -2, -1, 2)),
        "log table index": (_constant(LookupConfig, "log_index"), (-2, -1, 1, 2)),
        "log table mantissa": (_constant(LookupConfig, "log_mantissa"), (-4, -2, 2)),
        "exp table index": (_constant(LookupConfig, "exp_index"), (-2, -1, 1, 2)),
        "exp table mantissa": (_constant(LookupConfig, "exp_mantissa"), (-4, -2, 2)),
        "output": (_wider(_LOOKUP, "output"), (-6, -4, 2)),
    },
    wide={
        "x": Format(True, 24, 19), "weight": Format(True, 20, 19), "stage": Format(True, 26, 21),
        "mix": Format(False, 17, 16), "z_bias": Format(True, 28, 23), "z": Format(True, 18, 13),
        "score": Format(False, 20, 14), "table": Format(True, 16, 15),
        "out_bias": Format(True, 40, 30), "output": Format(True, 28, 20),
        "log_index": 13, "log_mantissa": 20, "exp_index": 14, "exp_mantissa": 22, "flip_frac": 18,
    })
