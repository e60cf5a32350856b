"""RoBERTa: its layers are those of BERT."""

from sw.nn.hosts.bert import BertHost

__all__ = ["RobertaHost"]


class RobertaHost(BertHost):
    """RobertaLayer."""

    FAMILY = "RoBERTa"
    LAYER = "transformers.models.roberta.modeling_roberta.RobertaLayer"
