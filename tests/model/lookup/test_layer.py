"""The layer: every tensor of small jobs against the oracle, refusals, corners, speed."""

import time
from dataclasses import replace

import numpy as np
import pytest

from model.errors import JobRefused
from model.lookup import layer
from model.lookup.config import LookupConfig
from model.lookup.job import ErrorCode, Order, Saturation
from model.lookup.stimulus import PATTERNS, patterned_job, random_job
from tests.model.lookup import oracle

CONFIGS = [LookupConfig(d=8, h=1, tau=1, block=4), LookupConfig(d=24, h=5, tau=3, block=8),
           LookupConfig(d=16, h=4, tau=2, block=16, neighbours=True, residual=True),
           LookupConfig(d=8, h=3, tau=5, block=4, gelu_scaled=False, neighbours=True),
           LookupConfig(d=24, h=2, tau=4, projection="dense", gelu_scaled=False, residual=True)]


def assert_as_oracle(cfg, weights, job, where):
    got = layer.trace(cfg, weights, job)
    z, events, _, _ = oracle.project(cfg, job.x.tolist(), weights, job.gain, job.skip,
                                     job.shift_skip)
    codes = oracle.codes(cfg, z)
    s, events["SCORE"] = oracle.scores(cfg, z, weights.shift_s)
    acc, y, events["OUTPUT"] = oracle.gather(cfg, codes, s, weights.tables, weights.out_bias,
                                             job.shift_y, job.residual)
    for name, want in (("z", z), ("codes", codes), ("scores", s), ("acc", acc), ("y", y)):
        assert got[name].tolist() == want, f"{name} differs, {where}"
    assert {kind.name: n for kind, n in got["saturations"].items()} == events, where
    result = layer.run(cfg, weights, job)
    assert result.y.tolist() == y and result.saturations == got["saturations"]
    assert result.codes.tolist() == [[code[0] for code in token] for token in codes]


@pytest.mark.parametrize("cfg", CONFIGS)
@pytest.mark.parametrize("saturating", [False, True])
def test_random_jobs(cfg, saturating):
    for seed in range(3):
        weights, job = random_job(cfg, np.random.default_rng(seed), 3, saturating)
        assert_as_oracle(cfg, weights, job, f"seed {seed}")


@pytest.mark.parametrize("cfg", CONFIGS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_corner_cases(cfg, pattern):
    weights, job = patterned_job(cfg, np.random.default_rng(7), pattern, 3)
    assert_as_oracle(cfg, weights, job, pattern)


def test_every_kind_saturates_and_is_counted():
    weights, job = random_job(CONFIGS[1], np.random.default_rng(0), 16, saturating=True)
    result = layer.run(CONFIGS[1], weights, job)
    assert set(result.saturations) == set(Saturation) and min(result.saturations.values()) > 0


def test_the_order_shows_in_the_bytes_alone():
    cfg = LookupConfig(d=16, h=3, tau=2, batch=4)
    weights, job = random_job(cfg, np.random.default_rng(0), 10)
    token, table = (layer.run(cfg, weights, replace(job, order=order)) for order in Order)
    assert (token.y == table.y).all()
    assert (token.table_bytes, table.table_bytes) == (10 * 3 * 16, 3 * 3 * 4 * 16)


def test_the_order_that_needs_the_tile_is_refused():
    cfg = LookupConfig(d=16, h=3, tau=2, tile=False)
    for seed in range(4):
        weights, job = random_job(cfg, np.random.default_rng(seed), 10)
        assert job.order == Order.TOKEN_MAJOR and layer.check(cfg, weights, job) == ErrorCode.NONE
    bad = replace(job, order=Order.TABLE_MAJOR)
    assert layer.check(cfg, weights, bad) == ErrorCode.ORDER
    with pytest.raises(JobRefused, match="ORDER: order is table-major, must be token-major on an"):
        layer.run(cfg, weights, bad)
    assert layer.check(cfg, weights, replace(bad, x=job.x[:0])) == ErrorCode.TOKENS


def test_one_token_at_a_time_gives_the_same():
    cfg = CONFIGS[2]
    weights, job = random_job(cfg, np.random.default_rng(3), 9)
    y = layer.run(cfg, weights, job).y
    for t in range(9):
        alone = replace(job, x=job.x[t:t + 1], residual=job.residual[t:t + 1])
        assert (layer.run(cfg, weights, alone).y[0] == y[t]).all()


def test_jobs_that_are_refused():
    cfg = CONFIGS[1]
    weights, job = random_job(cfg, np.random.default_rng(0), 2)
    assert layer.check(cfg, weights, job) == ErrorCode.NONE
    for t in (0, 65536):
        bad = replace(job, x=np.zeros((t, cfg.d), np.int64))
        assert layer.check(cfg, weights, bad) == ErrorCode.TOKENS
        with pytest.raises(JobRefused, match=f"TOKENS: t is {t}, must be in 1..65535") as refusal:
            layer.run(cfg, weights, bad)
        assert refusal.value.code == ErrorCode.TOKENS


def test_operands_are_held_against_their_formats():
    cfg = CONFIGS[1]
    weights, job = random_job(cfg, np.random.default_rng(0), 2)
    for change, text in (
            ({"w": weights.w[:, :, :2]}, r"w has shape .* must be \(1, 4, 4, 8, 8\)"),
            ({"w": weights.w * 1000}, r"w has values in .* must be in \[-512, 511\]"),
            ({"tables": weights.tables.astype(float)}, "tables has dtype float64"),
            ({"tables": weights.tables[:, :4]}, "tables has shape"),
            ({"shift_s": weights.shift_s + 32}, r"shift_s has values .* must be in \[0, 31\]"),
            ({"shift_block": weights.shift_block[:, :3]}, "shift_block has shape"),
            ({"shift_z": weights.shift_z - 99}, "shift_z has values"),
            ({"z_bias": weights.z_bias[1:]}, "z_bias has shape"),
            ({"out_bias": weights.out_bias + (1 << 24)}, "out_bias has values")):
        with pytest.raises(ValueError, match=text):
            layer.run(cfg, replace(weights, **change), job)
    for change, text in (({"x": job.x * 4096}, "x has values"),
                         ({"x": job.x[:, 1:]}, "x has shape"),
                         ({"gain": 512}, "gain is 512, must be in 0..511"),
                         ({"skip": -1}, "skip is -1"), ({"shift_y": 32}, "shift_y is 32"),
                         ({"shift_skip": -1}, "shift_skip is -1"), ({"order": 2}, "order is 2"),
                         ({"residual": job.x}, "residual is given, must be None")):
        with pytest.raises(ValueError, match=text):
            layer.run(cfg, weights, replace(job, **change))
    adds = CONFIGS[2]
    weights, job = random_job(adds, np.random.default_rng(0), 2)
    with pytest.raises(ValueError, match="residual is None, must be given"):
        layer.run(adds, weights, replace(job, residual=None))


def test_the_paper_s_layer_takes_less_than_a_second():
    cfg = LookupConfig()
    weights, job = random_job(cfg, np.random.default_rng(0), 64)
    start = time.perf_counter()
    layer.run(cfg, weights, job)
    assert time.perf_counter() - start < 1     # measured: 0.04
