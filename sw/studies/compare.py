"""What a trained model loses by CTA and by LookupFFN: the measurements of sw.studies.evaluate.

Every variant starts from the same checkpoint and is scored on the same held-out sequences, with
the same masks: before fine-tuning, after, and quantised. The model itself is fine-tuned alike, so
that what is compared is the method and not the extra steps.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from sw.io.errors import InputError
from sw.lm import stages
from sw.lm.config import POINTS, RunConfig, TrainConfig
from sw.lm.data import Corpus, Masked, sample
from sw.lm.held_out import Score, measure
from sw.lm.loop import make_optimiser
from sw.lm.model import MaskedLM
from sw.lm.objective import masked_loss, tensors
from sw.nn.descent import descend
from sw.nn.ffn.lookup import LookupFFN
from sw.quant.model import quantise_model

__all__ = ["Plan", "Row", "Bench"]


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Parameters
    ----------
    points : operating points, names of :data:`sw.lm.config.POINTS`.
    directions : "random", "projection", for every point and every RL.
    rl : the curve's targets, before fine-tuning only.
    sizes : LookupFFN (h, tau, block) to put in place of the feed-forward networks.
    steps, batch, lr : of fine-tuning; 0 steps for none.
    fit_steps : of the regression that fits the tables of a layer to its network.
    sequences : held-out sequences of a score.
    calibration : training sequences for directions, widths, quantisation.
    quantised : whether to quantise as well.
    seed : of the fine-tuning's sequences.
    """

    points: tuple[str, ...] = tuple(POINTS)
    directions: tuple[str, ...] = ("random", "projection")
    rl: tuple[float, ...] = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
    sizes: tuple[tuple[int, int, int], ...] = ()
    steps: int = 100
    batch: int = 8
    lr: float = 3e-4
    fit_steps: int = 300
    sequences: int = 64
    calibration: int = 8
    quantised: bool = True
    seed: int = 1


@dataclass(frozen=True)
class Row:
    """One score. ``kind`` is "attention" or "ffn", ``stage`` "before", "after" or "quantised";
    ``over`` the loss above the model's own before fine-tuning, ``error`` its standard error."""

    kind: str
    name: str
    directions: str
    stage: str
    loss: float
    accuracy: float
    over: float
    error: float
    rl: float
    ra: float
    flop: int


