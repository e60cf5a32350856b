"""Layers with real activations for :mod:`sw.studies.budget`: from a file, or from a checkpoint.

torch is needed for a checkpoint only.
"""

import dataclasses
from pathlib import Path

import numpy as np

from model.cta.job import Mode
from sw.io.errors import InputError
from sw.run import head as head_run
from sw.run import head_file, layer_file

__all__ = ["Case", "read", "seen_by"]


@dataclasses.dataclass(frozen=True)
class Case:
    """One layer: ``part`` is "attention", with its heads on every sequence as ``real``, or "ffn",
    with one :class:`model.lookup.reference.Layer`."""

    part: str
    title: str
    cfg: object
    real: object
    mode: Mode = Mode.CTA


def read(path: Path, mode: Mode, text: str | None, sequences: int) -> list[Case]:
    """The layers of one input; raises :class:`InputError`. ``mode`` is that of head files, ``text``
    and ``sequences`` are for checkpoints."""
    if path.is_dir():
        return _checkpoint(path, text, sequences)
    if not path.is_file():
        raise InputError(f"{path} does not exist")
    try:
        with np.load(path, allow_pickle=False) as data:
            names = data.files
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is not an .npz file: {error}") from None
    if "tables" in names:
        real = layer_file.read_layer(path)
        return [Case("ffn", f"LookupFFN ({path.stem})", layer_file.make_config(real, {}), real)]
    head = head_file.read_head(path)
    cfg = head_file.make_config(head, {})
    prepared = head_run.prepare(cfg, head, mode)
    return [Case("attention", f"{_words(mode)} ({path.stem})", cfg, [prepared.real], mode)]


def _words(mode):
    return "CTA attention" if mode == Mode.CTA else "exact attention"


def _checkpoint(folder, text, sequences):
    try:
        import torch

        from sw.lm import checkpoint, data
    except ImportError as error:
        raise InputError(f"a checkpoint needs {error.name}, which `make setup` installs") from None
    model, run = checkpoint.load(folder)
    tokens = checkpoint.tokens_of(folder, run)
    source = dataclasses.replace(run.data, text=(text,) if text else ())
    corpus = data.load_corpus(source, run.model.context, tokens)
    masked = data.fixed_sample(corpus.held_out, tokens, run.model.context, run.data.mask,
                               sequences)
    with torch.no_grad():
        return _cases(model, torch.from_numpy(masked.ids))


def seen_by(model, ids) -> dict[str, tuple]:
    """Arguments of every CTAHeads and LookupFFN of ``model``, by name, in a call with ``ids``."""
    from sw.nn.attachment import attention_layers, ffn_layers
    from sw.nn.ffn.lookup import LookupFFN
    layers = {**attention_layers(model),
              **{name: layer for name, layer in ffn_layers(model).items()
                 if isinstance(layer, LookupFFN)}}
    seen = {}
    hooks = [layer.register_forward_pre_hook(
        lambda _, args, name=name: seen.__setitem__(name, args))
        for name, layer in layers.items()]
    try:
        model(ids)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: seen[name] for name in layers if name in seen}


def _cases(model, ids):
    """The layers of ``model``, with what they see of ``ids`` (B, n)."""
    from sw.nn.cta_heads import CTAHeads
    found = []
    for name, args in seen_by(model, ids).items():
        layer = model.get_submodule(name)
        found.append(_attention(name, layer, *args) if isinstance(layer, CTAHeads)
                     else _ffn(name, layer, *args))
    return found


def _place(name):
    """Where a layer is, without the names of its parts."""
    return name.removesuffix(".ffn").removesuffix(".heads").removesuffix(".attention")


def _ffn(name, layer, x):
    return Case("ffn", f"{_place(name)}: LookupFFN", layer.config(), layer.operands(x))


def _attention(name, heads, x, *others):
    from sw.quant.cta import engine, mode_of, operands
    if any(value is not None for value in others):
        raise InputError(f"{name} is not self-attention without padding")
    real = []
    for sequence in x.double().numpy():
        for head in range(heads.heads):
            real.append(dataclasses.replace(operands(heads, head), xq=sequence, xkv=sequence))
    mode = mode_of(heads)
    return Case("attention", f"{_place(name)}: {_words(mode)}",
                engine(heads, n=max(x.shape[1], 2)), real, mode)
