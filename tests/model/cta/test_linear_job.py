"""A linear job: a layer of any width on rows of any kind, equal to its formula; what is refused."""

import numpy as np
import pytest

from model.cta import layout, linear_job
from model.cta.config import CTAConfig
from model.cta.cycles import head_cycles
from model.cta.job import ErrorCode, Mode, Saturation
from model.cta.linear import betas
from model.cta.linear_job import LinearJob, LinearWeights
from model.errors import JobRefused
from model.fixed import Format

CONFIGS = {
    "plain": CTAConfig(b=4, d=8, dw=24, n=20, k0=15, exact=12),
    "one slice": CTAConfig(b=4, d=8, n=20, program="weights"),
    "fast": CTAConfig(b=4, d=8, dw=32, n=20, k0=15, exact=12, products="fast"),
}


def drawn(cfg, rng, rows, ends=False):
    """Weights and a job; with ``ends`` all of them at the ends of their range."""
    def values(fmt, shape):
        drawn = rng.integers(fmt.min, fmt.max + 1, shape)
        return np.where(drawn < 0, fmt.min, fmt.max) if ends else drawn
    f = cfg.fmt
    weights = LinearWeights(values(f.weight, (cfg.dw, cfg.d)), values(f.bias, (cfg.d,)))
    return weights, LinearJob(values(f.token, (rows, cfg.dw)), int(rng.integers(8, 16)))


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_formula(name, ends):
    """Written out an element at a time: the row as a centroid, the sum, the shift, and both saturations."""
    cfg, rng = CONFIGS[name], np.random.default_rng(2 + ends)
    weights, job = drawn(cfg, rng, 5, ends)
    got, f = linear_job.run(cfg, weights, job), cfg.fmt

    def rounded(value, shift, fmt):
        value = (value + (1 << shift >> 1)) >> shift
        return min(max(value, fmt.min), fmt.max), not fmt.min <= value <= fmt.max
    moved = over = 0
    for row, y in zip(job.x, got.y, strict=True):
        centroid = [rounded(int(x), f.token.frac - f.centroid.frac, f.centroid) for x in row]
        moved += sum(m for _, m in centroid)
        for column in range(cfg.d):
            total = sum(c * int(w) for (c, _), w in zip(centroid, weights.w[:, column], strict=True))
            value, m = rounded(total + int(weights.b[column]), job.shift, f.qkv)
            assert y[column] == value
            over += m
    counts = dict.fromkeys(Saturation, 0) | {Saturation.CENTROID: moved, Saturation.LINEAR: over}
    assert got.saturations == counts and (moved or not ends)
    again = linear_job.run(cfg, weights, job, reuse=True)
    assert np.array_equal(again.y, got.y) and again.saturations == counts | {Saturation.CENTROID: 0}


def test_a_layer_is_its_jobs():
    """An output width that d does not divide is filled up, and cut off again by who knows it."""
    cfg, rng = CONFIGS["plain"], np.random.default_rng(4)
    w, b = rng.integers(-50, 50, (cfg.dw, 21)), rng.integers(-500, 500, 21)
    jobs = linear_job.split(cfg, w, b)
    assert [one.w.shape for one in jobs] == [(cfg.dw, cfg.d)] * 3
    assert not jobs[-1].w[:, 5:].any() and not jobs[-1].b[5:].any()
    job = LinearJob(rng.integers(-90, 90, (7, cfg.dw)), 6)
    results = linear_job.run_layer(cfg, jobs, job)
    y = np.concatenate([one.y for one in results], axis=1)
    for column in range(21):
        alone = LinearWeights(np.repeat(w[:, [column]], cfg.d, 1), np.repeat(b[[column]], cfg.d))
        assert np.array_equal(linear_job.run(cfg, alone, job).y[:, 0], y[:, column])
    assert not y[:, 21:].any()
    assert [one.saturations[Saturation.CENTROID] for one in results[1:]] == [0, 0]


def test_outputs_as_rows():
    fmt = Format(True, 6, 3)
    rows, over = linear_job.as_tokens(np.array([[-9, -8, 5, 6, 127]]), 2, fmt)
    assert rows.tolist() == [[-2, -2, 1, 2, 31]] and over == 1      # -9/4 is -2.25, 6/4 and -8/4 round up
    rows, over = linear_job.as_tokens(np.array([[-9, 3]]), -2, fmt)
    assert rows.tolist() == [[-32, 12]] and over == 1


