"""The CPU kernel of LookupFFN beside the network that it replaces, on this machine.

Variants run in turn, over and over, in one process; the least process time of each counts, so that other
load on the machine hits all alike. The vanilla network is torch's, d -> 4 d -> d with GELU, in single
precision and with int8 weights (dynamic quantisation).
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from model.lookup import layer as golden
from model.lookup.config import LookupConfig
from model.lookup.stimulus import random_job
from sw.io.errors import InputError
from sw.io.tables import heading, line
from sw.kernels import lookup
from sw.kernels.build import variant

__all__ = ["CONFIGS", "TOKENS", "measure", "run"]

CONFIGS = (LookupConfig(d=512, h=128, tau=8, block=64), LookupConfig(d=768, h=170, tau=9, block=64))
"""The sizes of the paper's Tables 5 and 6."""

TOKENS = (1, 16, 128, 1024, 4096)
CHECKED = 32
"""Tokens on which kernel and golden model are compared."""

COLUMNS = (("d, h, tau", 14), ("tokens", 7), ("threads", 8), ("fp32", 10), ("int8", 10), ("kernel", 10),
           ("of fp32", 8), ("of int8", 8), ("= golden", 9))


@dataclass
class Timed:
    """Seconds of one variant: process time and wall time of each repetition."""

    cpu: list[float]
    wall: list[float]


def _torch():
    try:
        import torch
    except ImportError:
        raise InputError("the vanilla network needs torch, which `make setup` installs (extra sw)") from None
    return torch


def _variants(cfg, weights, job, threads) -> dict[str, Callable]:
    torch = _torch()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    vanilla = torch.nn.Sequential(torch.nn.Linear(cfg.d, 4 * cfg.d), torch.nn.GELU(),
                                  torch.nn.Linear(4 * cfg.d, cfg.d)).eval()
    quantised = torch.ao.quantization.quantize_dynamic(vanilla, {torch.nn.Linear}, torch.qint8)
    x = torch.randn(len(job.x), cfg.d)
    kernel = lookup.Kernel(cfg, weights)
    return {"fp32": lambda: vanilla(x), "int8": lambda: quantised(x),
            "kernel": lambda: kernel.run(job, threads)}


def _timed(variants, seconds: float) -> dict[str, Timed]:
    """All variants in turn, until ``seconds`` have passed and each ran five times."""
    torch = _torch()
    found = {name: Timed([], []) for name in variants}
    with torch.inference_mode():
        for call in variants.values():
            call()
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds or len(found["fp32"].cpu) < 5:
            for name, call in variants.items():
                cpu, wall = time.process_time(), time.perf_counter()
                call()
                found[name].cpu.append(time.process_time() - cpu)
                found[name].wall.append(time.perf_counter() - wall)
    return found


def measure(cfg: LookupConfig, tokens: int, threads: int, seconds: float = 2.0, seed: int = 0) -> list[dict]:
    """One size: a row for each variant, as plain data. Times are of one call on all tokens."""
    weights, job = random_job(cfg, np.random.default_rng(seed), tokens)
    few = replace(job, x=job.x[:CHECKED], residual=None)
    got, want = lookup.run(cfg, weights, few), golden.run(cfg, weights, few)
    equal = (np.array_equal(got.y, want.y) and np.array_equal(got.codes, want.codes)
             and got.saturations == want.saturations)
    found = _timed(_variants(cfg, weights, job, threads), seconds)
    least = {name: min(each.cpu) for name, each in found.items()}
    return [{"config": {"d": cfg.d, "h": cfg.h, "tau": cfg.tau, "block": cfg.block}, "tokens": tokens,
             "threads": threads, "variant": name, "seconds_cpu": least[name],
             "seconds_wall": min(each.wall), "median_cpu": median(each.cpu),
             "ratio_fp32": least["fp32"] / least[name], "ratio_int8": least["int8"] / least[name],
             "equal": equal if name == "kernel" else None} for name, each in found.items()]


def run(tokens=TOKENS, threads=(1,), seconds: float = 2.0) -> list[dict]:
    """All sizes; prints a line for each as it is measured."""
    print(f"kernel for {variant()}, {os.cpu_count()} cores; microseconds of process time a token\n")
    print(heading(COLUMNS))
    rows = []
    for cfg in CONFIGS:
        for count in tokens:
            for number in threads:
                found = measure(cfg, count, number, seconds)
                rows += found
                by = {row["variant"]: row for row in found}
                print(line(COLUMNS, [
                    f"{cfg.d}, {cfg.h}, {cfg.tau}", f"{count:,}", number,
                    *(f"{by[name]['seconds_cpu'] / count * 1e6:,.1f}" for name in by),
                    f"{by['kernel']['ratio_fp32']:.2f}", f"{by['kernel']['ratio_int8']:.2f}",
                    "yes" if by["kernel"]["equal"] else "NO"]), flush=True)
    print("\nfp32, int8: torch's network d -> 4 d -> d, single precision and dynamic int8\n"
          "of fp32, of int8: how many times faster the kernel is\n"
          f"= golden: outputs, codes and counters on {CHECKED} tokens", file=sys.stdout)
    return rows
