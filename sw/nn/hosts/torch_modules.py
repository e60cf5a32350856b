"""Layers of torch: TransformerEncoderLayer, TransformerDecoderLayer, and MultiheadAttention alone.

Torch packs the weights of q, k and v in one matrix. It is split for the replacement and packed
again when the original comes back. Fused kernels of the eval mode would go past a replacement, so
they are switched off where something is replaced: in the layer, and for nested tensors in the
whole TransformerEncoder.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.utils import parametrize

from sw.nn.cta_attention import CTAAttention
from sw.nn.hosts.host import CAUSAL, Host, cta_heads

__all__ = ["TorchLayerHost", "TorchDecoderHost", "MultiheadHost", "find_host", "nested_tensors"]

KERNEL = "activation_relu_or_gelu"      # 0 keeps TransformerEncoderLayer from its fused kernel
NESTED = "use_nested_tensor"


class MultiheadHost(Host):
    """An nn.MultiheadAttention that no layer known here holds; ``layer`` is its parent.

    The replacement is a CTAAttention: no weights are returned, keys and values are one tensor.
    """

    SHARED = ("out_proj",)

    def __init__(self, name: str, parent: nn.Module, names: list[str]):
        super().__init__(name, parent)
        self.ATTENTION = (name.rpartition(".")[2],)
        self._names = names

    def where(self, part: str) -> str:
        return self.name

    def why_not(self, part: str) -> str | None:
        if len(self._names) > 1:
            return f"one module in several places: {', '.join(self._names)}"
        return _multihead(self.at(part))

    def dim(self) -> int:
        return self.at("attention").embed_dim

    def new_attention(self, mode: str, options: Mapping) -> nn.Module:
        return _split(self.at("attention"), mode, options)

    def give_back(self, new: nn.Module, old: nn.Module) -> None:
        _pack(new, old)


class TorchLayerHost(Host):
    """nn.TransformerEncoderLayer; the dropout of its hidden layer goes with that."""

    ATTENTION = ("self_attn",)
    FFN = ("linear1", "activation", "dropout", "linear2")
    SHARED = ("out_proj",)
    TORCH = nn.TransformerEncoderLayer

    def why_not(self, part: str) -> str | None:
        method = "_sa_block" if part == "attention" else "_ff_block"
        for name in ("forward", method):
            own = getattr(type(self.layer), name) is not getattr(self.TORCH, name)
            if own or name in vars(self.layer):
                return f"{type(self.layer).__name__} has a {name} of its own"
        return _multihead(self.at(part)) if part == "attention" else None

    def dim(self) -> int:
        return self.layer.norm1.normalized_shape[0]

    def new_attention(self, mode: str, options: Mapping) -> nn.Module:
        return _split(self.at("attention"), mode, options)

    def give_back(self, new: nn.Module, old: nn.Module) -> None:
        _pack(new, old)

    def put(self, part: str, new: nn.Module) -> None:
        super().put(part, new)
        if part == "ffn" and hasattr(self.layer, KERNEL):
            new.kept[KERNEL] = getattr(self.layer, KERNEL)
            setattr(self.layer, KERNEL, 0)


class TorchDecoderHost(TorchLayerHost):
    """nn.TransformerDecoderLayer, of which only the feed-forward network can be replaced."""

    TORCH = nn.TransformerDecoderLayer

    def why_not(self, part: str) -> str | None:
        if part == "attention":
            return f"attention of a decoder: {CAUSAL}"
        return super().why_not(part)


def find_host(name: str, module: nn.Module, model: nn.Module) -> Host | None:
    """The adapter of ``module``, None if it is no layer of torch.

    Raises ValueError if the model itself is a MultiheadAttention, which nothing holds.
    """
    if isinstance(module, nn.TransformerEncoderLayer):
        return TorchLayerHost(name, module)
    if isinstance(module, nn.TransformerDecoderLayer):
        return TorchDecoderHost(name, module)
    put = isinstance(module, CTAAttention) and getattr(module, "kept", None)
    if not put and not isinstance(module, nn.MultiheadAttention):
        return None
    if module is model:
        raise ValueError(f"the model is a {type(model).__name__} itself, must be a module that "
                         "holds one: it is replaced in place")
    names = [other for other, m in model.named_modules(remove_duplicate=False) if m is module]
    return MultiheadHost(name, model.get_submodule(name.rpartition(".")[0]), names)


def nested_tensors(model: nn.Module, hosts: list[Host]) -> None:
    """Switch nested tensors off in every TransformerEncoder with a replaced part, and on again
    as they were in one without."""
    replaced = {id(host.layer) for host in hosts
                if any(host.attached(part) for part in ("attention", "ffn") if host.paths(part))}
    for encoder in model.modules():
        if not isinstance(encoder, nn.TransformerEncoder):
            continue
        off, was = replaced & {id(layer) for layer in encoder.layers}, "nested_before_attach"
        if off and not hasattr(encoder, was):
            setattr(encoder, was, getattr(encoder, NESTED))
            setattr(encoder, NESTED, False)
        elif not off and hasattr(encoder, was):
            setattr(encoder, NESTED, getattr(encoder, was))
            delattr(encoder, was)


def _multihead(old: nn.Module) -> str | None:
    """Why CTA cannot replace this MultiheadAttention, None if it can."""
    if type(old).forward is not nn.MultiheadAttention.forward:
        return f"{type(old).__name__} has a forward of its own"
    if parametrize.is_parametrized(old):
        names = ", ".join(old.parametrizations)
        return f"it has a parametrisation on {names}, which detach could not give back; remove it"
    if not old._qkv_same_embed_dim:
        return (f"kdim and vdim are {old.kdim} and {old.vdim}, must be embed_dim = "
                f"{old.embed_dim}: CTA takes queries, keys and values of one dimension")
    if old.bias_k is not None or old.add_zero_attn:
        return "add_bias_kv or add_zero_attn is set: CTA has no keys without a token"
    return None


def _split(old: nn.MultiheadAttention, mode: str, options: Mapping) -> CTAAttention:
    with torch.random.fork_rng(devices=[]):
        new = CTAAttention.from_torch(old)
    heads = new.heads
    for linear in (heads.q, heads.k, heads.v):
        linear.weight.requires_grad_(old.in_proj_weight.requires_grad)
        if linear.bias is not None:
            linear.bias.requires_grad_(old.in_proj_bias.requires_grad)
    new.heads = cta_heads(heads.q, heads.k, heads.v, old.num_heads, mode, options, old.dropout)
    return new


def _pack(new: CTAAttention, old: nn.MultiheadAttention) -> None:
    linears = (new.heads.q, new.heads.k, new.heads.v)
    with torch.no_grad():
        old.in_proj_weight.copy_(torch.cat([linear.weight for linear in linears]))
        if old.in_proj_bias is not None:
            old.in_proj_bias.copy_(torch.cat([linear.bias for linear in linears]))
            old.in_proj_bias.requires_grad_(new.heads.q.bias.requires_grad)
    old.in_proj_weight.requires_grad_(new.heads.q.weight.requires_grad)
