"""The CPU kernel against the golden model: every bit and every counter, on any legal configuration."""

import dataclasses

import numpy as np
import pytest

from model.errors import JobRefused
from model.fixed import Format
from model.lookup import layer as golden
from model.lookup.config import LookupConfig, LookupFormats
from model.lookup.stimulus import PATTERNS, patterned_job, random_job
from sw.kernels import build, lookup, tuning
from sw.kernels.tuning import NEVER, Switches
from sw.sim.engines import ENGINES
from tests.rtl import test_formats
from tests.sw.kernels.mutants import broken

KINDS = list(build.VARIANTS)[:list(build.VARIANTS).index(build.variant()) + 1]
"""What this machine runs."""


def random_config(rng) -> LookupConfig:
    """Any shape, formats and constants that the configuration takes and the kernel does not refuse."""
    while True:
        d = 8 * int(rng.integers(1, 20))
        n = 1 << (d - 1).bit_length()
        fmt = LookupFormats()
        widths = {name: dataclasses.replace(getattr(fmt, name), width=int(rng.integers(
            max(low, getattr(fmt, name).frac - 6, 4), min(high, 16) + 1)))
            for name, (low, high) in LookupConfig.BUILDABLE.items()
            if name != "table" and rng.random() < 0.3}
        try:
            cfg = LookupConfig(
                d=d, h=int(rng.integers(1, 30)), tau=int(rng.integers(1, 10)),
                block=1 << int(rng.integers(2, n.bit_length())) if n > 4 else 4,
                projection=str(rng.choice(["bh4", "bh4", "dense"])), neighbours=bool(rng.integers(2)),
                gelu_scaled=bool(rng.integers(2)), residual=bool(rng.integers(2)),
                log_index=int(rng.integers(2, 9)), exp_index=int(rng.integers(2, 8)),
                exp_mantissa=int(rng.integers(6, 15)), fmt=dataclasses.replace(fmt, **widths))
        except ValueError:
            continue
        if lookup.refusal(cfg) is None:
            return cfg


def same(cfg, weights, job, kind=None, tile=lookup.TILE, **how):
    """Hold the kernel to the golden model; gives the outputs that were compared."""
    want, got = golden.run(cfg, weights, job), lookup.Kernel(cfg, weights, kind, tile).run(job, **how)
    note = f"{cfg}, {len(job.x)} tokens, {kind}, tile {tile}, {how}"
    np.testing.assert_array_equal(got.codes, want.codes, err_msg=note)
    np.testing.assert_array_equal(got.y, want.y, err_msg=note)
    assert got.saturations == want.saturations and got.table_bytes == want.table_bytes, note
    return want.y.size


def any_walk(rng) -> dict:
    """A tile, switches and a batch, of which nothing may show."""
    return {"tile": int(rng.choice([1, 1 << 10, 1 << 14, lookup.TILE])), "threads": int(rng.integers(1, 5)),
            "switches": Switches(int(rng.choice([0, 1, 5, 64])), int(rng.choice([1, 20, NEVER]))),
            "batch": int(rng.choice([32, 64, 2048]))}


@pytest.mark.reliability
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.nightly) for n in range(1, 9))])
def test_random_configurations(seed, tried):
    """Half of them of unusual shape, half with unusual formats and constants."""
    rng, compared = np.random.default_rng(seed), 0
    for at in range(60 if seed == 0 else 200):
        cfg = random_config(rng) if at % 2 else test_formats.random_config(LookupConfig, 1000 * seed + at)[0]
        if lookup.refusal(cfg):
            continue
        weights, job = random_job(cfg, rng, int(rng.integers(1, 70 if seed == 0 else 300)),
                                  saturating=bool(rng.integers(2)))
        for kind in KINDS:
            compared += same(cfg, weights, job, kind=kind, **any_walk(rng))
        tried("cpu kernel", configurations=1)
    tried("cpu kernel", outputs=compared)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tokens", [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100])
