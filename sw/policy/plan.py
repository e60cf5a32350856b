"""Per-layer policy: which attention layers stay exact, and how far the others are compressed.

Late layers of an encoder compress almost for free, early ones do not. The engine runs either, job
by job, so the choice is one of software. Cycles are those of ``model.cta.cycles``, exact. The
search for a good policy is in ``sw.policy.search``.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from model.accelerator import Attention
from model.cta.accelerator import CTAAccelerator
from model.cta.config import CTAConfig
from sw.io.errors import InputError
from sw.io.writing import write_json
from sw.nn.attachment import attention_layers
from sw.nn.calibration import calibrate_layers
from sw.policy.candidates import CANDIDATES, Candidate, Fractions

__all__ = ["Fractions", "Candidate", "CANDIDATES", "Choice", "Policy", "calibrated",
           "check_engine", "layer_cycles"]

@dataclass(frozen=True)
class Choice:
    """What one layer does.

    fractions : k0/m, k1/n, k2/n as reached on the calibration text; 1, 1, 0 if exact.
    w : bucket widths, None if exact. cycles : of all heads of the layer, one sequence; a layer that
    serves several depths (ALBERT) counts once.
    alone : error with this layer compressed and all others exact; None if not measured.
    """

    layer: str
    candidate: str
    fractions: Fractions
    w: Fractions | None
    cycles: int
    alone: float | None = None

    @property
    def mode(self) -> str:
        return "exact" if self.w is None else "cta"


@dataclass(frozen=True)
class Policy:
    """A choice for every attention layer of a model, for sequences of ``n`` tokens.

    exact_cycles : of the whole model with all layers exact. error : of the model's output, on the
    calibration text, None if not measured. engine : b, d, dw, l of the engine the cycles are for.
    """

    n: int
    engine: Mapping[str, int]
    choices: tuple[Choice, ...]
    exact_cycles: int
    error: float | None = None

    @property
    def cycles(self) -> int:
        return sum(c.cycles for c in self.choices)

    @property
    def share(self) -> float:
        """Cycles left, of those of exact attention in all layers."""
        return self.cycles / self.exact_cycles

    @property
    def fractions(self) -> dict[str, Fractions]:
        """Of the layers that are compressed."""
        return {c.layer: c.fractions for c in self.choices if c.w is not None}

    def apply(self, model: nn.Module) -> None:
        """Set mode and bucket widths of every attention layer. Raises ValueError for a model
        whose attention layers are not those of the policy; nothing is changed then."""
        layers = attention_layers(model)
        if list(layers) != [c.layer for c in self.choices]:
            raise ValueError(f"the policy has layers {', '.join(c.layer for c in self.choices)}, "
                             f"the model {', '.join(layers) or 'none'}")
        for choice in self.choices:
            heads = layers[choice.layer]
            heads.mode = choice.mode
            if choice.w is not None:
                heads.w.copy_(torch.tensor(choice.w, dtype=heads.w.dtype))

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        write_json(path, {"schema": 1, **asdict(self)})

    @classmethod
    def load(cls, path: str | Path) -> "Policy":
        """Read what :meth:`save` wrote. Raises InputError for anything else."""
        try:
            data = json.loads(Path(path).read_text())
            if data.pop("schema") != 1:
                raise ValueError("schema is not 1")
            choices = tuple(Choice(**{**c, "fractions": tuple(c["fractions"]),
                                      "w": None if c["w"] is None else tuple(c["w"])})
                            for c in data.pop("choices"))
            return cls(choices=choices, **data)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is no policy: {error}") from None

    def __str__(self) -> str:
        head = (f"{'layer':42} {'choice':8} {'k0/n':>6} {'k1/n':>6} {'k2/n':>6} {'cycles':>10} "
                f"{'of exact':>8} {'alone':>7}")
        exact = self.exact_cycles / len(self.choices)
        rows = [f"{c.layer:42} {c.candidate:8} {c.fractions[0]:6.3f} {c.fractions[1]:6.3f} "
                f"{c.fractions[2]:6.3f} {c.cycles:10,} {c.cycles / exact:8.3f} "
                + (f"{c.alone:7.4f}" if c.alone is not None else f"{'':>7}")
                for c in self.choices]
        error = "" if self.error is None else f" {self.error:7.4f}"
        return "\n".join([head, *rows,
                          f"{'all':42} {'':8} {'':6} {'':6} {'':6} {self.cycles:10,} "
                          f"{self.share:8.3f}{error}"])


def layer_cycles(cfg: CTAConfig, n: int, heads: int, fractions: Fractions | None) -> int:
    """Cycles of all heads of a layer, n tokens to themselves; None is exact."""
    clusters = None
    if fractions is not None:
        clusters = tuple(min(n, max(1, round(f * n))) for f in fractions)
    return CTAAccelerator(cfg).cycles(Attention(n, heads, clusters=clusters))


def check_engine(model: nn.Module, cfg: CTAConfig, n: int) -> None:
    """Raise ValueError unless the engine can run the attention layers of ``model`` on n tokens."""
    layers = attention_layers(model)
    if not layers:
        raise ValueError(f"{type(model).__name__} has no CTA attention layer: attach first")
    for name, heads in layers.items():
        want = heads.dim // heads.heads, heads.dim, heads.l
        if (cfg.d, cfg.dw, cfg.l) != want:
            raise ValueError(f"the engine has d, dw, l = {cfg.d}, {cfg.dw}, {cfg.l}, must be "
                             f"{', '.join(map(str, want))} for layer {name}")
    if not 2 <= n <= cfg.n:
        raise ValueError(f"n is {n}, must be in 2..{cfg.n}, what the engine holds")


@torch.no_grad()
def calibrated(model: nn.Module, run: Callable[[], object], cfg: CTAConfig, n: int,
               chosen: Mapping[str, Candidate]) -> tuple[Policy, object]:
    """Put a candidate into each layer of ``model``, calibrate and run it in one ``run()``.

    ``chosen`` has a candidate for every attention layer. Returns the policy with the counts and
    widths that were reached, its error not measured, and what ``run`` returned.
    """
    layers = attention_layers(model)
    for name, heads in layers.items():
        heads.mode = "exact" if chosen[name].fractions is None else "cta"
    outputs: list[object] = []
    reached = calibrate_layers(model, lambda: outputs.append(run()), {
        name: {"counts": c.fractions} for name, c in chosen.items() if c.fractions is not None})
    choices = []
    for name, heads in layers.items():
        got = reached.get(name)
        cycles = layer_cycles(cfg, n, heads.heads, got.fractions if got else None)
        choices.append(Choice(name, chosen[name].name, got.fractions if got else (1.0, 1.0, 0.0),
                              got.w if got else None, cycles))
    exact = sum(layer_cycles(cfg, n, heads.heads, None) for heads in layers.values())
    engine = {key: getattr(cfg, key) for key in ("b", "d", "dw", "l")}
    return Policy(n, engine, tuple(choices), exact), outputs[0]
