"""BERT."""

from collections.abc import Mapping

from torch import nn

from sw.nn.hosts.host import CAUSAL, Host, cta_heads, plain_linear
from sw.nn.hosts.hugging_face import HFAttention, own_forward, relative

__all__ = ["BertHost"]


class BertHost(Host):
    """BertLayer, and base of those that are BERT's blocks under other names.

    The feed-forward network is ``intermediate`` and ``output.dense``; dropout, residual and norm of
    ``output`` stay.
    """

    FAMILY = "BERT"
    LAYER = "transformers.models.bert.modeling_bert.BertLayer"
    ATTENTION = ("attention.self",)
    FFN = ("intermediate", "output.dense")

    def why_not(self, part: str) -> str | None:
        if part == "ffn":
            return None
        old = self.at(part)
        config = old.config
        if config.is_decoder or old.is_causal:
            return f"config.is_decoder is True: {CAUSAL}"
        return (relative(config) or own_forward(old)
                or plain_linear(query=old.query, key=old.key, value=old.value))

    def dim(self) -> int:
        return self.layer.output.LayerNorm.normalized_shape[0]

    def new_attention(self, mode: str, options: Mapping) -> nn.Module:
        old = self.at("attention")
        heads = cta_heads(old.query, old.key, old.value, old.num_attention_heads, mode, options,
                          old.dropout.p)
        return HFAttention(heads, old.config)
