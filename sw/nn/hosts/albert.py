"""ALBERT: one layer may serve several depths."""

from torch import Tensor, nn

from sw.nn.cta_heads import CTAHeads
from sw.nn.hosts.hugging_face import HFAttention, HFHost

__all__ = ["AlbertAttention", "AlbertHost"]


class AlbertAttention(HFAttention):
    """HFAttention in the place of ALBERT's, which holds projection, residual and norm as well."""

    def __init__(self, heads: CTAHeads, host: nn.Module):
        super().__init__(heads, host)
        self.dense, self.LayerNorm = host.dense, host.LayerNorm
        self.output_dropout = host.output_dropout

    def forward(self, hidden_states: Tensor, *args, **kwargs) -> tuple[Tensor, None]:
        y = super().forward(hidden_states, *args, **kwargs)[0]
        return self.LayerNorm(hidden_states + self.output_dropout(self.dense(y))), None


class AlbertHost(HFHost):
    """AlbertLayer: one set of weights for several depths, and so one replacement."""

    FAMILY = "ALBERT"
    LAYER = "transformers.models.albert.modeling_albert.AlbertLayer"
    ATTENTION = ("attention",)
    FFN = ("ffn", "activation", "ffn_output")
    SHARED = ("dense", "LayerNorm", "output_dropout")
    REPLACEMENT = AlbertAttention
    DROPOUT = "attention_dropout"
    NORM = "full_layer_layer_norm"

    @classmethod
    def depths_in(cls, model: nn.Module) -> dict[int, tuple[int, ...]]:
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
