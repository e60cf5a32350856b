"""One attention head, or one LookupFFN, of a checkpoint with real tokens: a file for ``hashlayer run``.

The tokens are those of a passage of held-out text, as they arrive at the layer when nothing is
masked. The layer keeps the weights that the model has; the engine's integers are made of them later.
"""

import json

import numpy as np
import torch

from sw.io.errors import InputError
from sw.io.writing import write_npz
from sw.lm.config import RunConfig
from sw.lm.data import Corpus, fixed_sample
from sw.lm.model import MaskedLM

__all__ = ["KINDS", "head_operands", "lookup_operands", "require_operands", "write_operands"]


def _arrival(model: MaskedLM, layer: int, ids: np.ndarray):
    """Of a passage (n,), what the attention of a layer takes and what its FFN takes, each (1, n, d)."""
    block, x = model.layers[layer], model.embed(torch.from_numpy(ids)[None])
    for before in model.layers[:layer]:
        x = before(x)
    attended = block.norm1(x)
    return attended, block.norm2(x + block.attention(attended, need_weights=False)[0])


@torch.no_grad()
def head_operands(model: MaskedLM, layer: int, ids: np.ndarray) -> dict[str, np.ndarray]:
    """``x`` (n, dw), ``wq wk wv`` (dw, d) and ``bq bk bv`` (d,) of the first head of a layer, float32.

    ``dw`` is the width of a token, ``d`` that of a head.
    """
    heads = model.layers[layer].attention.heads
    size, arrays = heads.dim // heads.heads, {"x": _arrival(model, layer, ids)[0][0]}
    for name in "qkv":
        linear = getattr(heads, name)
        arrays[f"w{name}"], arrays[f"b{name}"] = linear.weight[:size].T, linear.bias[:size]
    return {name: value.numpy() for name, value in arrays.items()}


@torch.no_grad()
def lookup_operands(model: MaskedLM, layer: int, ids: np.ndarray) -> dict[str, np.ndarray]:
    """``x`` (n, d), ``blocks`` or ``dense``, ``z_bias``, ``tables``, ``out_bias`` and ``skip`` of the
    LookupFFN of a layer, float32; tables in float16, since eight bits of them reach the engine.
    """
    ffn = model.layers[layer].ffn
    projection = "blocks" if hasattr(ffn, "blocks") else "dense"
    arrays = {"x": _arrival(model, layer, ids)[1][0]}
    arrays |= {name: getattr(ffn, name) for name in (projection, "z_bias", "tables", "out_bias")}
    arrays = {name: value.numpy() for name, value in arrays.items()}
    if projection == "blocks":
        arrays["skip"] = np.array([ffn.skip, ffn.gain])     # coefficients of x and of BH4(x)
    return arrays | {"tables": arrays["tables"].astype(np.float16)}


KINDS = {"head": head_operands, "lookup": lookup_operands}
"""What can be taken out of a layer."""


def require_operands(kind: str, cfg: RunConfig, layer: int) -> None:
    """Raise InputError if a model has no such layer, or the layer no such part."""
    if not 0 <= layer < cfg.model.layers:
        raise InputError(f"layer is {layer}, must be in 0..{cfg.model.layers - 1}")
    if kind == "lookup" and cfg.model.ffn != "lookup":
        raise InputError(f"model.ffn is {cfg.model.ffn!r}, must be 'lookup' for --lookup")


def write_operands(path, kind: str, model: MaskedLM, cfg: RunConfig, corpus: Corpus, layer: int,
                   meta: dict) -> None:
    """Write what ``kind`` of :data:`KINDS` takes out of a layer, and how the model was made.

    ``meta`` are those of the checkpoint, ``layer`` counts from 0.
    """
    # The first of the sequences on which losses are measured, with nothing masked.
    masked = fixed_sample(corpus.held_out, corpus.tokens, cfg.model.context, cfg.data.mask, 1)
    ids = masked.ids[0].copy()
    ids[masked.where[0]] = masked.target[0]
    arrays = KINDS[kind](model, layer, ids)
    made = {key: value for key, value in meta.items() if key != "losses"} | {
        "layer": layer, "steps": cfg.train.steps, "batch": cfg.train.batch, "seed": cfg.train.seed,
        "model": f"masked language model, d = {cfg.model.d}, layers = {cfg.model.layers}, heads = "
                 f"{cfg.model.heads}, ffn = {cfg.model.ffn}, context = {cfg.model.context}",
        "x": "a held-out passage, unmasked, as it arrives at this layer",
        "passage": corpus.tokens.decode(ids)}
    write_npz(path, {**arrays, "meta": json.dumps(made)})