class Bench:
    """A checkpoint, a text, and the rows measured so far.

    ``say`` is told what begins, ``tick`` that a unit of work is done; :meth:`units` is how many
    there will be. ``skipped`` names the targets that the tokens cannot reach, and why.
    """

    def __init__(self, model: MaskedLM, cfg: RunConfig, corpus: Corpus, plan: Plan,
                 say: Callable[[str], None] = lambda text: None,
                 tick: Callable[[], None] = lambda: None):
        self.model, self.cfg, self.corpus, self.plan = model.eval(), cfg, corpus, plan
        self.say, self.tick, self.rows = say, tick, []
        self.held_out = self._sample(corpus.held_out, plan.sequences, fixed=True)
        self.fixed = self._sample(corpus.train, plan.calibration).ids
        self.device = next(model.parameters()).device
        self.base: Score | None = None
        self.skipped: list[str] = []

    def _sample(self, stream, count, fixed=False, step=0) -> Masked:
        seed = 0x48454C44 if fixed else self.plan.seed + (1 << 32)
        return sample(stream, self.corpus.tokens, self.cfg.model.context, self.cfg.data.mask, seed,
                      step, range(count))

    @property
    def calibration(self) -> torch.Tensor:
        """The masked training sequences (B, n) that everything is fitted to."""
        return torch.from_numpy(self.fixed).to(self.device)

    def units(self) -> int:
        """Scores to come, and fine-tuning steps."""
        p = self.plan
        variants = 1 + len(p.points) * len(p.directions) + len(p.sizes)
        each = 1 + (p.steps > 0) * (1 + p.steps) + p.quantised
        return (variants * each + len(p.rl) * len(p.directions)
                + self._has_cta(self.model) * (1 + p.quantised))

    @staticmethod
    def _has_cta(model) -> bool:
        return any(layer.attention.heads.mode == "cta" for layer in model.layers)

    # -- rows -------------------------------------------------------------------------------------

    def run(self) -> list[Row]:
        """Everything of the plan."""
        exact = copy.deepcopy(self.model)
        stages.use_exact(exact)
        self._variant("attention", "exact", "", exact)
        if self._has_cta(self.model):
            self._variant("attention", "as it is", "", copy.deepcopy(self.model), tune=False)
        for kind in self.plan.directions:
            for name in self.plan.points:
                self._cta(name, kind, {"counts": POINTS[name]})
            for rl in self.plan.rl:
                self._cta(f"RL {rl:g}", kind, {"rl": rl}, tune=False, quantise=False)
        for h, tau, block in self.plan.sizes:
            model = copy.deepcopy(self.model)
            stages.use_exact(model)
            self._fit_tables(model, h, tau, block)
            self._variant("ffn", f"h {h}, tau {tau}, block {block}", "", model)
        return self.rows

    def _variant(self, kind, name, directions, model, tune=True, quantise=True):
        self.say(f"{name} {directions}".strip())
        self._score(kind, name, directions, "before", model)
        if tune and self.plan.steps:
            self._fine_tune(model)
            self._score(kind, name, directions, "after", model)
        if quantise and self.plan.quantised:
            report = quantise_model(model, [self.calibration])
            if report.quantised:
                self._score(kind, name, directions, "quantised", model)
            else:
                self.tick()

    def _score(self, kind, name, directions, stage, model):
        with stages.Ratios(model) as seen:
            score = measure(model, self.held_out)
        self.base = self.base or score
        rl, ra = seen.mean()
        over, error = score.over(self.base)
        flop = sum(layer.ffn.flop for layer in model.layers) // len(model.layers)
        self.rows.append(Row(kind, name, directions, stage, score.loss, score.accuracy, over,
                             error, rl, ra, flop))
        self.tick()

    # -- variants ---------------------------------------------------------------------------------

    def _cta(self, name, kind, target, **what):
        self._target, model = target, copy.deepcopy(self.model)
        try:
            stages.use_cta(model, self.calibration, target, kind)
            self._variant("attention", name, kind, model, **what)
        except InputError as error:
            self.skipped.append(f"{name} {kind}: {error}")

    def _fit_tables(self, model, h, tau, block):
        """Put a LookupFFN in every layer, its tables and hashes regressed on what the network
        there makes of the training tokens. The layers are fitted one by one, on the tokens of the
        model as it was."""
        inputs = {}
        hooks = [layer.ffn.register_forward_pre_hook(
            lambda ffn, args, i=i: inputs.setdefault(i, []).append(args[0].detach().flatten(0, 1)))
            for i, layer in enumerate(model.layers)]
        with torch.no_grad():
            for step in range(4):
                ids = torch.from_numpy(self._sample(self.corpus.train, 8, step=step).ids)
                model(ids.to(self.device))
        for hook in hooks:
            hook.remove()
        for i, layer in enumerate(model.layers):
            x = torch.cat(inputs.pop(i))
            layer.ffn = self._regress(layer.ffn, x, LookupFFN(x.shape[1], h, tau, block=block,
                                                              seed=self.plan.seed + i))

    def _regress(self, network, x, table: nn.Module) -> nn.Module:
        with torch.no_grad():
            target = network(x)
        optimiser = torch.optim.AdamW(table.to(x.device).parameters(), lr=1e-2, weight_decay=0.0)
        draw = torch.Generator().manual_seed(self.plan.seed)

        def objective(step, rows):
            yield F.mse_loss(table(x[rows]), target[rows])

        rows = (torch.randint(len(x), (1024,), generator=draw).to(x.device)
                for _ in range(self.plan.fit_steps))
        for _ in descend(optimiser, rows, objective,
                         rate=lambda step: 1e-2 * (1 - step / self.plan.fit_steps)):
            pass
        return table.eval()

    def _fine_tune(self, model):
        """A few steps on the loss. CTA's widths are fitted again three times on the way and at
        the end."""
        plan = self.plan
        train = TrainConfig(steps=plan.steps, batch=plan.batch, lr=plan.lr,
                            betas=self.cfg.train.betas,
                            weight_decay=self.cfg.train.weight_decay)
        optimiser = make_optimiser(model, train)
        cta = self._has_cta(model)
        model.train()
        torch.manual_seed(plan.seed)

        def objective(step, masked):
            if cta and step and step % max(1, plan.steps // 4) == 0:
                stages.calibrate(model, self.calibration, self._target)
            yield masked_loss(model, *tensors(masked, self.device))[1]

        batches = (self._sample(self.corpus.train, plan.batch, step=1 + step)
                   for step in range(plan.steps))
        for _ in descend(optimiser, batches, objective, clip=1.0, parameters=model.parameters(),
                         rate=lambda step: plan.lr * min(1, (step + 1) / 10) * (1 - step / plan.steps)):
            self.tick()
        model.eval()
        if cta:
            stages.calibrate(model, self.calibration, self._target)
