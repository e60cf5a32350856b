"""Hash directions of a CTA layer: random ones as in the paper, and others that fit better.

One A of l directions per LSH and layer, over whole tokens; the heads share it. Directions fitted
to a layer give each LSH an A of its own, which costs the engine a load of its value registers.

Learned directions. A code has no gradient; LookupFFN (Sec. 3.2) trains its hash nevertheless, by
weights that are a smooth function of what is hashed. Here those weights are the affinities of a
token to all clusters, softmax(-|u - U|^2) with u = A x / w of the token and U of the centroid, in
buckets. What a token reads from its cluster (centroid, key, value, output) then is

    y = v[ct] + (p - p.detach()) v.detach()

in value the plain CTA, in gradient to tokens and weights as well; A learns which clusters a token
had better been in. Two things stay out of it, as they would only buy less compression: the length
of A (its gradient is taken out) and the bucket width, which ``widths.calibrate`` sets again when
training has moved the counts. The offset cancels in u - U.

Weighting the tokens in the mean instead, each by how deep it lies in its bucket, learns far less:
a mean is where the squared error of its members is stationary, so weights have no gradient there.
"""

import math

import numpy as np
import torch
from torch import Tensor

from sw.nn import clustering

__all__ = ["DIRECTIONS", "random_directions", "projection_directions", "fit", "pull"]

DIRECTIONS = ("random", "projection", "learned")


def random_directions(dim: int, l: int, seed: int, shared: bool = True  # noqa: E741
                      ) -> tuple[Tensor, Tensor]:
    """``a`` (3, l, dim) ~ N(0, 1), one for all LSHs if ``shared``; ``offset`` (3, l) ~ U(0, 1).

    float64, and the very numbers of ``model.cta.calibrate.draw``. The offset is in buckets: b / w.
    """
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(3, l, dim))
    if shared:
        a = np.stack([a[0]] * 3)
    return torch.from_numpy(a), torch.from_numpy(rng.uniform(size=(3, l)))


@torch.no_grad()
def projection_directions(heads, xq: Tensor, xkv: Tensor | None = None,
                          valid_q: Tensor | None = None, valid_kv: Tensor | None = None) -> Tensor:
    """``a`` (3, l, dim), float64: where the layer's queries, or keys and values, vary most.

    The principal directions of X Wq for LSH0, and of X [Wk; Wv] for LSH1 and LSH2, over all heads
    of the layer and all valid tokens of the sample, taken back to tokens. ``model.cta.calibrate`` has
    the same for a single head. Directions beyond those in which the sample varies are zeros.
    ``heads`` is a CTAHeads; tokens and masks as in its forward.
    """
    if xkv is None:
        valid_q = valid_kv if valid_q is None else valid_q
        valid_kv = valid_q if valid_kv is None else valid_kv
    keys = xq if xkv is None else xkv
    clustering.check_valid(valid_q, *xq.shape[:2])
    clustering.check_valid(valid_kv, *keys.shape[:2])
    query = _principal(xq, valid_q, heads.q.weight, heads.l)
    key = _principal(keys, valid_kv, torch.cat([heads.k.weight, heads.v.weight]), heads.l)
    return torch.stack([query, key, key])


@torch.no_grad()
def fit(heads, xq: Tensor, xkv: Tensor | None = None, valid_q: Tensor | None = None,
        valid_kv: Tensor | None = None) -> None:
    """Give a CTAHeads its projection directions from a sample. Its widths need calibration then.

    With learned directions this is where learning starts from.
    """
    heads.a.copy_(projection_directions(heads, xq, xkv, valid_q, valid_kv))
    if heads.directions == "random":
        heads.directions = "projection"


def pull(x: Tensor, c: Tensor, k: Tensor, a: Tensor, w: Tensor,
         valid: Tensor | None = None) -> Tensor:
    """p - p.detach() of the module's text: zeros (B, n, k_max), with a gradient to ``a``.

    ``x`` (B, n, D) tokens, ``c`` (B, k_max, D) centroids of which the first ``k`` (B,) count,
    ``a`` (l, D), ``w`` the bucket width. The gradient is orthogonal to ``a``.
    """
    if valid is not None:
        x = x.masked_fill(~valid[..., None], 0)    # padding may hold anything, even NaN
    length = a.norm().clamp(min=torch.finfo(a.dtype).tiny)
    a = a * (length.detach() / length)
    none = torch.arange(c.shape[1], device=c.device) >= k[:, None]
    with torch.autocast(x.device.type, enabled=False):
        u, at = (clustering.positions(y.detach(), a, 0.0, w) for y in (x, c))
        # |u|^2 is common to all clusters and falls out of the softmax.
        near = 2 * u @ at.transpose(1, 2) - at.square().sum(-1)[:, None]
        p = near.masked_fill(none[:, None], -torch.inf).softmax(-1)
    return p - p.detach()


def _principal(x, valid, weight, l):  # noqa: E741 - the paper's name
    """l directions over tokens, (l, dim), of squared size l * dim together."""
    x = (x.flatten(0, 1) if valid is None else x[valid]).double()
    weight = weight.double()
    # X = U R with orthonormal U, so R Wt stands for X Wt, with no more rows than dim.
    y = torch.linalg.qr(x - x.mean(dim=0), mode="r").R @ weight.T
    size, u = torch.linalg.eigh(y @ y.T)
    size, u = size.flip(0)[:l], u.flip(1)[:, :l]
    ok = size > size[0] * 1e-12
    v = torch.where(ok, u / size.clamp(min=1e-300).sqrt(), 0.0).T @ y
    a = torch.zeros(l, x.shape[1], dtype=x.dtype, device=x.device)
    a[:len(v)] = v @ weight
    # Eigenvectors come with either sign; the largest entry is made positive.
    sign = a.gather(1, a.abs().argmax(dim=1, keepdim=True)).sign()
    norm = a.norm()
    return a * sign * (math.sqrt(a.numel()) / norm) if norm > 0 else a
