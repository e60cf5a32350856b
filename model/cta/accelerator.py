"""The CTA engine as an accelerator of attention layers."""

from dataclasses import dataclass

from model.accelerator import Attention, NotMeasured
from model.cta.area import area
from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.job import Mode

__all__ = ["CTAAccelerator"]


@dataclass(frozen=True)
class CTAAccelerator:
    """An engine of the configuration ``cfg``; see :class:`model.accelerator.Accelerator`."""

    cfg: CTAConfig

    def cycles(self, workload: Attention) -> int:
        """Cycles of all heads, one after the other; all but the first reuse its clusters.

        They are those of the jobs, without the loading of tokens and weights and the sending of
        outputs (``model.cta.cycles``).
        """
        mode = Mode.EXACT if workload.clusters is None else Mode.CTA
        sizes = workload.clusters or (workload.queries, workload.n, 0)
        first, other = (head_cycles(self.cfg, workload.n, workload.queries, *sizes, mode,
                                    reuse=reuse).total for reuse in (False, True))
        return first + (workload.heads - 1) * other

    def area(self, technology: str) -> float:
        """µm² of cells and memories by the model of :mod:`model.cta.area`.

        Raises ConfigError for a technology that there is not, and :class:`model.accelerator.NotMeasured`
        for formats that the model has not seen.
        """
        return area(self.cfg, technology)

    def energy(self, workload: Attention, technology) -> float:
        """Raises :class:`model.accelerator.NotMeasured`: the engine has not been synthesised."""
        raise NotMeasured("energy of the CTA engine needs its synthesis, which is not there yet")
