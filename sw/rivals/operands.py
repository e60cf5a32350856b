"""Queries and keys of a real layer, out of a file."""

from dataclasses import replace

import numpy as np

from sw.io.errors import InputError
from sw.io.npz import array, read_npz
from sw.rivals.rival import Layer
from sw.run import head_file

__all__ = ["read_layer"]

LAYER_KEYS = ("q", "k", "v", "dw")


def read_layer(path, n: int | None = None, heads: int | None = None, clusters=None) -> Layer:
    """The layer of a file, its first ``n`` tokens.

    The file is a head as ``hashlayer run cta`` reads it, or has ``q`` and ``k`` of shape (heads, n, d),
    with all biases in and without the 1 / sqrt(d), optionally ``v`` and ``dw``, the dimension of a token. One
    head stands for ``heads`` alike ones. Raises :class:`sw.io.errors.InputError`.
    """
    found = read_npz(path, (*LAYER_KEYS, *head_file.KEYS), lambda data: _read(path, data))
    given, held = len(found["q"]), min(found["q"].shape[1], found["k"].shape[1])
    n = held if n is None else n
    if not 1 <= n <= held:
        raise InputError(f"n is {n}, must be in 1..{held}, the tokens of {path}")
    heads = given if heads is None else heads
    if heads != given and (given > 1 or heads < 1):
        raise InputError(f"heads is {heads}, must be {given}, those of {path}")
    for name in ("q", "k", "v"):
        if found[name] is not None:
            found[name] = np.repeat(found[name][:, :n], heads if given == 1 else 1, axis=0)
    if found["head"] is not None:
        head = found["head"]
        found["head"] = replace(head, xq=head.xq[:n], xkv=head.xkv[:n])
    try:
        return Layer(n, heads, clusters=clusters, d=found["q"].shape[2], **found)
    except ValueError as error:
        raise InputError(str(error)) from None


def _read(path, data) -> dict:
    """Fields of the layer, all its tokens."""
    if "q" in data.files or "k" in data.files:
        if not {"q", "k"} <= set(data.files) <= set(LAYER_KEYS):
            raise InputError(f"{path} has {', '.join(data.files)}, must have q and k, v and dw at most")
        q = array(data, "q", (None, None, None))
        k = array(data, "k", (len(q), None, q.shape[2]))
        v = array(data, "v", k.shape) if "v" in data.files else None
        dw = int(array(data, "dw", ())) if "dw" in data.files else q.shape[2]
        if dw < 1 or dw % q.shape[2]:
            raise InputError(f"dw is {dw}, must be a multiple of d = {q.shape[2]}")
        return {"q": q, "k": k, "v": v, "dw": dw, "head": None}
    head = head_file.read_head(path)
    bk = array(data, "bk", (head.wk.shape[1],)) if "bk" in data.files else 0
    return {"q": (head.xq @ head.wq + head.bq)[None], "k": (head.xkv @ head.wk + bk)[None],
            "v": (head.xkv @ head.wv + head.bv)[None], "dw": head.wq.shape[0], "head": head}
