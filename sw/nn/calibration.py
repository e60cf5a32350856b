"""Fit hash functions of all attention layers of a model to a compression, in one forward pass.

    attach(model, attention="cta")
    reached = calibrate_layers(model, lambda: model(ids), rl=0.58, directions="projection")

Bucket widths follow from the tokens that a layer sees, and those from the layers before it. So a
layer is fitted when it is called, before it computes, on what the layers before it give with the
hash functions they have just got.
"""

import warnings
from collections.abc import Callable, Mapping

import torch
from torch import nn
from tqdm import tqdm

from sw.nn import directions as directions_of
from sw.nn import widths
from sw.nn.attachment import attention_layers

__all__ = ["KINDS", "FarFromTarget", "calibrate_layers"]

KINDS = ("keep", "projection")


def calibrate_layers(model: nn.Module, run: Callable[[], object],
                     targets: Mapping[str, Mapping] | None = None, *, directions: str = "keep",
                     **target) -> dict[str, widths.Reached]:
    """Calibrate bucket widths, and directions if asked, in one ``run()`` in evaluation mode.

    Parameters
    ----------
    run : calls the model on sample sequences; several in a batch are better than one. Of a layer
        that is called more than once the first call counts.
    targets : what :func:`sw.nn.widths.calibrate` takes (rl, ra or counts), by layer name.
    target : the same for all layers in mode "cta", instead of ``targets``.
    directions : "keep" them, or take "projection" directions from the same tokens.

    Returns what was reached, by layer name. Raises ValueError, naming the layer, for a name that
    is no attention layer, for a target that its tokens cannot reach, and where ``run`` does not
    call it. Layers fitted before the error keep their new widths.
    """
    if directions not in KINDS:
        raise ValueError(f"directions is {directions!r}, must be one of {', '.join(KINDS)}")
    layers = attention_layers(model)
    if targets is None:
        targets = {name: target for name, heads in layers.items() if heads.mode == "cta"}
        if not targets:
            raise ValueError(f"{type(model).__name__} has no attention layer in mode 'cta'")
    elif target:
        raise ValueError(f"{', '.join(target)} is given as well as targets, must be one or the other")
    for name in targets:
        if name not in layers:
            raise ValueError(f"{name!r} is no attention layer, must be among {', '.join(layers)}")
    reached: dict[str, widths.Reached] = {}

    def fit(name, heads, xq, xkv=None, valid_q=None, valid_kv=None):
        if name in reached:
            return
        xq, xkv = (x if x is None else x.detach() for x in (xq, xkv))
        try:
            if directions == "projection":
                directions_of.fit(heads, xq, xkv, valid_q, valid_kv)
            reached[name] = widths.calibrate(heads, xq, xkv, valid=valid_q, valid_kv=valid_kv,
                                             **targets[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        bar.update()

    hooks = [layers[name].register_forward_pre_hook(
                 lambda heads, args, kwargs, name=name: fit(name, heads, *args, **kwargs),
                 with_kwargs=True) for name in targets]
    training = [module for module in model.modules() if module.training]
    model.eval()
    bar = tqdm(desc="calibrating", total=len(targets), unit=" layers", delay=2, disable=None,
               leave=False)
    try:
        with torch.no_grad():
            run()
    finally:
        bar.close()
        for hook in hooks:
            hook.remove()
        for module in training:
            module.training = True
    missing = [name for name in targets if name not in reached]
    if missing:
        raise ValueError(f"run() does not call {', '.join(missing)}")
    _tell_far(targets, reached)
    return reached


FAR = 0.1
"""Share of a ratio by which what is reached may be off before a warning says so."""


class FarFromTarget(UserWarning):
    """Calibration could not come near to what was asked."""


def _tell_far(targets, reached) -> None:
    """Warn of layers whose ratios are far from their targets: short texts have few clusters to
    choose from."""
    far = []
    for name, got in reached.items():
        for ratio in ("rl", "ra"):
            asked = targets[name].get(ratio)
            if asked and abs(getattr(got, ratio) - asked) > FAR * asked:
                far.append(f"{name} {ratio.upper()} {getattr(got, ratio):.3f} for {asked:g}")
    if far:
        warnings.warn("calibration is far from what was asked: " + "; ".join(far[:4])
                      + (f" and {len(far) - 4} more" if len(far) > 4 else "")
                      + "; longer sequences come closer", FarFromTarget, stacklevel=3)
