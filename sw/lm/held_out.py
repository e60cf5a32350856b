"""Loss and accuracy on text that training never saw."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from sw.lm.data import Masked

__all__ = ["Score", "measure"]


@dataclass(frozen=True)
class Score:
    """``loss`` in nats a predicted token, ``accuracy`` the share predicted right."""

    loss: float
    accuracy: float


@torch.no_grad()
def measure(model: torch.nn.Module, masked: Masked, *, size: int = 8,
            each: Callable[[int], None] | None = None) -> Score:
    """The score of a model on masked sequences, in evaluation mode and float32.

    ``size`` sequences go through at once; ``each`` is told how many after every such part.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    loss = right = 0.0
    try:
        for begin in range(0, len(masked.ids), size):
            part = slice(begin, begin + size)
            ids, where, target = (torch.from_numpy(a[part]).to(device)
                                  for a in (masked.ids, masked.where, masked.target))
            target = target.flatten()
            logits = model(ids, where).float()
            loss += F.cross_entropy(logits, target, reduction="sum").item()
            right += (logits.argmax(1) == target).sum().item()
            if each:
                each(len(ids))
    finally:
        model.train(training)
    count = masked.target.size
    return Score(loss / count if math.isfinite(loss) else math.inf, right / count)
