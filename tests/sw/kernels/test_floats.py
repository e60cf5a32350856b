"""The kernel in single precision against the float reference of the model, on any legal configuration."""

import dataclasses

import numpy as np
import pytest

from model.lookup import reference
from model.lookup.config import LookupConfig
from sw.io.figures import relative_error
from sw.kernels import build, floats
from sw.kernels.tuning import NEVER, Switches
from tests.sw.kernels.mutants import broken

KINDS = list(build.VARIANTS)[:list(build.VARIANTS).index(build.variant()) + 1]
MOST = {"fp32": 3e-6, "bf16": 5e-3, "int8": 2e-2}
"""Relative error that the entries of the tables leave."""


def random_config(rng) -> LookupConfig:
    """Any shape and variant that the configuration takes."""
    d = 8 * int(rng.integers(1, 24))
    n = 1 << (d - 1).bit_length()
    return LookupConfig(d=d, h=int(rng.integers(1, 40)), tau=int(rng.integers(1, 10)),
                        block=1 << int(rng.integers(2, min(n, 256).bit_length())),
                        projection=str(rng.choice(["bh4", "bh4", "dense"])),
                        neighbours=bool(rng.integers(2)), gelu_scaled=bool(rng.integers(2)))


def random_layer(cfg, rng, tokens) -> reference.Layer:
    """A layer and tokens of which no z is so near zero that the order of a sum decides about its row."""
    def normal(scale, *shape):
        return (scale * rng.standard_normal(shape)).astype(np.float32)
    scale = (cfg.block * cfg.n) ** -0.5 if cfg.projection == "bh4" else cfg.d ** -0.5
    layer = reference.Layer(normal(1, tokens, cfg.d), normal(scale, *cfg.weight_shape),
                            normal(0.3, cfg.codes), normal(1, cfg.h, 1 << cfg.tau, cfg.d), normal(1, cfg.d))
    clear = np.abs(reference.project(cfg, layer)).reshape(tokens, -1).min(1) > 1e-5
    return dataclasses.replace(layer, x=layer.x[clear])


def kernel_of(cfg, layer, **how) -> floats.FloatKernel:
    return floats.FloatKernel(cfg, layer.w, layer.z_bias, layer.tables, layer.out_bias, layer.gain,
                              layer.skip, **how)


def compare(cfg, layer, entries, kind, tile=1 << 18, **walk) -> int:
    """Hold the kernel to double precision; gives the outputs that were compared."""
    y = kernel_of(cfg, layer, entries=entries, kind=kind, tile=tile).run(layer.x, **walk)
    want = reference.forward(cfg, layer)
    assert y.dtype == np.float32 and relative_error(y, want) < MOST[entries], (cfg, entries, kind, tile, walk)
    return want.size


@pytest.mark.reliability
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.nightly) for n in range(1, 5))])
def test_random_configurations(seed, tried):
    rng, compared = np.random.default_rng(seed), 0
    for _ in range(40 if seed == 0 else 200):
        cfg = random_config(rng)
        layer = random_layer(cfg, rng, int(rng.integers(1, 120)))
        if not len(layer.x):
            continue
        for kind in KINDS:
            walk = {"tile": int(rng.choice([1, 1 << 14, 1 << 18])), "threads": int(rng.integers(1, 5)),
                    "switches": Switches(0, int(rng.choice([1, 20, NEVER]))),
                    "batch": int(rng.choice([32, 96, 8192]))}
            compared += compare(cfg, layer, str(rng.choice(list(MOST))), kind, **walk)
        tried("float cpu kernel", configurations=1)
    tried("float cpu kernel", outputs=compared)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("entries", MOST)
def test_a_result_does_not_depend_on_how_it_is_walked(kind, entries):
    rng = np.random.default_rng(1)
    cfg = LookupConfig(d=72, h=20, tau=4, block=16)
    layer = random_layer(cfg, rng, 130)
    kernel = kernel_of(cfg, layer, entries=entries, kind=kind, tile=1 << 12)
    want = kernel.run(layer.x, 1)
    for threads, whole, batch in ((1, NEVER, 8192), (3, 1, 50), (2, 40, 7)):
        assert np.array_equal(kernel.run(layer.x, threads, Switches(0, whole), batch), want)
    assert np.array_equal(np.concatenate([kernel.run(layer.x[t:t + 1]) for t in range(9)]), want[:9])


