"""BERT, RoBERTa and ALBERT of Hugging Face transformers (5.23), and our own encoder layers.

Classes are recognised by name, so that nothing here imports transformers. In all three models the
hidden state itself goes into attention (post-norm), and padding arrives as a 4-D mask, boolean or
additive, as the attention implementation of the configuration wants it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sw.nn.cta_heads import CTAHeads
from sw.nn.encoder_layer import EncoderLayer
from sw.nn.hosts.host import CAUSAL, Host, cta_heads, plain_linear
from sw.nn.intact import CAPTURING
from sw.nn.saved import rename_loaded, rename_saved

__all__ = ["valid_tokens", "HFAttention", "AlbertAttention", "BertHost", "AlbertHost", "OwnHost",
           "find_host", "albert_depths", "forget_output_hooks"]

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
    """CTAHeads in the place of BertSelfAttention or RobertaSelfAttention: (B, n, d) -> (B, n, d).

    Outputs of padded tokens are zero, where the host computes something that nobody reads. Raises
    ValueError for attention weights (CTA has none), a key-value cache, another sequence to attend
    to, and masks that :func:`valid_tokens` refuses.
    """

    def __init__(self, heads: CTAHeads, config):
        super().__init__()
        self.heads, self.config = heads, config
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


class AlbertAttention(HFAttention):
    """The same for AlbertAttention, which holds projection, residual and norm as well."""

    def __init__(self, heads: CTAHeads, host: nn.Module):
        super().__init__(heads, host.config)
        self.dense, self.LayerNorm = host.dense, host.LayerNorm
        self.output_dropout = host.output_dropout

    def forward(self, hidden_states: Tensor, *args, **kwargs) -> tuple[Tensor, None]:
        y = super().forward(hidden_states, *args, **kwargs)[0]
        return self.LayerNorm(hidden_states + self.output_dropout(self.dense(y))), None


class BertHost(Host):
    """BertLayer, RobertaLayer. The feed-forward network is ``intermediate`` and ``output.dense``;
    dropout, residual and norm of ``output`` stay."""

    ATTENTION = ("attention.self",)
    FFN = ("intermediate", "output.dense")

    def why_not(self, part: str) -> str | None:
        if part == "ffn":
            return None
        old = self.at(part)
        config = old.config
        if config.is_decoder or old.is_causal:
            return f"config.is_decoder is True: {CAUSAL}"
        return (_relative(config) or _own_forward(old)
                or plain_linear(query=old.query, key=old.key, value=old.value))

    def dim(self) -> int:
        return self.layer.output.LayerNorm.normalized_shape[0]

    def new_attention(self, mode: str, options: Mapping) -> nn.Module:
        old = self.at("attention")
        heads = cta_heads(old.query, old.key, old.value, old.num_attention_heads, mode, options,
                          old.dropout.p)
        return HFAttention(heads, old.config)


class AlbertHost(Host):
    """AlbertLayer: one set of weights for several depths, and so one replacement."""

    ATTENTION = ("attention",)
    FFN = ("ffn", "activation", "ffn_output")
    SHARED = ("dense", "LayerNorm", "output_dropout")

    def why_not(self, part: str) -> str | None:
        if part == "ffn":
            return None
        old = self.at(part)
        return (_relative(old.config) or _own_forward(old)
                or plain_linear(query=old.query, key=old.key, value=old.value))

    def dim(self) -> int:
        return self.layer.full_layer_layer_norm.normalized_shape[0]

    def new_attention(self, mode: str, options: Mapping) -> nn.Module:
        old = self.at("attention")
        heads = cta_heads(old.query, old.key, old.value, old.num_attention_heads, mode, options,
                          old.attention_dropout.p)
        return AlbertAttention(heads, old)


class OwnHost(Host):
    """:class:`sw.nn.encoder_layer.EncoderLayer`: attention is CTAAttention already, and attach
    only sets its mode. ``layer.kept`` remembers the one before."""

    ATTENTION = ("attention",)
    FFN = ("ffn",)
    SEEDED = False

    def describe(self, part: str) -> str:
        if part == "ffn" and not self.attached(part):
            return type(self.layer.ffn).__name__
        return super().describe(part)

    def why_not(self, part: str) -> str | None:
        return None

    def dim(self) -> int:
        return self.layer.norm1.normalized_shape[0]

    def hooked(self, part: str) -> str | None:
        # Attention stays the module that it is, with its hooks.
        return super().hooked(part) if part == "ffn" else None

    def undone(self, part: str) -> str | None:
        return super().undone(part) if part == "ffn" else None

    def attached(self, part: str) -> bool:
        return bool(self.layer.kept) if part == "attention" else super().attached(part)

    def new_attention(self, mode: str, options: Mapping) -> nn.Module:
        if options:
            raise ValueError(f"attention_options is {dict(options)}, must be empty: the attention "
                             f"of {type(self.layer).__name__} is CTA's own, with its options")
        return _Mode(mode)

    def put(self, part: str, new: nn.Module) -> None:
        if part == "ffn":
            return super().put(part, new)
        heads = self.layer.attention.heads
        self.layer.kept = {"mode": heads.mode}
        heads.mode = new.mode

    def restore(self, part: str) -> None:
        if part == "ffn":
            return super().restore(part)
        self.layer.attention.heads.mode = self.layer.kept.pop("mode")


class _Mode(nn.Module):
    """What OwnHost puts: no module, a mode."""

    def __init__(self, mode: str):
        super().__init__()
        self.mode = mode


_HF = {"transformers.models.bert.modeling_bert.BertLayer": BertHost,
       "transformers.models.roberta.modeling_roberta.RobertaLayer": BertHost,
       "transformers.models.albert.modeling_albert.AlbertLayer": AlbertHost}


def find_host(name: str, module: nn.Module, depths: Mapping[int, tuple]) -> Host | None:
    """The adapter of ``module``, None if it is no layer that is known here."""
    if isinstance(module, EncoderLayer):
        return OwnHost(name, module)
    adapter = _HF.get(f"{type(module).__module__}.{type(module).__qualname__}")
    return adapter and adapter(name, module, depths.get(id(module), ()))


def albert_depths(model: nn.Module) -> dict[int, tuple[int, ...]]:
    """id(layer) -> the depths at which each AlbertLayer of ``model`` works."""
    found = {}
    for module in model.modules():
        if type(module).__name__ != "AlbertTransformer":
            continue
        depth, groups = module.config.num_hidden_layers, module.config.num_hidden_groups
        for g, group in enumerate(module.albert_layer_groups):
            runs = tuple(i for i in range(depth) if int(i / (depth / groups)) == g)
            found |= {id(layer): runs for layer in group.albert_layers}
    return found


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
