"""ELECTRA: its layers are those of BERT."""

from sw.nn.hosts.bert import BertHost

__all__ = ["ElectraHost"]


class ElectraHost(BertHost):
    """ElectraLayer."""

    FAMILY = "ELECTRA"
    LAYER = "transformers.models.electra.modeling_electra.ElectraLayer"
