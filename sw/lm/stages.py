"""Switch the attention of a trained model to CTA, and keep its bucket widths where they belong.

CTA is a fine-tuning in its paper: a model learns with exact attention first. Widths are fitted
when CTA begins (:mod:`sw.nn.calibration`), and again from time to time, since clusters drift as
weights move.
"""

import torch
from torch import Tensor

from sw.io.errors import InputError
from sw.lm.model import MaskedLM
from sw.nn.calibration import calibrate_layers

__all__ = ["use_exact", "use_cta", "calibrate", "Ratios", "ratios"]


def use_exact(model: MaskedLM) -> None:
    """Ordinary attention in every layer."""
    for layer in model.layers:
        layer.attention.heads.mode = "exact"


def use_cta(model: MaskedLM, ids: Tensor, target: dict, kind: str = "keep",
            layers: tuple[int, ...] = ()) -> None:
    """CTA in ``layers`` (none: all), exact attention elsewhere; widths fitted to ``target``.

    ``ids`` (B, n) are sample sequences, ``target`` what :func:`sw.nn.widths.calibrate` takes
    (counts or rl), ``kind`` "random" or "keep" for the directions as they are, or "projection"
    to fit them to the same sequences.
    """
    chosen = set(layers) or set(range(len(model.layers)))
    for index, layer in enumerate(model.layers):
        layer.attention.heads.mode = "cta" if index in chosen else "exact"
    calibrate(model, ids, target, kind)


def calibrate(model: MaskedLM, ids: Tensor, target: dict, kind: str = "keep") -> None:
    """Fit the widths of the layers that are in CTA mode.

    Raises :class:`sw.io.errors.InputError`, naming the layer, where its tokens cannot have as many
    clusters as the target asks for.
    """
    nowhere = torch.zeros_like(ids, dtype=torch.bool)
    try:
        calibrate_layers(model, lambda: model(ids, nowhere), **target,
                         directions="projection" if kind == "projection" else "keep")
    except ValueError as error:
        raise InputError(f"CTA: {error}") from None


class Ratios:
    """RL and RA of every layer, means over all forwards inside a ``with``."""

    def __init__(self, model: MaskedLM):
        self._heads = [layer.attention.heads for layer in model.layers]
        self._seen = [[] for _ in self._heads]

    def __enter__(self):
        self._hooks = [heads.register_forward_hook(self._note(seen))
                       for heads, seen in zip(self._heads, self._seen)]
        return self

    def __exit__(self, *_):
        for hook in self._hooks:
            hook.remove()

    @staticmethod
    def _note(seen):
        return lambda heads, args, output: seen.append(heads.ratios())

    def layers(self) -> list[tuple[float, float]]:
        """(RL, RA) of every layer."""
        return [tuple(sum(pair[i] for pair in seen) / len(seen) for i in (0, 1))
                for seen in self._seen]

    def mean(self) -> tuple[float, float]:
        """(RL, RA), means over the layers."""
        layers = self.layers()
        return tuple(sum(pair[i] for pair in layers) / len(layers) for i in (0, 1))


def ratios(model: MaskedLM) -> list[tuple[float, float]]:
    """(RL, RA) of every layer in the last forward."""
    return [layer.attention.heads.ratios() for layer in model.layers]
