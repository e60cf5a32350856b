"""DistilBERT: BERT's blocks, with the output projection inside attention."""

from typing import ClassVar

from torch import Tensor, nn

from sw.nn.cta_heads import CTAHeads
from sw.nn.hosts.hugging_face import HFAttention, HFHost

__all__ = ["DistilBertAttention", "DistilBertHost"]


class DistilBertAttention(HFAttention):
    """HFAttention in the place of DistilBertSelfAttention, which holds the projection as well."""

    LINEARS: ClassVar = {"q": "q_lin", "k": "k_lin", "v": "v_lin"}

    def __init__(self, heads: CTAHeads, host: nn.Module):
        super().__init__(heads, host)
        self.out_lin = host.out_lin

    def forward(self, hidden_states: Tensor, *args, **kwargs) -> tuple[Tensor, None]:
        return self.out_lin(super().forward(hidden_states, *args, **kwargs)[0]), None


class DistilBertHost(HFHost):
    """TransformerBlock. The feed-forward network is all of ``ffn`` but its dropout."""

    FAMILY = "DistilBERT"
    LAYER = "transformers.models.distilbert.modeling_distilbert.TransformerBlock"
    ATTENTION = ("attention",)
    FFN = ("ffn.lin1", "ffn.activation", "ffn.lin2")
    SHARED = ("out_lin",)
    REPLACEMENT = DistilBertAttention
    HEADS = "n_heads"
    NORM = "output_layer_norm"