@pytest.mark.parametrize("rows, cfg, code, text", [
    (0, "plain", ErrorCode.TOKENS, "a linear job has 0 rows, must have 1..20"),
    (21, "plain", ErrorCode.TOKENS, "a linear job has 21 rows, must have 1..20"),
    (16, "plain", ErrorCode.CAPACITY, "a linear job has 16 rows, must have at most 15"),
    (3, "table1", ErrorCode.LINEAR, "the program 'Table I' has no linear jobs")])
def test_refused(rows, cfg, code, text):
    cfg = CONFIGS.get(cfg) or CTAConfig(b=4, d=8, n=20)
    weights, job = drawn(cfg, np.random.default_rng(1), rows)
    with pytest.raises(JobRefused, match=text) as refused:
        linear_job.run(cfg, weights, job)
    assert refused.value.code is code


@pytest.mark.parametrize("field, wrong", [("w", "w has shape"), ("b", "b has values in"),
                                          ("x", "x has values in"), ("shift", "shift is 32")])
def test_operands_outside_their_formats(field, wrong):
    cfg = CONFIGS["plain"]
    weights, job = drawn(cfg, np.random.default_rng(1), 3)
    values = {"w": weights.w, "b": weights.b, "x": job.x, "shift": job.shift}
    values[field] = {"w": weights.w[1:], "b": weights.b * 0 + cfg.fmt.bias.max + 1,
                     "x": job.x * 0 + cfg.fmt.token.max + 1, "shift": 32}[field]
    with pytest.raises(ValueError, match=wrong):
        linear_job.run(cfg, LinearWeights(values["w"], values["b"]), LinearJob(values["x"], values["shift"]))


def test_words_and_loads():
    cfg = CONFIGS["fast"]
    weights, job = drawn(cfg, np.random.default_rng(3), 4)
    word = layout.unpack_fields(layout.JOB_FIELDS, layout.pack_fields(
        layout.JOB_FIELDS, linear_job.job_fields(job, 2, reuse=True)))
    assert {name: value for name, value in word.items() if value} == {
        "mode": Mode.EXACT, "linear": 1, "reuse": 1, "set": 2, "n": 4, "m": 4, "shift_q": job.shift}
    wq, bq, beta = linear_job.weight_loads(cfg, weights, 2)
    assert (wq.target, bq.base, beta.base) == (layout.Target.WQ, layout.Parameter.BQ,
                                               layout.Parameter.BETA_Q)
    assert np.array_equal(wq.rows, weights.w.T) and np.array_equal(beta.rows, betas(cfg, weights.w))
    assert len(linear_job.weight_loads(CONFIGS["plain"], drawn(CONFIGS["plain"], np.random.default_rng(1),
                                                               2)[0])) == 2


def test_projection_of_bert_base():
    """Output projection on 272 compressed rows of 768, 12 jobs: at most 3 % above 313k cycles, and 157k with
    fast products, and 96 % of the slots useful."""
    for products, most in (("plain", 313_000), ("fast", 157_000)):
        cfg = CTAConfig(dw=768, n=512, lanes=16, sets=2, products=products)
        jobs = [linear_job.job_cycles(cfg, 272, reuse=at > 0) for at in range(12)]
        total = sum(job.total for job in jobs)
        useful = 272 * 768 * 768 / (2 if products == "fast" else 1) / (cfg.b * cfg.d)
        assert total <= 1.03 * most and useful / total >= 0.96
        assert sum(job.macs["linear"] for job in jobs) == useful * cfg.b * cfg.d
        assert all(sum(job.phases.values()) == job.total and job.phases["attention"] == 0 for job in jobs)


def test_cycles_are_less_than_those_of_a_head():
    cfg = CONFIGS["plain"]
    assert linear_job.job_cycles(cfg, 9).total < head_cycles(cfg, 9, 9, 9, 9, 0, Mode.EXACT).total / 2


def test_outputs_of_the_job_before_hold_the_last_slice_alone():
    """A wait that is over before the slices in front of it are costs nothing."""
    cfg = CONFIGS["plain"]
    alone, waits = (linear_job.job_cycles(cfg, 9, held=held).total for held in (0, 40))
    assert alone + 40 - cfg.slices * (9 + cfg.d) < waits < alone + 40
    assert linear_job.job_cycles(cfg, 9, held=3).total == alone
