"""How similar a compressed encoder is to the exact one, on passages from a text."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.cta.config import CTAConfig
from model.cta.cost import attention_ratio, linear_ratio
from sw.nn import directions
from sw.nn.attachment import attention_layers
from sw.policy.plan import CANDIDATES, Candidate, Policy, calibrated, layer_cycles
from sw.studies.pretrained.folder import embed, states
from sw.studies.pretrained.passages import Passages

__all__ = ["POINTS", "Row", "measure", "Bench"]

EXACT = CANDIDATES[0]
POINTS = (Candidate("0.95", (0.95, 0.855, 0.095)),
          *(c for c in CANDIDATES if c.name.startswith("CTA")))
"""RL = .95 and the paper's operating points."""


@dataclass(frozen=True)
class Row:
    """One measurement on the test passages.

    weights : "pretrained" or "distilled". directions, layers, point : what was compressed how.
    cosine : mean; starts : mean over passages that begin a document; lowest : of all passages.
    rl, ra : reached, mean over the layers. share : predicted cycles, of those of exact attention.
    """

    weights: str
    directions: str
    layers: str
    point: str
    cosine: float
    starts: float
    lowest: float
    rl: float
    ra: float
    share: float

    HEAD = (f"{'weights':11} {'directions':11} {'layers':8} {'point':8} {'cosine':>7} "
            f"{'starts':>7} {'lowest':>7} {'RL':>6} {'RA':>6} {'cycles':>7}")

    def __str__(self) -> str:
        return (f"{self.weights:11} {self.directions:11} {self.layers:8} {self.point:8} "
                f"{self.cosine:7.4f} {self.starts:7.4f} {self.lowest:7.4f} {self.rl:6.3f} "
                f"{self.ra:6.3f} {self.share:7.3f}")


@torch.no_grad()
def measure(model: nn.Module, cfg: CTAConfig, text: Passages, exact: Tensor, **words) -> Row:
    """The model as it is set and calibrated, on the test passages. ``exact`` are the embeddings of
    the exact model, ``words`` the words of the Row."""
    layers, sizes = attention_layers(model), []
    got = embed(model, text.test, each=lambda: sizes.append(
        [(heads.counts.double().mean(dim=0) / text.n).tolist() for heads in layers.values()]))
    k0, k1, k2 = torch.tensor(sizes).mean(dim=0).unbind(dim=1)
    cycles = [layer_cycles(cfg, text.n, heads.heads, None if heads.mode == "exact" else f)
              for heads, f in zip(layers.values(), zip(*(k.tolist() for k in (k0, k1, k2))))]
    whole = sum(layer_cycles(cfg, text.n, heads.heads, None) for heads in layers.values())
    cosine = (got * exact).sum(dim=-1)
    return Row(cosine=float(cosine.mean()), starts=float(cosine[text.starts].mean()),
               lowest=float(cosine.min()), rl=float(linear_ratio(1, 1, k0, k1 + k2).mean()),
               ra=float(attention_ratio(1, 1, k0, k1 + k2).mean()), share=sum(cycles) / whole, **words)


class Bench:
    """A model, its engine and its text: the measurements of one run of the command.

    ``exact`` are the embeddings of the exact model on the test passages; ``say`` is called with
    every Row as it comes; ``rows`` are all of them.
    """

    def __init__(self, model: nn.Module, cfg: CTAConfig, text: Passages, exact: Tensor,
                 say: Callable[[Row], object]):
        self.model, self.cfg, self.text, self.exact, self.say = model, cfg, text, exact, say
        self.layers = attention_layers(model)
        self.rows: list[Row] = []

    def run(self) -> Tensor:
        """Embeddings of the calibration passages."""
        return states(self.model, self.text.calibration).output

    @torch.no_grad()
    def fit(self) -> None:
        """Projection directions for every layer, from the activations of the exact model."""
        for heads in self.layers.values():
            heads.mode = "exact"
        handles = [heads.register_forward_pre_hook(lambda heads, tokens: directions.fit(
            heads, tokens[0])) for heads in self.layers.values()]
        try:
            self.run()
        finally:
            for handle in handles:
                handle.remove()

    def put(self, point: Candidate, late: int | None = None) -> Policy:
        """``point`` into the last ``late`` layers, or all; calibrated."""
        first = 0 if late is None else len(self.layers) - late
        return self.choose({name: point if i >= first else EXACT
                            for i, name in enumerate(self.layers)})

    def put_policy(self, policy: Policy) -> Policy:
        """The fractions of a policy, its widths calibrated anew. Raises ValueError for a policy
        of another model."""
        policy.apply(self.model)
        return self.choose({c.layer: Candidate(c.candidate, c.fractions if c.w else None)
                            for c in policy.choices})

    def choose(self, chosen: dict[str, Candidate]) -> Policy:
        """A candidate for every layer; calibrated."""
        return calibrated(self.model, self.run, self.cfg, self.text.n, chosen)[0]

    def row(self, **words) -> None:
        """Measure the model as it is."""
        self.rows.append(measure(self.model, self.cfg, self.text, self.exact, **words))
        self.say(self.rows[-1])

    def table(self, weights: str, name: str, late: int) -> None:
        """All points in all layers, and the paper's in the last ``late`` ones."""
        for point in POINTS:
            self.put(point)
            self.row(weights=weights, directions=name, layers="all", point=point.name)
        for point in POINTS[1:] if late else ():
            self.put(point, late)
            self.row(weights=weights, directions=name, layers=f"last {late}", point=point.name)
