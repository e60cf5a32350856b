"""What the encoders of Hugging Face transformers (5.23) have in common: replacement and adapter.

Classes are recognised by name, so that nothing here imports transformers. In all of them the hidden
state itself goes into attention (post-norm), and padding arrives as a 4-D mask, boolean or additive,
as the attention implementation of the configuration wants it.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from sw.nn.cta_heads import CTAHeads
from sw.nn.hosts.host import CAUSAL, Host, cta_heads, plain_linear
from sw.nn.intact import CAPTURING
from sw.nn.saved import rename_loaded, rename_saved

__all__ = ["HFAttention", "HFHost", "forget_output_hooks", "valid_tokens"]

PADDED = -1e4       # additive masks hold the least value of their dtype, older ones -10000


def valid_tokens(mask: Tensor | None, batch: int, n: int) -> Tensor | None:
    """Which tokens are real, (batch, n) bool, from the mask that transformers hands to attention.

    None, (B, n) with non-zero for real tokens, or (B, 1, 1 or m, n): boolean with True for real
    tokens, or additive with 0 for real tokens and at most -10000 for padding. Raises ValueError
    for a mask that says anything else than which keys are padding: one that differs from query to
    query (causal, block-wise), a bias on the scores, a mask of flex attention.
    """
    if mask is None:
        return None
    if not isinstance(mask, Tensor):
        raise ValueError(f"attention_mask is a {type(mask).__name__}, must be a tensor; set "
                         "attn_implementation to 'sdpa' or 'eager'")
    if mask.dim() == 2:
        valid = mask != 0
    elif mask.dim() == 4 and mask.shape[1] == 1:
        rows = mask[:, 0]
        if not bool((rows == rows[:, :1]).all()):
            raise ValueError("attention_mask differs from query to query, must only say which "
                             f"tokens are padding: {CAUSAL}")
        valid = rows[:, 0] if rows.dtype == torch.bool else rows[:, 0] == 0
        if rows.dtype != torch.bool and not bool((valid | (rows[:, 0] <= PADDED)).all()):
            raise ValueError("attention_mask is a bias on the scores, must be 0 for tokens and "
                             f"at most {PADDED:g} for padding")
    else:
        raise ValueError(f"attention_mask is {tuple(mask.shape)}, must be (B, n) or (B, 1, m, n)")
    if valid.shape[1] != n or len(valid) not in (1, batch):
        raise ValueError(f"attention_mask is {tuple(mask.shape)}, must fit {batch} sequences of "
                         f"{n} tokens")
    return valid.expand(batch, n)


class HFAttention(nn.Module):
    """CTAHeads in the place of BertSelfAttention and its like: (B, n, d) -> (B, n, d).

    Outputs of padded tokens are zero, where the host computes something that nobody reads. Raises
    ValueError for attention weights (CTA has none), a key-value cache, another sequence to attend
    to, and masks that :func:`valid_tokens` refuses. ``LINEARS`` says what the host calls q, k, v.
    """

    LINEARS: ClassVar = {"q": "query", "k": "key", "v": "value"}

    def __init__(self, heads: CTAHeads, host: nn.Module):
        super().__init__()
        self.heads, self.config = heads, host.config
        self.kept: dict[str, object] = {}
        self._register_state_dict_hook(rename_saved)
        self.register_load_state_dict_pre_hook(rename_loaded)

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None,
                past_key_values=None, output_attentions: bool | None = None,
                is_causal: bool | None = None, encoder_hidden_states: Tensor | None = None,
                **ignored) -> tuple[Tensor, None]:
        wanted = output_attentions
        if wanted is None:
            wanted = getattr(self.config, "output_attentions", False)
        if wanted:
            raise ValueError("output_attentions is True, must be False: CTA never has the weights "
                             "of single tokens")
        if past_key_values is not None or encoder_hidden_states is not None:
            raise ValueError("past_key_values and encoder_hidden_states must be None: attached "
                             "attention is that of an encoder")
        if is_causal:
            raise ValueError(f"is_causal is True, must be False: {CAUSAL}")
        valid = valid_tokens(attention_mask, *hidden_states.shape[:2])
        return self.heads(hidden_states, valid_q=valid), None


class HFHost(Host):
    """An encoder layer, whose attention has linears called as ``REPLACEMENT.LINEARS`` says.

    ``HEADS`` is the attribute of attention that counts the heads, ``DROPOUT`` its dropout of the
    weights, ``NORM`` the path of a norm that is as wide as a token.
    """

    REPLACEMENT: ClassVar[type[HFAttention]] = HFAttention
    HEADS: ClassVar[str] = "num_attention_heads"
    DROPOUT: ClassVar[str] = "dropout"
    NORM: ClassVar[str]

    def why_not(self, part: str) -> str | None:
        if part == "ffn":
            return None
        old = self.at(part)
        return (_relative(old.config) or _own_forward(old)
                or plain_linear(**{name: getattr(old, name)
                                   for name in self.REPLACEMENT.LINEARS.values()}))

    def dim(self) -> int:
        return self.layer.get_submodule(self.NORM).normalized_shape[0]

    def new_attention(self, mode: str, options: Mapping) -> nn.Module:
        old = self.at("attention")
        q, k, v = (getattr(old, self.REPLACEMENT.LINEARS[name]) for name in "qkv")
        heads = cta_heads(q, k, v, getattr(old, self.HEADS), mode, options,
                          getattr(old, self.DROPOUT).p)
        return self.REPLACEMENT(heads, old)


def forget_output_hooks(model: nn.Module) -> None:
    """Take off the hooks by which transformers records hidden states and attention weights.

    It sets them once, when somebody first asks for such outputs, and again after this. Were they set
    while layers are replaced and kept, those that come back would have none, and a later
    ``output_attentions`` would return an empty tuple. They are closures, with which no model can be
    pickled.
    """
    for module in model.modules():
        for key, hook in list(module._forward_hooks.items()):
            if getattr(hook, "__module__", "") == CAPTURING:
                del module._forward_hooks[key]
                module._forward_hooks_with_kwargs.pop(key, None)
                module._forward_hooks_always_called.pop(key, None)
        if vars(module).get("_output_capturing_hooks_installed"):
            module._output_capturing_hooks_installed = False


def _relative(config) -> str | None:
    kind = getattr(config, "position_embedding_type", None) or "absolute"
    if kind != "absolute":
        return f"config.position_embedding_type is {kind!r}, must be 'absolute'"
    return None


def _own_forward(attention: nn.Module) -> str | None:
    """A subclass of a host's attention may compute something else, which nobody here knows."""
    if type(attention).forward.__module__.partition(".")[0] != "transformers":
        return f"{type(attention).__name__} has a forward of its own"
    return None
