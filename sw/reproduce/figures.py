"""All figures that are reproduced, and those that are not, in the order of the papers."""

from collections.abc import Callable

from sw.reproduce import cta, cta_size, lookup
from sw.reproduce.figure import Figure, Missing

__all__ = ["FIGURES", "MISSING"]

FIGURES: dict[str, Callable[[], Figure]] = {
    "table1": cta.table1, "fig12-throughput": cta.fig12_throughput, "fig12-latency": cta.fig12_latency,
    "fig13": cta.fig13, "fig14": cta.fig14, "fig15": cta_size.fig15, "fig16": cta_size.fig16,
    "flop": lookup.flop, "sizes": lookup.sizes}
"""By the word for it, what computes it."""

MISSING = (
    Missing("CTA, Fig. 2: share of effective relations against n",
            "it needs the paper's models on its tasks; the models trained here are too small to stand for "
            "them"),
    Missing("CTA, Fig. 11: accuracy against RL and RA",
            "the paper's models and tasks are not here; `hashlayer evaluate` and `hashlayer pretrained` "
            "draw such "
            "curves for other models ([results](results.md), [pretrained](pretrained.md))"),
    Missing("CTA, Fig. 12: speedup over a V100", "there is no V100 here"),
    Missing("CTA, energy efficiency over a GPU", "there is no V100 here to measure"),
    Missing("LookupFFN, Tables 1, 2 and 4: perplexity and accuracy",
            "250,000 steps of pretraining on several GPUs; `hashlayer evaluate` has small models "
            "([results](results.md))"),
    Missing("LookupFFN, Figs. 1 and 6", "the paper was not at hand when this list was made"),
    Missing("LookupFFN, Fig. 4: projections",
            "curves without numbers; `hashlayer toy` draws them in a minute "
            "and a half ([projections](projections.md))"),
    Missing("LookupFFN, Tables 5 and 6: time on a CPU",
            "the paper's processor is not here; `hashlayer bench cpu` measures the kernel on yours "
            "([on the CPU](results/cpu.md))"))
"""What cannot be reproduced here, and why."""
