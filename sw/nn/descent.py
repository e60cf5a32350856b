"""The training loop: everything in this project that learns by gradients learns in it.

What differs between two trainings is given as values: the batches, the objective, the rate. The
loop gives back every step, so that who runs it measures, saves and stops between two of them.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sw.io.errors import InputError

__all__ = ["Objective", "Step", "descend"]

Objective = Callable[[int, object], Iterable[Tensor]]
"""``objective(step, batch)`` gives the parts of the loss, 0-dim tensors, one after the other. The
gradient of a part is added before the next part is computed, so that their memory is not."""


@dataclass(frozen=True)
class Step:
    """``number`` of the step, the sum of its ``loss`` without a graph, and the ``norm`` of the
    gradient before it was clipped, None where it is not clipped."""

    number: int
    loss: Tensor
    norm: Tensor | None


def descend(optimiser: torch.optim.Optimizer, batches: Iterable, objective: Objective, *,
            rate: Callable[[int], float], clip: float | None = None,
            parameters: Iterable[Tensor] | None = None, first: int = 0,
            finite: bool = True) -> Iterator[Step]:
    """Take one step of the optimiser a batch, and yield it.

    Parameters
    ----------
    optimiser : over the parameters that learn. A group may have a ``factor`` of its own, by which
        the rate is multiplied for it.
    batches : what ``objective`` is given; the loop ends with them.
    rate : learning rate of a step.
    clip : largest norm of the gradient, None for no limit. ``parameters`` are those whose norm it
        is, in the order of its sum; those of the optimiser if not given.
    first : number of the first step, where a training goes on.
    finite : whether a loss that is not finite is an error. It is found before the step is taken,
        so the weights are those of the step before.

    Raises :class:`sw.io.errors.InputError` at such a loss.
    """
    learning = [p for group in optimiser.param_groups for p in group["params"]]
    bounded = learning if parameters is None else list(parameters)
    for number, batch in enumerate(batches, first):
        for group in optimiser.param_groups:
            group["lr"] = rate(number) * group.get("factor", 1.0)
        optimiser.zero_grad(set_to_none=True)
        loss = 0.0
        for part in objective(number, batch):
            part.backward()
            loss = loss + part.detach()
        if finite and not torch.isfinite(loss):
            raise InputError(f"the loss of step {number} is {loss.item()}, must be finite; a "
                             "smaller learning rate may help")
        norm = None if clip is None else nn.utils.clip_grad_norm_(bounded, clip)
        optimiser.step()
        yield Step(number, loss, norm)
