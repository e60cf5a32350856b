"""Search for a per-layer policy: the fewest cycles within an error of the model's output, or the
least error within a share of the cycles of exact attention.

1. Sensitivities: every layer at every candidate compression, the other layers exact.
2. Errors taken as additive, the choice is a multiple-choice knapsack, solved exactly.
3. Additivity is an assumption, so the choice is measured as a whole, with each of its layers put
   back to exact in turn. What a layer really adds rescales its sensitivities, and 2 is repeated.

The result is always a plan that was measured as a whole.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import nn

from model.cta.config import CTAConfig
from sw.nn.attachment import attention_layers
from sw.policy.knapsack import plans
from sw.policy.plan import CANDIDATES, Candidate, Policy, calibrated, check_engine, layer_cycles

__all__ = ["Search", "Searcher", "plans", "search", "cosine_error"]


@dataclass(frozen=True)
class Search:
    """``policy``; ``alone`` [layer][candidate], the error of each alone; ``measured``, the plans
    that were run, as (cycles, error, names of the candidates)."""

    policy: Policy
    alone: dict[str, dict[str, float]]
    measured: tuple[tuple[int, float, tuple[str, ...]], ...]


def cosine_error(output: torch.Tensor, exact: torch.Tensor) -> float:
    """1 - cosine of the last axis, mean over the others."""
    return float(1 - torch.cosine_similarity(output.detach().double(), exact.detach().double(),
                                             dim=-1).mean())


def search(model: nn.Module, run: Callable[[], torch.Tensor], cfg: CTAConfig, n: int, *,
           max_error: float | None = None, max_share: float | None = None, **options) -> Search:
    """One limit of a :class:`Searcher`, which has the parameters."""
    return Searcher(model, run, cfg, n, **options).find(max_error=max_error, max_share=max_share)


class Searcher:
    """Chooses for every attention layer of ``model``, under one limit after the other.

    Parameters
    ----------
    run : runs the model on the calibration text, returns its output. No gradients are needed.
    cfg : the engine. Its d, dw and l must be those of the model's attention layers.
    n : tokens of a sequence, for the cycles.
    candidates : what to choose from; one must be exact.
    error : error(output, exact output), 0 for equal ones.
    rounds : of measuring and choosing again.
    progress : called with a few words before every measurement. A plan is measured once only.

    Raises ValueError for anything of this that is not so.
    """

    def __init__(self, model: nn.Module, run: Callable[[], torch.Tensor], cfg: CTAConfig, n: int, *,
                 candidates: Iterable[Candidate] = CANDIDATES,
                 error: Callable[[torch.Tensor, torch.Tensor], float] = cosine_error,
                 rounds: int = 3, progress: Callable[[str], object] = lambda text: None):
        self.model, self.run, self.cfg, self.n, self.error = model, run, cfg, n, error
        self.candidates, self.rounds, self.progress = tuple(candidates), rounds, progress
        check_engine(model, cfg, n)
        self.layers = attention_layers(model)
        names = [c.name for c in self.candidates]
        exact = [i for i, c in enumerate(self.candidates) if c.fractions is None]
        if not exact or len(set(names)) < len(names):
            raise ValueError(f"candidates are {', '.join(names)}, must have different names and "
                             "one that is exact")
        self.exact = exact[0]
        self.exact_cycles = sum(layer_cycles(cfg, n, h.heads, None) for h in self.layers.values())
        self.reference: torch.Tensor | None = None
        self.measured: dict[tuple[int, ...], Policy] = {}

    def find(self, *, max_error: float | None = None, max_share: float | None = None) -> Search:
        """The fewest cycles with an error of at most ``max_error``, or the least error with at
        most the share ``max_share`` of the cycles of exact attention; one of them is given. The
        model is left with the policy applied. Raises ValueError if no choice keeps max_share."""
        if (max_error is None) == (max_share is None):
            raise ValueError("max_error and max_share: one of the two must be given")
        self._measure((self.exact,) * len(self.layers))
        grid = [[self._measure(self._single(i, j)) for j in range(len(self.candidates))]
                for i in range(len(self.layers))]
        # What a layer costs alone, at the counts it reached; what it adds is corrected below.
        cycles = [[p.choices[i].cycles for p in row] for i, row in enumerate(grid)]
        errors = [[p.error for p in row] for row in grid]
        bound = limit = max_share if max_error is None else max_error
        tried: set[tuple[int, ...]] = set()
        for _ in range(self.rounds + 1):
            plan = self._choose(cycles, errors, max_error is None, limit)
            if plan in tried:
                break
            tried.add(plan)
            whole = self._measure(plan)
            for i in range(len(plan)):
                if plan[i] != self.exact:
                    without = self._measure(plan[:i] + (self.exact,) + plan[i + 1:])
                    before = errors[i][plan[i]]
                    factor = max(whole.error - without.error, 0.0) / before if before > 0 else 1.0
                    errors[i] = [e * factor for e in errors[i]]
            # The limit in terms of what the sums now say of this plan.
            said = sum(row[j] for row, j in zip(errors if max_share is None else cycles, plan))
            got = whole.error if max_share is None else whole.cycles
            limit = bound * said / got if got > 0 else bound
        policy = self._best(max_error, max_share)
        names = tuple(c.name for c in self.candidates)
        policy = replace(policy, choices=tuple(
            replace(c, alone=grid[i][names.index(c.candidate)].error)
            for i, c in enumerate(policy.choices)))
        policy.apply(self.model)
        alone = {name: dict(zip(names, (p.error for p in row)))
                 for name, row in zip(self.layers, grid)}
        measured = tuple(sorted((p.cycles, p.error, tuple(names[j] for j in plan))
                                for plan, p in self.measured.items()))
        return Search(policy, alone, measured)

    def _single(self, layer, candidate):
        plan = [self.exact] * len(self.layers)
        plan[layer] = candidate
        return tuple(plan)

    def _choose(self, cycles, errors, by_share, limit):
        front = plans(cycles, errors)
        if not by_share:
            return next((p for p in front if p[1] <= limit), front[-1])[2]
        fit = [p for p in front if p[0] <= limit * self.exact_cycles]
        if not fit:
            raise ValueError(f"max_share is {limit:.3f}, the candidates need at least "
                             f"{front[0][0] / self.exact_cycles:.3f} of the exact cycles")
        return fit[-1][2]

    def _best(self, max_error, max_share):
        """The best of all plans that were measured as a whole and keep the limit."""
        if max_error is not None:
            return min((p for p in self.measured.values() if p.error <= max_error),
                       key=lambda p: (p.cycles, p.error))
        fit = [p for p in self.measured.values() if p.share <= max_share]
        if not fit:
            raise ValueError(f"max_share is {max_share}: no plan that was measured keeps it")
        return min(fit, key=lambda p: (p.error, p.cycles))

    @torch.no_grad()
    def _measure(self, plan) -> Policy:
        """Calibrate and run the whole model with that plan."""
        if plan in self.measured:
            return self.measured[plan]
        chosen = dict(zip(self.layers, (self.candidates[j] for j in plan)))
        self.progress(" ".join(c.name for c in chosen.values()))
        policy, output = calibrated(self.model, self.run, self.cfg, self.n, chosen)
        if self.reference is None:      # the exact model, to which all is compared
            self.reference, error = output, 0.0
        else:
            error = self.error(output, self.reference)
        self.measured[plan] = replace(policy, error=error)
        return self.measured[plan]
