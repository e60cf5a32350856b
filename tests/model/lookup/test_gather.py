"""Weighted rows against the oracle; orders, bytes, residual, saturation."""

import numpy as np
import pytest

from model.fixed import Format
from model.lookup import gather
from model.lookup.config import LookupConfig
from model.lookup.job import Order
from tests.model.lookup import oracle


def operands(cfg, rng, t):
    tables = rng.integers(-128, 128, (cfg.h, 1 << cfg.tau, cfg.d)).astype(np.int8)
    codes = rng.integers(0, 1 << cfg.tau, (t, cfg.h, cfg.entries))
    scores = rng.integers(cfg.score.min, cfg.score.max + 1, codes.shape)
    out_bias = rng.integers(cfg.fmt.out_bias.min, cfg.fmt.out_bias.max + 1, cfg.d)
    residual = rng.integers(-32768, 32768, (t, cfg.d))
    return tables, codes, scores, out_bias, residual


@pytest.mark.parametrize("cfg", [LookupConfig(d=8, h=1, tau=1), LookupConfig(d=24, h=5, tau=3),
                                 LookupConfig(d=16, h=3, tau=2, neighbours=True)])
@pytest.mark.parametrize("shift", [0, 5, 11, 31])
def test_gather_is_that_of_the_oracle(cfg, shift):
    rng = np.random.default_rng(shift)
    tables, codes, scores, out_bias, residual = operands(cfg, rng, 4)
    for added in (None, residual):
        acc, want, moved = oracle.gather(cfg, codes.tolist(), scores.tolist(), tables, out_bias,
                                         shift, added)
        y, saturated = gather.gather(cfg, codes, scores, tables, out_bias, shift, added)
        assert y.tolist() == want and saturated == moved
        assert gather.accumulate(cfg, codes, scores, tables).tolist() == acc


def test_the_accumulator_holds_the_worst_case():
    for neighbours in (False, True):
        cfg = LookupConfig(d=8, h=7, tau=2, neighbours=neighbours)
        codes = np.zeros((1, 7, cfg.entries), np.int64)
        for score in (cfg.score.min, cfg.score.max):
            for entry, bias in ((-128, cfg.fmt.out_bias.min), (127, cfg.fmt.out_bias.max)):
                tables = np.full((7, 4, 8), entry, np.int8)
                acc = gather.accumulate(cfg, codes, np.full(codes.shape, score), tables) + bias
                assert cfg.gather_acc.holds(acc).all()
        narrow = Format(True, cfg.gather_acc.width - 1)
        acc = gather.accumulate(cfg, codes, np.full(codes.shape, cfg.score.max),
                                np.full((7, 4, 8), -128, np.int8))
        assert not narrow.holds(acc + cfg.fmt.out_bias.min).all()


def test_rows_are_numbered_table_by_table():
    cfg = LookupConfig(d=8, h=3, tau=2, neighbours=True)
    codes = np.array([[[2, 0, 3], [1, 3, 0], [0, 2, 1]]])
    assert gather.rows(cfg, codes).tolist() == [[[2, 0, 3], [5, 7, 4], [8, 10, 9]]]


def test_bytes_of_both_orders():
    cfg = LookupConfig(d=24, h=5, tau=3, lanes=16, batch=4, neighbours=True)
    assert cfg.row_bytes == 32                       # 24 bytes are two beats
    assert gather.table_bytes(cfg, 9, Order.TOKEN_MAJOR) == 9 * 5 * 4 * 32
    for tokens, batches in ((1, 1), (4, 1), (5, 2), (9, 3)):
        assert gather.table_bytes(cfg, tokens, Order.TABLE_MAJOR) == batches * 5 * 8 * 32
