"""Attention and feed-forward networks that no adapter knows: the report names them as well.

They are told by what they hold, since their classes are anybody's: attention by linears for q, k and
v, or one for all three; a feed-forward network by one that widens and one that narrows.
"""

from collections.abc import Iterable, Iterator

from torch import nn

from sw.nn.hosts.host import CAUSAL

__all__ = ["Unknown", "unknown_parts", "in_words"]

ATTENTION = ({"q", "k", "v"}, {"query", "key", "value"}, {"q_proj", "k_proj", "v_proj"},
             {"q_lin", "k_lin", "v_lin"}, {"to_q", "to_k", "to_v"}, {"wq", "wk", "wv"}, {"qkv"},
             {"qkv_proj"}, {"c_attn"}, {"in_proj"}, {"query_key_value"}, {"attn_qkv"}, {"Wqkv"})
"""Names of children that make an attention."""

FFN = ({"fc1", "fc2"}, {"up_proj", "down_proj"}, {"c_fc", "c_proj"}, {"wi", "wo"}, {"wi_0", "wo"},
       {"lin1", "lin2"}, {"linear1", "linear2"}, {"w1", "w2"}, {"dense_h_to_4h", "dense_4h_to_h"},
       {"intermediate_dense", "output_dense"}, {"gate_up_proj", "down_proj"}, {"wi", "wo"},
       {"ffn", "ffn_output"}, {"intermediate", "output"})
"""Names of children that make a feed-forward network."""


class Unknown:
    """One of them: ``name``, ``part`` "attention" or "ffn", ``kind`` (its class) and ``why`` it stays."""

    def __init__(self, name: str, part: str, module: nn.Module):
        self.name, self.part, self.kind = name, part, type(module).__name__
        self.why = f"no adapter knows {self.kind}"
        if part == "attention" and _causal(module):
            self.why = f"{self.kind} is causal: {CAUSAL}"


def _causal(module: nn.Module) -> bool:
    return bool(getattr(module, "is_causal", False))


def _part(module: nn.Module) -> str | None:
    if isinstance(module, nn.MultiheadAttention):
        return "attention"
    children = {name for name, _ in module.named_children()}
    kind = type(module).__name__.lower()
    if any(names <= children for names in ATTENTION):
        return "attention"
    if "layer" not in kind and "block" not in kind and "encoder" not in kind:
        if any(names <= children for names in FFN):
            return "ffn"
        if kind.endswith(("mlp", "feedforward", "ffn")) and any(True for _ in module.parameters()):
            return "ffn"
    # A layer that holds the linears of its network itself, beside attention.
    if any(names <= children and all(isinstance(getattr(module, n), nn.Linear) for n in names)
           for names in FFN):
        return "ffn"
    return None


def unknown_parts(model: nn.Module, taken: Iterable[nn.Module]) -> Iterator[Unknown]:
    """Those of ``model`` outside the modules ``taken``, outermost first, in its order."""
    inside = {id(module) for root in taken for module in root.modules()}
    for name, module in model.named_modules():
        if id(module) in inside:
            continue
        part = _part(module)
        if part is not None:
            yield Unknown(name, part, module)
            if not isinstance(module, nn.MultiheadAttention) and part == "attention":
                inside |= {id(m) for m in module.modules()}


def in_words(found: list[Unknown]) -> str:
    """All of them in a sentence, by class and reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in found:
        groups.setdefault((one.part, one.why), []).append(one.name)
    return "; ".join(f"{part} {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
                     + f": {why}" for (part, why), names in groups.items())
