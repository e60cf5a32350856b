"""What a masked language model learns from: the tokens that it does not see."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from sw.lm.data import Masked
from sw.lm.model import MaskedLM

__all__ = ["masked_loss", "tensors"]


def tensors(masked: Masked, device: torch.device,
            rows: slice = slice(None)) -> tuple[Tensor, Tensor, Tensor]:
    """``ids``, ``where`` and ``target`` of some sequences of a batch, on a device."""
    return tuple(torch.from_numpy(part[rows]).to(device)
                 for part in (masked.ids, masked.where, masked.target))


def masked_loss(model: MaskedLM, ids: Tensor, where: Tensor, target: Tensor,
                forward: Callable[[Tensor, Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """Nats a predicted token, and what is minimised: that, and the losses that the feed-forward
    networks have of their own.

    ``ids`` and ``where`` are (B, n), ``target`` (B, count). ``forward`` stands in for a call of the model.
    """
    logits = (forward or model)(ids, where)
    loss = F.cross_entropy(logits.float(), target.flatten())
    own = model.aux_loss
    return loss, loss if own is None else loss + own
