"""DistilBERT: BERT's blocks, with the output projection inside attention."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from sw.nn.cta_heads import CTAHeads
from sw.nn.hosts.host import Host, cta_heads, plain_linear
from sw.nn.hosts.hugging_face import HFAttention, own_forward

__all__ = ["DistilBertAttention", "DistilBertHost"]


class DistilBertAttention(HFAttention):
    """HFAttention in the place of DistilBertSelfAttention, which holds the projection as well."""

    LINEARS: ClassVar = {"q": "q_lin", "k": "k_lin", "v": "v_lin"}

    def __init__(self, heads: CTAHeads, host: nn.Module):
        super().__init__(heads, host.config)
        self.out_lin = host.out_lin

    def forward(self, hidden_states: Tensor, *args, **kwargs) -> tuple[Tensor, None]:
        return self.out_lin(super().forward(hidden_states, *args, **kwargs)[0]), None


class DistilBertHost(Host):
    """TransformerBlock. The feed-forward network is all of ``ffn`` but its dropout."""

    FAMILY = "DistilBERT"
    LAYER = "transformers.models.distilbert.modeling_distilbert.TransformerBlock"
    ATTENTION = ("attention",)
    FFN = ("ffn.lin1", "ffn.activation", "ffn.lin2")
    SHARED = ("out_lin",)

    def why_not(self, part: str) -> str | None:
        if part == "ffn":
            return None
        old = self.at(part)
        return own_forward(old) or plain_linear(q_lin=old.q_lin, k_lin=old.k_lin, v_lin=old.v_lin)

    def dim(self) -> int:
        return self.layer.output_layer_norm.normalized_shape[0]

    def new_attention(self, mode: str, options: Mapping) -> nn.Module:
        old = self.at("attention")
        heads = cta_heads(old.q_lin, old.k_lin, old.v_lin, old.n_heads, mode, options,
                          old.dropout.p)
        return DistilBertAttention(heads, old)
