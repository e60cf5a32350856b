"""Queries, keys and values of a real layer, out of files."""

import os
from dataclasses import replace

import numpy as np

from sw.io.errors import InputError
from sw.io.npz import array, read_npz
from sw.rivals.rival import Layer
from sw.run import head_file

__all__ = ["read_layer"]

LAYER_KEYS = ("q", "k", "v", "dw")


def read_layer(paths, n: int | None = None, heads: int | None = None, clusters=None) -> Layer:
    """The layer of one file or of several, its first ``n`` tokens.

    A file is a head as ``hashlayer run cta`` reads it, and several are the heads of a layer, on the same
    tokens. Or one file has ``q`` and ``k`` of shape (heads, n, d), with all biases in and without the
    1 / sqrt(d), optionally ``v`` and ``dw``, the dimension of a token. A single head stands for ``heads``
    alike ones. Raises :class:`sw.io.errors.InputError`.
    """
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    keys = (*LAYER_KEYS, *head_file.KEYS)
    parts = [read_npz(path, keys, lambda data, path=path: _read(path, data)) for path in paths]
    found = parts[0] if len(parts) == 1 else _joined(paths, parts)
    given, held = len(found["q"]), min(found["q"].shape[1], found["k"].shape[1])
    n = held if n is None else n
    if not 1 <= n <= held:
        raise InputError(f"n is {n}, must be in 1..{held}, the tokens of {paths[0]}")
    heads = given if heads is None else heads
    if heads != given and (given > 1 or heads < 1):
        raise InputError(f"heads is {heads}, must be {given}, as many as there are of {paths[0]}")
    for name in ("q", "k", "v"):
        if found[name] is not None:
            found[name] = np.repeat(found[name][:, :n], heads if given == 1 else 1, axis=0)
    found["sources"] = tuple(replace(head, xq=head.xq[:n], xkv=head.xkv[:n]) for head in found["sources"])
    try:
        return Layer(n, heads, clusters=clusters, d=found["q"].shape[2], **found)
    except ValueError as error:
        raise InputError(str(error)) from None


def _joined(paths, parts) -> dict:
    """The heads of a layer, each of a file of its own."""
    first = parts[0]["sources"]
    for path, part in zip(paths, parts):
        if not part["sources"] or not first:
            raise InputError(f"{path if first else paths[0]} is no head, and of several files each must be")
        if part["q"].shape != parts[0]["q"].shape or not (
                np.array_equal(part["sources"][0].xq, first[0].xq)
                and np.array_equal(part["sources"][0].xkv, first[0].xkv)):
            raise InputError(f"{path} and {paths[0]} have other shapes or tokens, must be heads of one layer")
    return {name: np.concatenate([part[name] for part in parts]) for name in ("q", "k", "v")} | {
        "dw": parts[0]["dw"], "sources": tuple(part["sources"][0] for part in parts)}


def _read(path, data) -> dict:
    """Fields of the layer of one file, all its tokens."""
    if "q" in data.files or "k" in data.files:
        if not {"q", "k"} <= set(data.files) <= set(LAYER_KEYS):
            raise InputError(f"{path} has {', '.join(data.files)}, must have q and k, v and dw at most")
        q = array(data, "q", (None, None, None))
        k = array(data, "k", (len(q), None, q.shape[2]))
        v = array(data, "v", k.shape) if "v" in data.files else None
        dw = int(array(data, "dw", ())) if "dw" in data.files else q.shape[2]
        if dw < 1 or dw % q.shape[2]:
            raise InputError(f"dw is {dw}, must be a multiple of d = {q.shape[2]}")
        return {"q": q, "k": k, "v": v, "dw": dw, "sources": ()}
    head = head_file.read_head(path)
    bk = array(data, "bk", (head.wk.shape[1],)) if "bk" in data.files else 0
    return {"q": (head.xq @ head.wq + head.bq)[None], "k": (head.xkv @ head.wk + bk)[None],
            "v": (head.xkv @ head.wv + head.bv)[None], "dw": head.wq.shape[0], "sources": (head,)}
