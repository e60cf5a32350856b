"""Queries and keys of a real layer, out of a file."""

import numpy as np

from sw.io.errors import InputError
from sw.io.npz import array, read_npz
from sw.rivals.rival import Layer
from sw.run import head_file

__all__ = ["read_layer"]

LAYER_KEYS = ("q", "k", "dw")


def read_layer(path, n: int | None = None, heads: int | None = None, clusters=None) -> Layer:
    """The layer of a file, its first ``n`` tokens.

    The file is a head as ``hashlayer run cta`` reads it, or has ``q`` and ``k`` of shape (heads, n, d),
    with all biases in and without the 1 / sqrt(d), and optionally ``dw``, the dimension of a token. One
    head stands for ``heads`` alike ones. Raises :class:`sw.io.errors.InputError`.
    """
    q, k, dw = read_npz(path, (*LAYER_KEYS, *head_file.KEYS), lambda data: _read(path, data))
    held = min(q.shape[1], k.shape[1])
    n = held if n is None else n
    if not 1 <= n <= held:
        raise InputError(f"n is {n}, must be in 1..{held}, the tokens of {path}")
    heads = len(q) if heads is None else heads
    if heads != len(q) and (len(q) > 1 or heads < 1):
        raise InputError(f"heads is {heads}, must be {len(q)}, those of {path}")
    q, k = (np.repeat(v[:, :n], heads, axis=0) if len(v) == 1 else v[:, :n] for v in (q, k))
    try:
        return Layer(n, heads, clusters=clusters, d=q.shape[2], dw=dw, q=q, k=k)
    except ValueError as error:
        raise InputError(str(error)) from None


def _read(path, data):
    if "q" in data.files or "k" in data.files:
        if not {"q", "k"} <= set(data.files) <= set(LAYER_KEYS):
            raise InputError(f"{path} has {', '.join(data.files)}, must have q and k, and dw at most")
        q = array(data, "q", (None, None, None))
        k = array(data, "k", (len(q), None, q.shape[2]))
        dw = int(array(data, "dw", ())) if "dw" in data.files else q.shape[2]
        if dw < 1 or dw % q.shape[2]:
            raise InputError(f"dw is {dw}, must be a multiple of d = {q.shape[2]}")
        return q, k, dw
    head = head_file.read_head(path)
    bk = array(data, "bk", (head.wk.shape[1],)) if "bk" in data.files else 0
    return (head.xq @ head.wq + head.bq)[None], (head.xkv @ head.wk + bk)[None], head.wq.shape[0]
