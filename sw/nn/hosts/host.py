"""A layer of somebody else's model, as attach sees it: what may be replaced, and how it comes back.

The replacement holds what it replaces in ``kept``, a plain dictionary. Modules in there are no
children of the model: they are in neither ``parameters()`` nor ``state_dict()``, and ``to()`` does
not move them. Attention loses nothing by that, since its linears are shared with the replacement
(docs/decisions/0005-attach.md); a feed-forward network waits as it was.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from sw.nn.cta_heads import CTAHeads
from sw.nn.intact import foreign_hooks, why_not_plain

__all__ = ["PARTS", "CAUSAL", "FeedForward", "Host", "cta_heads", "plain_linear"]

PARTS = ("attention", "ffn")

CAUSAL = ("a causal mask cannot be kept by CTA as published: tokens of one cluster share one "
          "output, and centroids mix a token with later ones")


class FeedForward(nn.Module):
    """A feed-forward layer in the place of a host's; ``kept`` is what stood there."""

    def __init__(self, ffn: nn.Module):
        super().__init__()
        self.ffn = ffn
        self.kept: dict[str, object] = {}
        self.lost = ""      # why ``kept`` is not what stood there, after sw.load_pretrained

    @property
    def flop(self) -> int:
        return self.ffn.flop

    @property
    def aux_loss(self) -> Tensor | None:
        return getattr(self.ffn, "aux_loss", None)

    def forward(self, x: Tensor) -> Tensor:
        return self.ffn(x)


def plain_linear(**linears) -> str | None:
    """Why CTA cannot share these modules, None if it can: it needs a linear and its weight."""
    for name, linear in linears.items():
        if why := why_not_plain(linear):
            return f"{name} {why}"
        if linear.in_features != linear.out_features:
            return f"{name} is {linear.in_features} to {linear.out_features}, CTA needs a square"
    return None


def cta_heads(q: nn.Linear, k: nn.Linear, v: nn.Linear, heads: int, mode: str,
              options: Mapping, dropout: float) -> CTAHeads:
    """CTAHeads with these linears as its own, on their device and in their dtype.

    Draws nothing from torch's global generator. ``dropout`` is the host's, ``options`` may have
    another. Raises ValueError for an option that CTAHeads does not take.
    """
    legal = ("l", "directions", "shared", "seed", "dropout")
    for name in options:
        if name not in legal:
            raise ValueError(f"attention_options has {name!r}, must be among {', '.join(legal)}")
    with torch.random.fork_rng(devices=[]):
        new = CTAHeads(q.in_features, heads, bias=q.bias is not None, mode=mode,
                       **{"dropout": dropout, **options})
    new.q, new.k, new.v = q, k, v
    return new.to(q.weight.device, q.weight.dtype)


