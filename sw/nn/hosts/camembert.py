"""CamemBERT: its layers are those of BERT."""

from sw.nn.hosts.bert import BertHost

__all__ = ["CamembertHost"]


class CamembertHost(BertHost):
    """CamembertLayer."""

    FAMILY = "CamemBERT"
    LAYER = "transformers.models.camembert.modeling_camembert.CamembertLayer"
