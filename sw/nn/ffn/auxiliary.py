"""Layers that add a loss of their own to the loss of the model."""

import torch
from torch import Tensor, nn

__all__ = ["AuxiliaryLoss", "auxiliary_loss"]


class AuxiliaryLoss(nn.Module):
    """Base of layers with ``aux_loss``: the 0-dim loss of the last forward in training, or None.

    It is dropped from copies and pickles of the layer, as its graph can be neither.
    """

    def __init__(self):
        super().__init__()
        self.aux_loss: Tensor | None = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, "aux_loss": None}


def auxiliary_loss(model: nn.Module) -> Tensor | None:
    """Sum of what the layers of ``model`` ask for since their last forward; None if nothing."""
    losses = [layer.aux_loss for layer in model.modules()
              if getattr(layer, "aux_loss", None) is not None]
    return torch.stack(losses).sum() if losses else None