@pytest.mark.parametrize("kind", KINDS)
def test_the_paper_s_size(kind):
    cfg = LookupConfig(d=512, h=128, tau=8, block=64)
    layer = random_layer(cfg, np.random.default_rng(0), 30)
    for entries in MOST:
        compare(cfg, layer, entries, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", [{}, {"gelu_scaled": False}, {"neighbours": True}])
def test_what_is_not_finite_stays_so_and_touches_no_other_token(kind, variant):
    cfg = LookupConfig(d=64, h=9, tau=5, block=16, **variant)
    layer = random_layer(cfg, np.random.default_rng(0), 40)
    kernel = kernel_of(cfg, layer, kind=kind)
    want, x = kernel.run(layer.x), layer.x.copy()
    x[3, 5], x[7, 0] = np.nan, np.inf
    got = kernel.run(x)
    assert not np.isfinite(got[[3, 7]]).any()
    assert np.array_equal(np.delete(got, [3, 7], 0), np.delete(want, [3, 7], 0))


@pytest.mark.parametrize("kind", KINDS)
def test_large_and_small_codes(kind):
    """exp(-2|z|) underflows, and z = 0 gives the row of no bit set."""
    cfg = LookupConfig(d=8, h=3, tau=3, projection="dense", neighbours=True, gelu_scaled=False)
    layer = random_layer(cfg, np.random.default_rng(0), 6)
    for scale in (0, 1000):
        bias = (scale * np.sign(layer.z_bias)).astype(np.float32)
        still = dataclasses.replace(layer, w=np.zeros_like(layer.w), z_bias=bias)
        compare(cfg, still, "fp32", kind)


def test_what_is_refused():
    cfg = LookupConfig(d=8, h=3, tau=3, block=4)
    layer = random_layer(cfg, np.random.default_rng(0), 6)
    with pytest.raises(ValueError, match="entries is 'fp16', must be one of fp32, bf16, int8"):
        kernel_of(cfg, layer, entries="fp16")
    kernel = kernel_of(cfg, layer)
    for x in (layer.x.astype(np.float64), layer.x[:, :4], layer.x[:, ::-1], layer.x[0]):
        with pytest.raises(ValueError, match="x is float.*, must be float32 .t, 8. and contiguous"):
            kernel.run(x)


MUTANTS = {
    "a zero is a one": ("float_hash.h", "as_float(bits) > 0.f", "as_float(bits) >= 0.f"),
    "a flip at the wrong end": ("float_hash.h", "row ^= 1 << (l.tau - e);", "row ^= 1 << (e - 1);"),
    "an inner product of no neighbour": ("float_hash.h", "inner -= 2.f * magnitude[e - 1];", ""),
    "a level is left out": ("float_project.h", "case 2: float_levels<1, T>(u, n, half);", "case 2:"),
    "the skip is forgotten": ("float_project.h", " + l.skip * past[i]", ""),
    "the other half of a word": ("float_gather.h", "as_float(both << 16)", "as_float(both)"),
    "128 too much": ("floats.cpp", "(c / W & 1 ? 0 : batch.excess[t])", "0"),
    "the bias of the first columns": ("floats.cpp", "l.out_bias + chunk * wide", "l.out_bias"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(name, tmp_path, monkeypatch):
    """Each of these faults is found."""
    with broken(monkeypatch, tmp_path, *MUTANTS[name]), pytest.raises(AssertionError):
        for cfg in (LookupConfig(d=72, h=6, tau=4, block=32, neighbours=True),
                    LookupConfig(d=72, h=6, tau=4, block=64)):
            layer = random_layer(cfg, np.random.default_rng(0), 21)
            for entries in MOST:
                compare(cfg, layer, entries, "plain")
        test_large_and_small_codes("plain")
