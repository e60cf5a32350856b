"""The LookupFFN engine as an accelerator of feed-forward layers."""

from dataclasses import dataclass

from model.accelerator import FeedForward, NotMeasured
from model.errors import ConfigError
from model.lookup.area import area
from model.lookup.config import LookupConfig
from model.lookup.cycles import layer_cycles
from model.lookup.gather import orders
from model.lookup.job import Order
from model.lookup.timing import TABLE_LATENCY

__all__ = ["LookupAccelerator"]


@dataclass(frozen=True)
class LookupAccelerator:
    """An engine of the configuration ``cfg``; see :class:`model.accelerator.Accelerator`.

    ``order`` is that of the gather, ``latency`` the cycles in which the table memory answers.
    """

    cfg: LookupConfig
    order: Order = Order.TOKEN_MAJOR
    latency: int = TABLE_LATENCY

    def __post_init__(self):
        if self.order not in orders(self.cfg):
            raise ConfigError(f"order is {self.order.name}, must be TOKEN_MAJOR for an engine without a tile")

    def cycles(self, workload: FeedForward) -> int:
        """Cycles of the layer on all tokens, streams included (``model.lookup.cycles``)."""
        return layer_cycles(self.cfg, workload.tokens, self.order, self.latency).total

    def area(self, technology: str) -> float:
        """µm² of cells and memories by the model of :mod:`model.lookup.area`.

        Raises ConfigError for a technology that there is not, and :class:`model.accelerator.NotMeasured`
        for formats that the model has not seen.
        """
        return area(self.cfg, technology)

    def energy(self, workload: FeedForward, technology) -> float:
        """Raises :class:`model.accelerator.NotMeasured`: the engine has not been synthesised."""
        raise NotMeasured("energy of the LookupFFN engine needs its synthesis, which is not there "
                          "yet")
