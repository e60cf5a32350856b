"""The CTA engine as an accelerator of attention layers."""

from dataclasses import dataclass

from model.accelerator import Attention
from model.cta.area import area
from model.cta.config import CTAConfig
from model.cta.cycles import HeadCycles, head_cycles
from model.cta.energy import job_pj
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
        first, other = (cost.total for cost in self._heads(workload))
        return first + (workload.heads - 1) * other

    def area(self, technology: str) -> float:
        """µm² of cells and memories by the model of :mod:`model.cta.area`.

        Raises ConfigError for a technology that there is not, and :class:`model.accelerator.NotMeasured`
        for formats that the model has not seen.
        """
        return area(self.cfg, technology)

    def energy(self, workload: Attention, technology: str) -> float:
        """Joules of all heads by the model of :mod:`model.cta.energy`, as :meth:`cycles` counts them.

        Raises :class:`model.accelerator.NotMeasured` for a configuration or a technology without figures.
        """
        first, other = (job_pj(self.cfg, cost, technology) for cost in self._heads(workload))
        return 1e-12 * (first + (workload.heads - 1) * other)

    def _heads(self, workload: Attention) -> tuple[HeadCycles, HeadCycles]:
        """What the first head takes, and each of the others."""
        mode = Mode.EXACT if workload.clusters is None else Mode.CTA
        sizes = workload.clusters or (workload.queries, workload.n, 0)
        return tuple(head_cycles(self.cfg, workload.n, workload.queries, *sizes, mode, reuse=reuse)
                     for reuse in (False, True))
