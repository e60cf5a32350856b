"""Held-out scores: by hand, in parts, and differences with their error."""

import numpy as np
import pytest
import torch

from sw.lm.data import fixed_sample
from sw.lm.held_out import Score, measure
from sw.lm.tokens import ByteTokens


class Guess(torch.nn.Module):
    """Logits that depend on the token read; notes the mode it is called in."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Parameter(
            torch.randn(257, 257, generator=torch.Generator().manual_seed(0)))

    def forward(self, ids, where):
        assert not self.training
        return self.table[ids[where]]


def test_score_is_the_mean_over_all_predictions():
    stream = np.random.default_rng(0).integers(256, size=4000).astype(np.uint16)
    masked = fixed_sample(stream, ByteTokens(), 32, 0.15, 10)
    model, seen = Guess(), []
    score = measure(model, masked, size=4, each=seen.append)
    assert seen == [4, 4, 2] and model.training
    losses, right = [], 0
    for ids, where, target in zip(masked.ids, masked.where, masked.target):
        for token, true in zip(ids[where], target):
            row = model.table[token].detach().double()
            losses.append(float(torch.logsumexp(row, 0) - row[true]))
            right += int(row.argmax()) == true
    assert score.loss == pytest.approx(np.mean(losses), rel=1e-6)
    assert score.accuracy == right / len(losses)
    np.testing.assert_allclose(score.sequences, np.reshape(losses, (10, -1)).mean(1), rtol=1e-6)


def test_differences():
    one, two = (Score(float(np.mean(x)), 0.0, np.array(x)) for x in ([1.0, 2, 3], [1.0, 1, 1]))
    mean, error = one.over(two)
    assert mean == 1.0 and error == pytest.approx(1 / 3**0.5)
    assert one.over(one) == (0.0, 0.0)
    assert Score(1.0, 0.0, np.array([1.0])).over(Score(0.5, 0.0, np.array([0.5]))) == (0.5, 0.0)
