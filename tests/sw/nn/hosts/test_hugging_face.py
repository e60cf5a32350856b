"""The masks that transformers hands to attention: which tokens they call real."""

import pytest
import torch

from sw.nn.hosts.hugging_face import valid_tokens


class TestValidTokens:
    VALID = torch.tensor([[True, True, False], [True, False, False]])

    def test_none(self):
        assert valid_tokens(None, 2, 3) is None

    @pytest.mark.parametrize("queries", [1, 3])
    def test_four_dimensions(self, queries):
        mask = self.VALID[:, None, None, :].expand(2, 1, queries, 3)
        assert torch.equal(valid_tokens(mask, 2, 3), self.VALID)
        for least in (float("-inf"), torch.finfo(torch.float32).min, -10000.0):
            additive = torch.zeros(2, 1, queries, 3).masked_fill(~mask, least)
            assert torch.equal(valid_tokens(additive, 2, 3), self.VALID)

    def test_two_dimensions(self):
        assert torch.equal(valid_tokens(self.VALID.long(), 2, 3), self.VALID)

    def test_one_for_the_batch(self):
        assert torch.equal(valid_tokens(self.VALID[:1, None, None], 2, 3),
                           self.VALID[:1].expand(2, 3))

    @pytest.mark.parametrize("mask, message", [
        (torch.zeros(2, 1, 1, 3).fill_(-0.5), "bias on the scores"),
        (torch.ones(2, 4, 1, 3).bool(), r"is \(2, 4, 1, 3\), must be"),
        (torch.ones(2, 1, 1, 4).bool(), "must fit 2 sequences of 3 tokens"),
        (torch.ones(3, 3), "must fit 2 sequences"),
        (object(), "is a object, must be a tensor"),
    ])
    def test_refused(self, mask, message):
        with pytest.raises(ValueError, match=message):
            valid_tokens(mask, 2, 3)
