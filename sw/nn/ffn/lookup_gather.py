"""From soft hash codes to weighted table rows: code, weight and gather of LookupFFN.

Codes are integers and pass no gradient: the projection learns through the weights alone (Sec. 3.1
of the paper; no straight-through estimate). With the factor <z, S_i> and one row a table,

    s         = S P,  S = sum_j |z_j|,  P = prod_j sigmoid(2 |z_j|)
    ds / dz_j = sign(z_j) P (1 + 2 S sigmoid(-2 |z_j|))

which is what autograd makes of :func:`weights`. y is therefore not continuous at z_j = 0, where
the row changes: the weight is.
"""

import torch
from torch.nn import functional as F

__all__ = ["codes", "weights", "gather"]


def codes(z: torch.Tensor, neighbours: bool = False) -> torch.Tensor:
    """Rows to take, int64 (..., h, entries), of soft codes z (..., h, tau).

    Bit j is z_j > 0, a zero gives 0, and j = 0 is the most significant bit. With ``neighbours``
    the tau codes at one sign flip follow, the flip of bit j in place 1 + j.
    """
    place = 1 << torch.arange(z.shape[-1] - 1, -1, -1, device=z.device)
    best = ((z > 0) * place).sum(-1, keepdim=True)
    return torch.cat([best, best ^ place], -1) if neighbours else best


def weights(z: torch.Tensor, neighbours: bool = False, gelu_scaled: bool = True) -> torch.Tensor:
    """Weights s (..., h, entries) of the rows that :func:`codes` takes, in the dtype of z.

    Equation 7: exp<z, S_i> / sum over all rows = prod_j sigmoid(2 s_ij z_j); with ``gelu_scaled``
    times <z, S_i> (Sec. 4).
    """
    size = z.abs()
    plain = F.logsigmoid(2 * size).sum(-1, keepdim=True).exp()
    inner = size.sum(-1, keepdim=True)
    if neighbours:
        plain = torch.cat([plain, plain * torch.exp(-2 * size)], -1)
        inner = torch.cat([inner, inner - 2 * size], -1)
    return inner * plain if gelu_scaled else plain


def gather(tables: torch.Tensor, code: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """y (t, d): the sum over tables and entries of weight times row.

    ``tables`` (h, 2**tau, d); ``code`` and ``weight`` (t, h, entries). One ``embedding_bag``, whose
    backward keeps codes and weights but never the (t, h, entries, d) rows; the gradient of the
    tables is dense, as the authors' is.
    """
    h, rows, _ = tables.shape
    base = torch.arange(0, h * rows, rows, device=code.device)[:, None]
    return F.embedding_bag((code + base).flatten(1), tables.flatten(0, 1), mode="sum",
                           per_sample_weights=weight.flatten(1).to(tables.dtype))
