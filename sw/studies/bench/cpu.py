"""The CPU kernels of LookupFFN beside the network that they replace, on this machine.

Variants run in turn, over and over, in one process; the least process time of each counts, so that other
load on the machine hits all alike. Rivals are those of :mod:`sw.studies.bench.cpu_rivals`.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from model.lookup import layer as golden
from model.lookup.config import LookupConfig
from model.lookup.stimulus import random_job
from model.stimulus import gaussian
from sw.io.tables import heading, line
from sw.kernels import floats, lookup
from sw.kernels.build import variant
from sw.studies.bench.cpu_rivals.dense import require_torch
from sw.studies.bench.cpu_rivals.registry import PAPER, USERS, rivals

__all__ = ["CONFIGS", "TOKENS", "measure", "run"]

CONFIGS = (LookupConfig(d=512, h=128, tau=8, block=64), LookupConfig(d=768, h=170, tau=9, block=64))
"""The sizes of the paper's Tables 5 and 6."""

TOKENS = (1, 16, 64, 128, 256, 1024, 2048, 4096)
CHECKED = 32
"""Tokens on which kernel and golden model are compared."""

LEAST = 3
"""Repetitions of every variant."""

LIMITS = {"fp32": 1e-5, "bf16": 5e-3, "int8": 2e-2}
"""Relative errors up to which a kernel in single precision equals torch's layer."""

SHOWN = ("torch fp32", "torch bf16", "torch int8", "torch.compile", "onnx fp32", "kernel fp32", "kernel bf16",
         "kernel int8", "integers")
COLUMNS = (("d, h, tau", 12), ("tokens", 6), ("thr", 3), *((name, len(name) + 1) for name in SHOWN),
           ("hash", 5), ("gather", 6), ("of fp32", 7), ("of int8", 7), ("equal", 5))


@dataclass
class Timed:
    """Seconds of one variant: process time and wall time of each repetition, and the parts of a kernel."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    parts: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Ours:
    """A kernel of ours: its call, the kernel, and whether its outputs are what they must be."""

    call: Callable
    kernel: object
    equal: bool


def _integers(cfg, tokens, threads, seed) -> Ours:
    rng = np.random.default_rng(seed)
    weights, few = random_job(cfg, rng, CHECKED)
    kernel = lookup.Kernel(cfg, weights)
    got, want = kernel.run(few, threads), golden.run(cfg, weights, few)
    equal = (np.array_equal(got.y, want.y) and np.array_equal(got.codes, want.codes)
             and got.saturations == want.saturations)
    fmt = cfg.fmt.x
    asked = replace(few, x=np.ascontiguousarray(gaussian(rng, (tokens, cfg.d), fmt.max / 4, fmt), np.int16))
    return Ours(lambda: kernel.run(asked, threads), kernel, equal)


def _floats(cfg, x, threads, seed) -> dict[str, Ours]:
    torch = require_torch()
    from sw.nn.ffn.lookup import LookupFFN
    layer = LookupFFN(cfg.d, cfg.h, cfg.tau, block=cfg.block, seed=seed).eval()
    layer.cpu_tables, found = None, {}
    with torch.inference_mode():
        some = torch.randn(4 * CHECKED, cfg.d)
        clear = layer.project(some).abs().flatten(1).min(1).values > 1e-5
        some = some[clear]
        want = layer(some).numpy()
    operands = [value.detach().numpy()
                for value in (layer.blocks, layer.z_bias, layer.tables, layer.out_bias)]
    tokens = x.numpy()
    for entries, limit in LIMITS.items():
        kernel = floats.FloatKernel(cfg, *operands, layer.gain, layer.skip, entries)
        error = np.linalg.norm(kernel.run(some.numpy(), threads) - want) / np.linalg.norm(want)
        found[f"kernel {entries}"] = Ours(lambda kernel=kernel: kernel.run(tokens, threads), kernel,
                                          bool(error < limit))
    return found


def _timed(calls: dict[str, Callable], ours: dict[str, Ours], seconds: float) -> dict[str, Timed]:
    """All variants in turn, until ``seconds`` have passed and each ran often enough."""
    torch = require_torch()
    found = {name: Timed() for name in calls}
    with torch.inference_mode():
        for call in calls.values():
            call()
        begin, turns = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds or turns < LEAST:
            turns += 1
            for name, call in calls.items():
                cpu, wall = time.process_time(), time.perf_counter()
                call()
                found[name].cpu.append(time.process_time() - cpu)
                found[name].wall.append(time.perf_counter() - wall)
                found[name].parts.append(ours[name].kernel.seconds if name in ours else {})
    return found


def measure(cfg: LookupConfig, tokens: int, threads: int, seconds: float = 2.0, seed: int = 0) -> list[dict]:
    """One size: a row for each variant, as plain data. Times are of one call on all tokens; those of hash
    and gather are process time of the kernel's quickest call."""
    torch = require_torch()
    torch.set_num_threads(threads)
    x = torch.randn(tokens, cfg.d, generator=torch.Generator().manual_seed(seed))
    ours = {**_floats(cfg, x, threads, seed), "integers": _integers(cfg, tokens, threads, seed)}
    calls = {**rivals(cfg.d, x, threads), **{name: one.call for name, one in ours.items()}}
    found = _timed(calls, ours, seconds)
    least = {name: min(each.cpu) for name, each in found.items()}
    config = {"d": cfg.d, "h": cfg.h, "tau": cfg.tau, "block": cfg.block}
    return [{"config": config, "tokens": tokens, "threads": threads, "variant": name,
             "seconds_cpu": least[name], "seconds_wall": min(each.wall), "median_cpu": median(each.cpu),
             "ratio_fp32": least["torch fp32"] / least[name],
             "ratio_int8": least["torch int8"] / least[name] if "torch int8" in least else None,
             "equal": ours[name].equal if name in ours else None,
             **{f"seconds_{part}": value
                for part, value in each.parts[each.cpu.index(least[name])].items()}}
            for name, each in found.items()]


def run(configs=CONFIGS, tokens=TOKENS, threads=(1,), seconds: float = 2.0) -> list[dict]:
    """All sizes; prints a line for each as it is measured."""
    print(f"kernels for {variant()}, {os.cpu_count()} cores; microseconds of process time a token\n")
    print(heading(COLUMNS))
    rows = []
    for cfg in configs:
        for count in tokens:
            for number in threads:
                found = measure(cfg, count, number, seconds)
                rows += found
                by = {row["variant"]: row for row in found}
                last = by["integers"]

                def micro(value, count=count):
                    return f"{value / count * 1e6:,.1f}"
                print(line(COLUMNS, [
                    f"{cfg.d}, {cfg.h}, {cfg.tau}", f"{count:,}", number,
                    *(micro(by[name]["seconds_cpu"]) if name in by else "-" for name in SHOWN),
                    micro(last["seconds_hash"]), micro(last["seconds_gather"]), f"{last['ratio_fp32']:.2f}",
                    "-" if last["ratio_int8"] is None else f"{last['ratio_int8']:.2f}",
                    "NO" if any(row["equal"] is False for row in found) else "yes"]), flush=True)
    print("\ntorch, onnx: the network d -> 4 d -> d; int8 is torch's dynamic quantisation\n"
          "kernel: LookupFFN in single precision, tables of 32, 16 or 8 bits; integers: the golden model's\n"
          "hash, gather, of fp32, of int8: of the integers\n"
          f"equal: integers in outputs, codes and counters on {CHECKED} tokens, kernels up to their rounding",
          file=sys.stdout)
    return rows
