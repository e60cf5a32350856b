"""Quantise the layers of a model in place: calibrate on batches, put fakes on, take them off.

    report = quantise_model(model, batches)     # post-training quantisation
    print(report)
    ...                                         # train on: that is quantisation-aware training
    sw.export(model, "export/")                 # the integers, as the engines load them
    float_model(model)                          # back to floats

Everything but the CTAHeads and LookupFFN layers stays in float: embeddings, norms, output
projections and residuals are the host's, on the hardware as well.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from tqdm import tqdm

from model.border import Borders
from model.cta.quantise import QuantiseError
from model.errors import ConfigError
from sw.nn import saved
from sw.nn.attachment import attention_layers, ffn_layers
from sw.nn.ffn.lookup import LookupFFN
from sw.nn.intact import require_plain
from sw.quant import cta, lookup
from sw.quant.cta import FakeCTA
from sw.quant.lookup import FakeLookup
from sw.quant.observe import HeadsRecorder, LookupRecorder, Rule

__all__ = ["Row", "QuantReport", "quantise_model", "float_model", "fakes"]


@dataclass(frozen=True)
class Row:
    """One layer: ``name`` as in ``model.named_modules()``, ``part`` "attention" or "ffn"; the
    ``engine`` in words, or "" where the layer stays in float and ``why`` says the reason; and what
    of its weights saturated."""

    name: str
    part: str
    engine: str
    why: str = ""
    borders: Borders = field(default_factory=Borders)

    @property
    def note(self) -> str:
        """``why``, or the share of each weight tensor that saturated."""
        return self.why or ", ".join(f"{name} {crossing.share:.2%} saturated"
                                     for name, crossing in self.borders.items()
                                     if crossing.saturated)


@dataclass(frozen=True)
class QuantReport:
    """What :func:`quantise_model` did; ``print`` shows it as a table."""

    method: str
    rows: tuple[Row, ...]

    @property
    def quantised(self) -> tuple[str, ...]:
        """Names of the layers that have fakes now."""
        return tuple(row.name for row in self.rows if row.engine)

    @property
    def kept(self) -> dict[str, str]:
        """Names of the layers left in float, and why."""
        return {row.name: row.why for row in self.rows if not row.engine}

    def __str__(self) -> str:
        lines = [("part", "name", "engine", "why")]
        lines += [(row.part, row.name, row.engine or "float", row.note) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
                 .rstrip() for line in lines]
        return "\n".join([f"quantised {len(self.quantised)} of {len(self.rows)} layers "
                          f"({self.method})", *table])


def _call(model, batch):
    """A batch as a loader gives it: keywords, arguments, or the one argument."""
    if isinstance(batch, Mapping):
        return model(**batch)
    if isinstance(batch, (tuple, list)):
        return model(*batch)
    return model(batch)


def _layers(model):
    """(name, part, layer) of everything that may be quantised, or be asked about."""
    found = [(name, "attention", layer) for name, layer in attention_layers(model).items()]
    seen = set()
    for name, layer in ffn_layers(model).items():
        if id(layer) not in seen:
            seen.add(id(layer))
            found.append((name, "ffn", layer))
    return found


def _put(layer, fake) -> None:
    # torch keeps a fake that is a module among the children, where nothing else may follow it.
    if "fake" in layer._modules:
        del layer.fake
    layer.fake = fake


def _engine_and_recorder(part, layer, rule, attention, ffn):
    """What the layer needs, checked before anything runs. Raises ConfigError, with the reason."""
    if part == "attention":
        cfg = cta.engine(layer, **attention)
        FakeCTA.check(cfg)
        return HeadsRecorder(layer, rule)
    if not isinstance(layer, LookupFFN):
        raise ConfigError(f"no engine computes {type(layer).__name__}")
    FakeLookup.check(lookup.engine(layer, **ffn))
    return LookupRecorder(layer, rule)


def _fake(layer, recorder, attention, ffn):
    """The fake and its engine in words."""
    if isinstance(recorder, HeadsRecorder):
        sizes = {"n": max(recorder.longest, 2), **attention}
        cfg = cta.engine(layer, **{"tokens": max(sizes["n"], recorder.tokens), **sizes})
        words = f"CTA: d {cfg.d}, dw {cfg.dw}, n {cfg.n}, {layer.mode}"
        return FakeCTA(cfg, recorder.points(layer, cfg)), words
    cfg = lookup.engine(layer, **ffn)
    words = f"LookupFFN: d {cfg.d}, h {cfg.h}, tau {cfg.tau}, {cfg.projection}"
    return FakeLookup(cfg, recorder.points(layer, cfg)), words


@torch.no_grad()
def _record(model, batches, run):
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        count = 0
        for batch in tqdm(batches, "calibrating", delay=2, disable=None, leave=False):
            run(model, batch)
            count += 1
    finally:
        for module in training:
            module.training = True
    if not count:
        raise ValueError("batches is empty, calibration needs at least one")


def quantise_model(model: nn.Module, batches: Iterable, run: Callable | None = None, *,
                   method: str = "percentile", percentile: float = 100.0,
                   attention: Mapping | None = None, ffn: Mapping | None = None) -> QuantReport:
    """Calibrate every CTAHeads and LookupFFN of ``model`` and put a fake on each, in place.

    Parameters
    ----------
    model : any module; its layers in float make the activations that calibration sees.
    batches : inputs, each for one call; mappings are keywords, tuples arguments.
    run : ``run(model, batch)`` in place of calling the model with the batch.
    method, percentile : which sizes have to fit (:mod:`sw.quant.observe`): a percentile of the
        absolute values, 100 for the largest; or "mse".
    attention, ffn : engine parameters and formats, of CTAConfig and of LookupConfig. Without ``n``
        an attention engine is built for the longest sequence seen.

    A layer that no engine takes (head dimension, token dimension above 16 times that, a
    projection that is a module, another feed-forward layer, values beyond the formats) stays in
    float, and the report says why. Layers that no batch reached stay in float too. Gradients of
    the model go through the fakes. The exact-mode engine holds one cluster a token, so ``n`` has
    to cover the sequences to come.

    Raises ValueError for illegal arguments and without batches; then nothing has changed.
    """
    rule = Rule(method, percentile)
    attention, ffn = dict(attention or {}), dict(ffn or {})
    before, recorders, why, engines, borders = {}, {}, {}, {}, {}
    layers = _layers(model)
    if not layers:
        raise ValueError(f"this {type(model).__name__} has no CTAHeads and no LookupFFN to quantise: "
                         "sw.attach puts them")
    for name, part, layer in layers:
        if part == "attention":
            require_plain(layer, f"layer {name} cannot be quantised")
        try:
            recorders[name] = _engine_and_recorder(part, layer, rule, attention, ffn)
        except ConfigError as error:
            why[name] = str(error)
    for name, _, layer in layers:
        if hasattr(layer, "fake"):
            before[name] = layer.fake
            _put(layer, recorders.get(name))
    fresh = {}
    try:
        _record(model, batches, run or _call)
        for name, _, layer in layers:
            if name in recorders:
                # A fake's points depend on no other fake: float weights and recorded sizes.
                try:
                    fake, words = _fake(layer, recorders[name], attention, ffn)
                    crossed = Borders()
                    fake.raw(layer, crossed)
                    fresh[name], engines[name], borders[name] = fake, words, crossed
                except (ConfigError, QuantiseError, ValueError) as error:
                    why[name] = str(error)
    except BaseException:
        fresh = before
        raise
    finally:
        for name, _, layer in layers:
            if name in before:
                _put(layer, fresh.get(name))
    saved.note_quantised(model, bool(engines))
    for name, crossed in borders.items():
        crossed.warn(f"layer {name}")
    words = method if method == "mse" else f"percentile {percentile:g}"
    return QuantReport(words, tuple(Row(name, part, engines.get(name, ""), why.get(name, ""),
                                        borders.get(name, Borders()))
                                    for name, part, _ in layers))


def fakes(model: nn.Module) -> dict[str, object]:
    """What stands on ``.fake`` of the layers of ``model``, by name; layers in float are left
    out."""
    return {name: layer.fake for name, _, layer in _layers(model)
            if getattr(layer, "fake", None) is not None}


def float_model(model: nn.Module) -> dict[str, object]:
    """Take all fakes off, in place; returns them by name, as :func:`fakes` does."""
    found = fakes(model)
    for name, _, layer in _layers(model):
        if name in found:
            _put(layer, None)
    saved.note_quantised(model, False)
    return found
