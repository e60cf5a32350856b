"""XLM-R: its layers are those of BERT."""

from sw.nn.hosts.bert import BertHost

__all__ = ["XLMRobertaHost"]


class XLMRobertaHost(BertHost):
    """XLMRobertaLayer."""

    FAMILY = "XLM-R"
    LAYER = "transformers.models.xlm_roberta.modeling_xlm_roberta.XLMRobertaLayer"
