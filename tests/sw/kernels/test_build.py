"""Kernels are built once, chosen by the machine, and named where they cannot be built."""

import numpy as np
import pytest

from model.lookup.config import LookupConfig
from model.lookup.stimulus import random_job
from sw.io.errors import InputError
from sw.kernels import build, lookup

CFG = LookupConfig(d=16, h=4, tau=3, block=4)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("HASHLAYER_CACHE", str(tmp_path / "cache"))
    build.load.cache_clear()
    build.variant.cache_clear()
    yield tmp_path / "cache"
    build.load.cache_clear()
    build.variant.cache_clear()


def test_a_build_is_kept(fresh, monkeypatch):
    build.load("lookup", "plain")
    folder, = fresh.glob("kernel-lookup-plain-*")
    build.load.cache_clear()
    monkeypatch.setattr(build, "scratch", None)           # would be called for a second build
    build.load("lookup", "plain")
    assert [path.name for path in folder.iterdir()] == ["lookup.so"]


def test_without_a_compiler(fresh, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="the cpu backend needs a C.. compiler: .*no-such-compiler") as error:
        lookup.run(CFG, *random_job(CFG, np.random.default_rng(0), 3))
    assert "\n" not in str(error.value)


def test_a_compiler_that_fails(fresh, monkeypatch, tmp_path):
    (tmp_path / "lookup.cpp").write_text("this is no C++\n")
    monkeypatch.setattr(build, "HERE", tmp_path)
    with pytest.raises(InputError, match="the cpu backend needs a C.. compiler: .* failed on lookup.cpp: "):
        build.load("lookup", "plain")


def test_a_kind_may_be_asked_for(fresh, monkeypatch):
    monkeypatch.setenv("HASHLAYER_KERNEL", "plain")
    assert build.variant() == "plain"
    build.variant.cache_clear()
    monkeypatch.setenv("HASHLAYER_KERNEL", "sse")
    with pytest.raises(InputError, match="HASHLAYER_KERNEL is 'sse', must be one of plain, avx2, avx512"):
        build.variant()
