"""ALBERT: one layer may serve several depths."""

from collections.abc import Mapping

from torch import Tensor, nn

from sw.nn.cta_heads import CTAHeads
from sw.nn.hosts.host import Host, cta_heads, plain_linear
from sw.nn.hosts.hugging_face import HFAttention, own_forward, relative

__all__ = ["AlbertAttention", "AlbertHost"]


class AlbertAttention(HFAttention):
    """The same for AlbertAttention, which holds projection, residual and norm as well."""

    def __init__(self, heads: CTAHeads, host: nn.Module):
        super().__init__(heads, host.config)
        self.dense, self.LayerNorm = host.dense, host.LayerNorm
        self.output_dropout = host.output_dropout

    def forward(self, hidden_states: Tensor, *args, **kwargs) -> tuple[Tensor, None]:
        y = super().forward(hidden_states, *args, **kwargs)[0]
        return self.LayerNorm(hidden_states + self.output_dropout(self.dense(y))), None


class AlbertHost(Host):
    """AlbertLayer: one set of weights for several depths, and so one replacement."""

    FAMILY = "ALBERT"
    LAYER = "transformers.models.albert.modeling_albert.AlbertLayer"
    ATTENTION = ("attention",)
    FFN = ("ffn", "activation", "ffn_output")
    SHARED = ("dense", "LayerNorm", "output_dropout")

    def why_not(self, part: str) -> str | None:
        if part == "ffn":
            return None
        old = self.at(part)
        return (relative(old.config) or own_forward(old)
                or plain_linear(query=old.query, key=old.key, value=old.value))

    def dim(self) -> int:
        return self.layer.full_layer_layer_norm.normalized_shape[0]

    def new_attention(self, mode: str, options: Mapping) -> nn.Module:
        old = self.at("attention")
        heads = cta_heads(old.query, old.key, old.value, old.num_attention_heads, mode, options,
                          old.attention_dropout.p)
        return AlbertAttention(heads, old)

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
