"""Loss and accuracy on text that training never saw."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from sw.lm.data import Masked
from sw.lm.objective import tensors

__all__ = ["Score", "measure"]


@dataclass(frozen=True)
class Score:
    """``loss`` in nats a predicted token, ``accuracy`` the share predicted right, and the loss of
    every sequence."""

    loss: float
    accuracy: float
    sequences: np.ndarray

    def over(self, other: "Score") -> tuple[float, float]:
        """How much higher this loss is than another on the same sequences, and the standard
        error of that difference over the sequences (0 for a single one)."""
        difference = self.sequences - other.sequences
        count = len(difference)
        error = difference.std(ddof=1) / math.sqrt(count) if count > 1 else 0.0
        return float(difference.mean()), float(error)


@torch.no_grad()
def measure(model: torch.nn.Module, masked: Masked, *, size: int = 8,
            each: Callable[[int], None] | None = None) -> Score:
    """The score of a model on masked sequences, in evaluation mode and float32.

    ``size`` sequences go through at once; ``each`` is told how many after every such part.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    losses, right = [], 0
    try:
        for begin in range(0, len(masked.ids), size):
            ids, where, target = tensors(masked, device, slice(begin, begin + size))
            logits = model(ids, where).float()
            loss = F.cross_entropy(logits, target.flatten(), reduction="none")
            losses.append(loss.double().view(target.shape).mean(1).cpu().numpy())
            right += (logits.argmax(1) == target.flatten()).sum().item()
            if each:
                each(len(ids))
    finally:
        model.train(training)
    losses = np.concatenate(losses)
    return Score(float(losses.mean()), right / masked.target.size, losses)
