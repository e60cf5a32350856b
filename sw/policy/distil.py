"""Self-distillation: a model with compressed attention learns to be the exact model again.

Teacher and student start from the same weights; only the student's attention is compressed. No
labels are needed. The loss is 1 - cosine of the outputs, and the squared error of the hidden
states of all layers relative to their variance: the first is what is asked for, the second gives
every token something to learn from. The gradient goes through the means of the clusters (CTA,
eq. 2), the codes have none.

Training moves the cluster counts, so widths are calibrated again every few steps on the batch at
hand: the compression stays what was asked for, and cannot be bought off by more clusters.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from sw.nn.attachment import attention_layers
from sw.nn.calibration import calibrate_layers
from sw.nn.descent import descend
from sw.policy.plan import Fractions

__all__ = ["States", "DistilConfig", "Step", "loss_parts", "distil"]


@dataclass(frozen=True)
class States:
    """What a model makes of a batch: ``hidden``, a tuple of (B, n, D), one a layer; ``output``
    (B, E); ``valid`` (B, n) bool or None, True for real tokens."""

    hidden: tuple[Tensor, ...]
    output: Tensor
    valid: Tensor | None = None


@dataclass(frozen=True)
class DistilConfig:
    """How to distil.

    steps : of the optimiser (AdamW). rate : its highest learning rate, reached after ``warmup``
    steps, then falling to 0 along a line. weight_decay : of matrices, not of vectors.
    clip : largest norm of the gradient. output_weight, hidden_weight : of the parts of the loss.
    recalibrate : steps between two calibrations of the bucket widths.
    directions_rate : learning rate of the hash directions of layers with learned ones, relative
    to ``rate``. frozen : parameters with any of these in their name stay as they are.
    bf16 : forward in bfloat16 where autocast does so; hashing and weights stay in single precision.
    """

    steps: int = 300
    rate: float = 8e-5
    warmup: int = 20
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    output_weight: float = 10.0
    hidden_weight: float = 1.0
    recalibrate: int = 10
    directions_rate: float = 1.0
    frozen: tuple[str, ...] = ("word_embeddings", "pooler")
    bf16: bool = False

    def __post_init__(self):
        for name in ("steps", "warmup", "recalibrate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least 1")
        for name in ("rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, must be above 0")
        for name in ("weight_decay", "output_weight", "hidden_weight", "directions_rate"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least 0")
        if self.output_weight == self.hidden_weight == 0:
            raise ValueError("output_weight and hidden_weight are both 0, one must be above 0")


@dataclass(frozen=True)
class Step:
    """``step`` counts from 1; ``output`` is 1 - cosine, ``hidden`` the relative squared error."""

    step: int
    output: float
    hidden: float


def loss_parts(student: States, teacher: States) -> tuple[Tensor, Tensor]:
    """1 - cosine of the outputs, mean over the batch; and the squared error of the hidden states
    over their variance about the mean token of the batch, valid tokens only, mean over layers.
    Two 0-dim tensors in single precision or better."""
    output = (1 - torch.cosine_similarity(_wide(student.output), _wide(teacher.output),
                                          dim=-1)).mean()
    parts = []
    for x, y in zip(student.hidden, teacher.hidden, strict=True):
        x, y = _wide(x), _wide(y)
        if teacher.valid is not None:
            x, y = x[teacher.valid], y[teacher.valid]
        x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
        spread = (y - y.mean(dim=0)).square().sum().clamp(min=torch.finfo(y.dtype).tiny)
        parts.append((x - y).square().sum() / spread)
    return output, torch.stack(parts).mean()


def distil(student: nn.Module, teacher: nn.Module, run: Callable[[nn.Module, object], States],
           batches: Iterable, fractions: Mapping[str, Fractions], cfg: DistilConfig, *,
           on_step: Callable[[Step], None] | None = None) -> list[Step]:
    """Train ``student`` in place, one batch a step, until cfg.steps or the end of ``batches``.

    Parameters
    ----------
    run : run(model, batch) -> States, with gradients if they are on.
    fractions : k0/m, k1/n, k2/n of the student's layers that are compressed, held by calibration.
        The last widths are those of a training batch: calibrate on a larger text afterwards.
    on_step : called after every step.

    Both models are in evaluation mode meanwhile: dropout would tell them apart. Returns the steps.
    Raises ValueError if nothing is left to train, InputError at a loss that is not finite.
    """
    modes = student.training, teacher.training
    student.eval(), teacher.eval()
    groups = _groups(student, cfg)
    frozen = [p for p in student.parameters() if p.requires_grad
              and not any(p is q for g in groups for q in g["params"])]
    optimiser = torch.optim.AdamW(groups, betas=cfg.betas, eps=1e-6)
    kind = next(student.parameters()).device.type
    targets = {name: {"counts": some} for name, some in fractions.items()}
    steps: list[Step] = []
    for p in frozen:
        p.requires_grad_(False)

    def objective(number, batch):
        nonlocal output, hidden
        with torch.autocast(kind, torch.bfloat16, enabled=cfg.bf16):
            with torch.no_grad():
                goal = run(teacher, batch)
                if fractions and number % cfg.recalibrate == 0:
                    calibrate_layers(student, lambda: run(student, batch), targets)
            got = run(student, batch)
        output, hidden = loss_parts(got, goal)
        yield cfg.output_weight * output + cfg.hidden_weight * hidden

    output = hidden = None
    try:
        for taken in descend(optimiser, islice(batches, cfg.steps), objective,
                             rate=lambda number: _rate(cfg, number), clip=cfg.clip):
            steps.append(Step(taken.number + 1, output.item(), hidden.item()))
            if on_step is not None:
                on_step(steps[-1])
    finally:
        optimiser.zero_grad()
        for p in frozen:
            p.requires_grad_(True)
        student.train(modes[0]), teacher.train(modes[1])
    return steps


def _wide(x):
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _rate(cfg, number):
    """Up along a line, then down along a line to 0."""
    warmup = min(cfg.warmup, cfg.steps)
    if number < warmup:
        return cfg.rate * (number + 1) / warmup
    return cfg.rate * (cfg.steps - number) / (cfg.steps - warmup + 1)


def _groups(model, cfg):
    """Parameters to train: matrices with weight decay, vectors without, hash directions apart."""
    directions = {id(heads.a) for heads in attention_layers(model).values()}
    found = {"matrix": [], "vector": [], "direction": []}
    for name, p in model.named_parameters():
        if p.requires_grad and not any(part in name for part in cfg.frozen):
            found["direction" if id(p) in directions else
                  "matrix" if p.dim() > 1 else "vector"].append(p)
    groups = [{"params": found[key], "weight_decay": decay, "factor": factor}
              for key, decay, factor in (("matrix", cfg.weight_decay, 1.0), ("vector", 0.0, 1.0),
                                         ("direction", 0.0, cfg.directions_rate)) if found[key]]
    if not groups:
        raise ValueError(f"nothing is left to train, frozen is {cfg.frozen}")
    return groups