def test_any_number_of_tokens_on_any_number_of_threads(kind, tokens):
    cfg = LookupConfig(d=24, h=5, tau=4, block=8, residual=True)
    weights, job = random_job(cfg, np.random.default_rng(tokens), tokens)
    for threads in (1, 2, 3, 16):
        for rows in (0, 3, 64):
            same(cfg, weights, job, kind=kind, threads=threads, switches=Switches(rows, 20), batch=32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_corner_cases(kind, pattern):
    for extra in ({}, {"projection": "dense"}, {"neighbours": True, "gelu_scaled": False}):
        cfg = LookupConfig(d=40, h=7, tau=6, block=16, **extra)
        same(cfg, *patterned_job(cfg, np.random.default_rng(3), pattern, 20), kind=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_paper_s_size(kind):
    cfg = LookupConfig(d=512, h=128, tau=8, block=64)
    same(cfg, *random_job(cfg, np.random.default_rng(1), 40), kind=kind)


def test_the_worst_operands_of_the_widest_sums_that_are_taken():
    """Every operand at its least: the sums are those that `refusal` counts with."""
    fmt = dataclasses.replace(LookupFormats(), x=Format(True, 12, 7), weight=Format(True, 12, 9),
                              stage=Format(True, 14, 9))
    cfg = LookupConfig(d=64, h=8, tau=8, block=32, fmt=fmt)
    assert lookup.refusal(cfg) is None and cfg.block_acc.width == 31
    weights, job = random_job(cfg, np.random.default_rng(0), 5)
    weights = dataclasses.replace(weights, w=np.full_like(weights.w, fmt.weight.min),
                                  tables=np.full_like(weights.tables, -128),
                                  out_bias=np.full_like(weights.out_bias, fmt.out_bias.min))
    for kind in KINDS:
        same(cfg, weights, dataclasses.replace(job, x=np.full_like(job.x, fmt.x.min)), kind=kind)


@pytest.mark.parametrize("change, reason", [
    ({"weight": Format(True, 16, 9), "stage": Format(True, 16, 9)},
     "block_acc.width is 38, must be at most 31"),
    ({"stage": Format(True, 18, 9), "weight": Format(True, 4, 3)},
     "fmt.stage.width is 18, must be at most 16"),
    ({"score": Format(False, 16, 6)}, "score reaches 65535, must be below 32768")])
def test_what_the_kernel_does_not_take_the_golden_model_does(change, reason):
    cfg = LookupConfig(d=64, h=4, tau=3, block=64, fmt=dataclasses.replace(LookupFormats(), **change))
    assert lookup.refusal(cfg) == reason
    weights, job = random_job(cfg, np.random.default_rng(0), 3)
    with pytest.raises(ValueError, match=reason):
        lookup.run(cfg, weights, job)
    engine = ENGINES["lookup"]
    assert engine.no_kernel(cfg) == reason
    assert not engine.differences(engine.run(cfg, weights, job, "cpu"), engine.run(cfg, weights, job))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("least", [-128, 127])
def test_the_largest_scores_and_entries(kind, least):
    """Every score at its end, every entry at one of its: what goes together must not reach 24 bits."""
    cfg = LookupConfig(d=72, h=100, tau=2, block=8)
    weights, job = random_job(cfg, np.random.default_rng(0), 40)
    weights = dataclasses.replace(weights, shift_s=np.zeros_like(weights.shift_s),
                                  tables=np.full_like(weights.tables, least))
    for switches in (Switches(0), Switches(64)):
        same(cfg, weights, dataclasses.replace(job, shift_y=12), kind=kind, switches=switches)


def test_run_gives_what_the_golden_model_gives():
    cfg = LookupConfig(d=16, h=4, tau=3, block=4)
    weights, job = random_job(cfg, np.random.default_rng(0), 30)
    want, got = golden.run(cfg, weights, job), lookup.run(cfg, weights, job)
    assert got.y.dtype == want.y.dtype and got.codes.dtype == want.codes.dtype
    assert np.array_equal(got.y, want.y) and got.saturations == want.saturations


def test_switches_are_measured_at_the_first_job_of_a_large_layer(monkeypatch):
    cfg = LookupConfig(d=64, h=64, tau=10, block=16)
    assert cfg.table_bytes >= tuning.SMALL
    weights, job = random_job(cfg, np.random.default_rng(0), 30)
    asked = []
    monkeypatch.setattr(tuning, "kept", lambda what, seconds: asked.append((what, seconds(3, Switches())))
                        or Switches())
    kernel = lookup.Kernel(cfg, weights)
    want = golden.run(cfg, weights, job).y
    assert np.array_equal(kernel.run(job).y, want) and np.array_equal(kernel.run(job).y, want)
    (what, seconds), = asked
    assert what[0] == kernel.kind and set(seconds) == {"hash", "gather"}


def test_a_job_that_the_engine_refuses_is_refused():
    cfg = LookupConfig(d=16, h=4, tau=3, block=4)
    weights, job = random_job(cfg, np.random.default_rng(0), 3)
    with pytest.raises(JobRefused, match="t is 0, must be in 1..65535"):
        lookup.run(cfg, weights, dataclasses.replace(job, x=job.x[:0]))
    with pytest.raises(ValueError, match="x "):
        lookup.run(cfg, weights, dataclasses.replace(job, x=job.x + 10**6))


MUTANTS = {
    "ties go down": ("layer", "return shift > 0 ? int32_t(1) << (shift - 1) : 0;",
                     "return shift > 0 ? (int32_t(1) << (shift - 1)) - 1 : 0;"),
    "a zero is a one": ("hash", "code += code - V(value > 0);", "code += code - V(value >= 0);"),
    "the tokens beyond the last count": ("project", "t < live && t < vectors * W;", "t < vectors * W;"),
    "a level is left out": ("project", "case 4: return last_levels<2, NV>",
                            "case 4: return last_levels<1, NV>"),
    "a level of a row is left out": ("rows", "v = level<2>(v, all);", ""),
    "the residual is forgotten": ("gather", "l.residual ? job.residual", "false ? job.residual"),
    "a score beyond its format": ("hash", "const V score = held((product + half) >> shift);",
                                  "const V score = (product + half) >> shift;"),
    "the next row": ("hash", "if (e) {\n                    row ^= 1 << (l.tau - e);",
                     "if (e) {\n                    row ^= 1 << (e - 1);"),
    "128 too much": ("gather", "if (!(i & 1)) sum -= excess;", ""),
    "too many entries together": ("gather", "<< 23) / (128 * largest)", "<< 25) / (128 * largest)"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(name, tmp_path, monkeypatch):
    """Each of these faults is found."""
    part, old, new = MUTANTS[name]
    file = f"lookup_{part}.h" if part else "lookup.cpp"
    with broken(monkeypatch, tmp_path, file, old, new), pytest.raises(AssertionError):
        for seed in range(6):
            rng = np.random.default_rng(seed)
            cfg = LookupConfig(d=24, h=6, tau=4, block=8, neighbours=True, residual=True)
            for rows in (0, 64):
                how = {"kind": "plain", "switches": Switches(rows)}
                same(cfg, *random_job(cfg, rng, 21, saturating=seed % 2 == 1), **how)
                same(cfg, *patterned_job(cfg, rng, PATTERNS[seed % len(PATTERNS)], 21), **how)
            test_the_largest_scores_and_entries("plain", -128)
