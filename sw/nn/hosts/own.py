"""Our own encoder layers."""

from collections.abc import Mapping

from torch import nn

from sw.nn.encoder_layer import EncoderLayer
from sw.nn.hosts.host import Host

__all__ = ["OwnHost"]


class OwnHost(Host):
    """:class:`sw.nn.encoder_layer.EncoderLayer`: attention is CTAAttention already, and attach
    only sets its mode. ``layer.kept`` remembers the one before."""

    FAMILY = "our own EncoderLayer"
    ATTENTION = ("attention",)
    FFN = ("ffn",)
    SEEDED = False

    @classmethod
    def takes(cls, module: nn.Module) -> bool:
        return isinstance(module, EncoderLayer)

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
