"""Whether a linear is what it looks like: its weight and its bias, and nothing around them.

CTA multiplies residual centroids by the weight of a linear alone, quantisation and export read the
weight, detach gives the linear back. A hook, an adapter in its place (LoRA) or a parametrisation
would be honoured in one of these places and not in another; so each of them asks here first.
"""

from torch import nn
from torch.nn.utils import parametrize

__all__ = ["touched", "why_not_plain", "require_plain", "foreign_hooks"]

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
CAPTURING = "transformers.utils.output_capturing"
"""The module whose hooks record outputs for transformers; they come back by themselves."""


def touched(module: nn.Module) -> str | None:
    """What stands around the weights of a module, in words; None where nothing does."""
    if parametrize.is_parametrized(module):
        return f"has a parametrisation on {', '.join(module.parametrizations)}"
    if "forward" in vars(module):
        return "has a forward of its own"
    for kind in HOOKS:
        if getattr(module, kind):
            return f"has a {kind.strip('_').replace('_', ' ').removesuffix('s')}"
    return None


def why_not_plain(linear: nn.Module) -> str | None:
    """Why a module is more than an nn.Linear's weight and bias; None where it is not."""
    if not isinstance(linear, nn.Linear) or type(linear).forward is not nn.Linear.forward:
        return f"is a {type(linear).__name__}, CTA needs an nn.Linear"
    return touched(linear)


def require_plain(heads: nn.Module, what: str) -> None:
    """Raise ValueError unless q, k and v of CTAHeads are plain; ``what`` is what cannot be done."""
    for name in ("q", "k", "v"):
        why = why_not_plain(getattr(heads, name))
        if why:
            raise ValueError(f"{what}: {name} {why}; merge an adapter into the weight, or remove "
                             "what was added")


def foreign_hooks(module: nn.Module) -> str | None:
    """A hook on ``module``, or a forward put on the object, that what takes its place would not
    call, in words; None where there is none.

    Hooks by which transformers records outputs do not count.
    """
    if "forward" in vars(module):
        return "it has a forward of its own, which what takes its place would not call"
    for kind in HOOKS:
        for hook in getattr(module, kind).values():
            if getattr(hook, "__module__", "") != CAPTURING:
                words = kind.strip("_").replace("_", " ").removesuffix("s")
                return (f"it has a {words}, which what takes its place would not call; remove it, "
                        "and set it again afterwards")
    return None
