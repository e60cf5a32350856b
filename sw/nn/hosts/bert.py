"""BERT."""

from sw.nn.hosts.host import CAUSAL
from sw.nn.hosts.hugging_face import HFHost

__all__ = ["BertHost"]


class BertHost(HFHost):
    """BertLayer, and base of those that are BERT's blocks under other names.

    The feed-forward network is ``intermediate`` and ``output.dense``; dropout, residual and norm of
    ``output`` stay.
    """

    FAMILY = "BERT"
    LAYER = "transformers.models.bert.modeling_bert.BertLayer"
    ATTENTION = ("attention.self",)
    FFN = ("intermediate", "output.dense")
    NORM = "output.LayerNorm"

    def why_not(self, part: str) -> str | None:
        old = self.at(part)
        if part == "attention" and (old.config.is_decoder or old.is_causal):
            return f"config.is_decoder is True: {CAUSAL}"
        return super().why_not(part)
