"""Every family of layers that attach knows by the class of the layer. A new one is a line here."""

from collections.abc import Mapping

from torch import nn

from sw.nn.hosts.albert import AlbertHost
from sw.nn.hosts.bert import BertHost
from sw.nn.hosts.camembert import CamembertHost
from sw.nn.hosts.distilbert import DistilBertHost
from sw.nn.hosts.electra import ElectraHost
from sw.nn.hosts.host import Host
from sw.nn.hosts.own import OwnHost
from sw.nn.hosts.roberta import RobertaHost
from sw.nn.hosts.xlm_roberta import XLMRobertaHost

__all__ = ["FAMILIES", "KNOWN", "depths_in", "find_host"]

FAMILIES: tuple[type[Host], ...] = (
    BertHost,
    RobertaHost,
    XLMRobertaHost,
    CamembertHost,
    ElectraHost,
    DistilBertHost,
    AlbertHost,
    OwnHost,
)

KNOWN = ", ".join(family.FAMILY for family in FAMILIES)
"""The families in words."""


def find_host(name: str, module: nn.Module, depths: Mapping[int, tuple]) -> Host | None:
    """The adapter of ``module``, None if it is no layer of a family."""
    for family in FAMILIES:
        if family.takes(module):
            return family(name, module, depths.get(id(module), ()))
    return None


def depths_in(model: nn.Module) -> dict[int, tuple[int, ...]]:
    """id(layer) -> the depths at which a layer of ``model`` that serves several works."""
    return {layer: depths for family in FAMILIES
            for layer, depths in family.depths_in(model).items()}
