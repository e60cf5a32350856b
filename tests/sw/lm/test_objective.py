"""What a language model learns from: the loss of its masked places, and of its networks."""

import numpy as np
import pytest
import torch

from sw.lm.config import ModelConfig
from sw.lm.data import Masked
from sw.lm.model import MaskedLM
from sw.lm.objective import masked_loss, tensors

TINY = {"d": 8, "heads": 2, "layers": 2, "context": 6, "vocab": 11, "dropout": 0.0}


def batch():
    where = np.zeros((3, 6), bool)
    where[:, [1, 4]] = True
    ids = np.random.default_rng(0).integers(11, size=(3, 6))
    return Masked(ids, where, ids[where].reshape(3, 2))


def test_some_sequences_of_a_batch():
    masked = batch()
    ids, where, target = tensors(masked, torch.device("cpu"), slice(1, 3))
    assert np.array_equal(ids, masked.ids[1:]) and np.array_equal(where, masked.where[1:])
    assert np.array_equal(target, masked.target[1:])


def test_against_a_loop():
    model, masked = MaskedLM(ModelConfig(**TINY)), batch()
    loss, whole = masked_loss(model, *tensors(masked, torch.device("cpu")))
    logits = model(torch.from_numpy(masked.ids)).log_softmax(-1)
    due = -sum(logits[i, j, masked.ids[i, j]] for i in range(3) for j in (1, 4)) / 6
    assert loss.item() == pytest.approx(due.item(), rel=1e-5) and whole is loss


def test_the_networks_ask_for_more():
    """Switch has a loss of its own; what is reported is without it."""
    model = MaskedLM(ModelConfig(**TINY, ffn="switch", ffn_options={"experts": 2, "balance": 0.1})).train()
    parts, calls = tensors(batch(), torch.device("cpu")), []

    def forward(ids, where):
        calls.append(ids)
        return model(ids, where)
    loss, whole = masked_loss(model, *parts, forward)
    assert len(calls) == 1 and whole.item() == pytest.approx((loss + model.aux_loss).item())
    assert whole > loss