class Host:
    """Base of the adapters, one object for one layer of a model.

    A subclass names in ``ATTENTION`` the attribute that attention is replaced at, in ``FFN`` those
    of the feed-forward network: the first gets the replacement, the others ``nn.Identity``. Paths
    may have dots. Empty means that the layer has no such part. ``FAMILY`` is what people call the
    models, ``LAYER`` the class of their layers, in full.

    Parameters
    ----------
    name : of ``layer`` in its model. layer : the module. depths : at which depths it is used.
    """

    FAMILY: ClassVar[str] = ""
    LAYER: ClassVar[str] = ""
    ATTENTION: ClassVar[tuple[str, ...]] = ()
    FFN: ClassVar[tuple[str, ...]] = ()
    SEEDED: ClassVar[bool] = True       # new_attention draws hash directions from a seed
    SHARED: ClassVar[tuple[str, ...]] = ()  # children of attention that the replacement calls too

    def __init__(self, name: str, layer: nn.Module, depths: tuple[int, ...] = ()):
        self.name, self.layer, self.depths = name, layer, depths

    # -- what a family says -----------------------------------------------------------------------

    @classmethod
    def takes(cls, module: nn.Module) -> bool:
        """Whether ``module`` is a layer of the family; a subclass may compute something else."""
        return f"{type(module).__module__}.{type(module).__qualname__}" == cls.LAYER

    @classmethod
    def depths_in(cls, model: nn.Module) -> dict[int, tuple[int, ...]]:
        """id(layer) -> the depths at which it works, for layers that serve several."""
        return {}

    # -- what a subclass says ---------------------------------------------------------------------

    def why_not(self, part: str) -> str | None:
        """Why ``part`` cannot be replaced, None if it can. Asked of parts not yet replaced."""
        raise NotImplementedError

    def dim(self) -> int:
        """Token dimension."""
        raise NotImplementedError

    def new_attention(self, mode: str, options: Mapping) -> nn.Module:
        """The replacement of attention, holding the layer's own linears; nothing is put yet."""
        raise NotImplementedError

    def give_back(self, new: nn.Module, old: nn.Module) -> None:
        """Weights of the replacement of attention that the kept module does not share."""

    # -- what all have in common ------------------------------------------------------------------

    def paths(self, part: str) -> tuple[str, ...]:
        return self.ATTENTION if part == "attention" else self.FFN

    def where(self, part: str) -> str:
        """Name of the module that is replaced, in the whole model."""
        return ".".join(filter(None, (self.name, self.paths(part)[0])))

    def at(self, part: str):
        """What stands in the place now."""
        return _get(self.layer, self.paths(part)[0])

    def attached(self, part: str) -> bool:
        return bool(getattr(self.at(part), "kept", None))

    def hooked(self, part: str) -> str | None:
        """A hook on any module that would be replaced, and so be called no more; None where there
        is none."""
        for path in self.paths(part):
            if why := self._hook_in(part, path):
                return why
        return None

    def undone(self, part: str) -> str | None:
        """What :meth:`restore` would drop in silence, in words: hooks on the replacement, a module
        put in the place of one that both share, a network that no folder had. None where there is
        nothing. The linears of attention are :func:`sw.nn.intact.require_plain`'s affair, and what
        is within a new feed-forward network goes with it, as its weights do."""
        new = self.at(part)
        if lost := getattr(new, "lost", ""):
            return lost
        old = new.kept.get(self.paths(part)[0])
        for name in self.SHARED if part == "attention" else ():
            if getattr(new, name) is not getattr(old, name):
                return (f"{name} is a {type(getattr(new, name)).__name__} put there after attach; "
                        "merge it into what stood there")
        return self.hooked(part)

    def _hook_in(self, part: str, path: str) -> str | None:
        root = _get(self.layer, path)
        for name, module in root.named_modules() if isinstance(root, nn.Module) else ():
            child = name.split(".")[0]
            out = child in self.SHARED if part == "attention" else (
                    child == "ffn" and isinstance(root, FeedForward))
            why = None if out else foreign_hooks(module)
            if why:
                return f"{'.'.join(filter(None, (path, name)))}: {why}"
        return None

    def put(self, part: str, new: nn.Module) -> None:
        """Put the replacement; what stood there waits in ``new.kept``."""
        new.kept = {path: _get(self.layer, path) for path in self.paths(part)}
        for path in self.paths(part):
            _set(self.layer, path, new if path == self.paths(part)[0] else nn.Identity())
            _get(self.layer, path).train(self.layer.training)

    def restore(self, part: str) -> None:
        """Undo :meth:`put`; what comes back is in the mode, on the device and in the dtype of
        what goes."""
        new = self.at(part)
        like = next(new.parameters())
        for path, old in new.kept.items():
            if isinstance(old, nn.Module):
                old.train(new.training).to(like.device, like.dtype)
            _set(self.layer, path, old)
        if part == "attention":
            self.give_back(new, self.at(part))
        new.kept = {}

    def describe(self, part: str) -> str:
        """The part in words, for the report."""
        module = self.at(part)
        heads = getattr(module, "heads", None)
        if isinstance(heads, CTAHeads):
            hashing = f", l {heads.l}, {heads.directions}" if heads.mode == "cta" else ""
            return f"CTAHeads, {heads.mode}{hashing}"
        if part == "ffn" and not self.attached(part):
            return f"MLP of {type(self.layer).__name__}"
        return type(module.ffn if self.attached(part) else module).__name__


def _get(module: nn.Module, path: str):
    for name in path.split("."):
        module = getattr(module, name)
    return module


def _set(module: nn.Module, path: str, value) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        module = getattr(module, parent)
    if name in module._modules and not isinstance(value, nn.Module):
        delattr(module, name)       # an activation may be a function, which no module slot takes
    setattr(module, name, value)    # an existing slot keeps its place in the order of modules
