"""The CPU kernels of LookupFFN beside the network that they replace, on this machine.

Variants run in turn, over and over, in one process; the least process time of each counts, so that other
load on the machine hits all alike. Rivals are those of :mod:`sw.studies.bench.cpu_rivals.registry`.
"""

import os
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
from sw.kernels import floats, lookup, peaks
from sw.kernels.build import variant
from sw.studies.bench import roofline
from sw.studies.bench.cpu_rivals.dense import require_torch
from sw.studies.bench.cpu_rivals.registry import PAPER, USERS, rivals

__all__ = ["CONFIGS", "TOKENS", "measure", "run"]

CONFIGS = (LookupConfig(d=512, h=128, tau=8, block=64), LookupConfig(d=768, h=170, tau=9, block=64))
"""The sizes of the paper's Tables 5 and 6."""

TOKENS = (1, 16, 64, 128, 256, 512, 1024, 2048, 32768)
CHECKED = 32
"""Tokens on which kernel and golden model are compared."""

LEAST = 3
"""Repetitions of every variant."""

LIMITS = {"fp32": 1e-5, "bf16": 5e-3, "int8": 2e-2}
"""Relative errors up to which a kernel in single precision equals torch's layer."""

SHOWN = ("torch fp32", "torch bf16", "torch int8", "torch.compile", "onnx fp32", "onnx int8",
         "kernel fp32", "kernel bf16", "kernel int8", "integers")
COLUMNS = (("d, h, tau", 12), ("tokens", 6), ("thr", 3), *((name, len(name) + 1) for name in SHOWN),
           ("hash", 5), ("gather", 6), ("of fp32", 7), ("of int8", 7), ("fp32 of fp32", 12), ("equal", 5))
OTHERS = (("d, h, tau", 12), ("tokens", 6), ("thr", 3), *((name, max(len(name), 7)) for name in PAPER),
          *((f"{name}/fp32", len(name) + 5) for name in PAPER))


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


def measure(cfg: LookupConfig, tokens: int, threads: int, seconds: float = 2.0, seed: int = 0,
            paper: bool = False) -> list[dict]:
    """One size: a row for each variant, as plain data; the paper's rivals too where ``paper`` is set. Times
    are of one call on all tokens; those of hash and gather are process time of the kernel's quickest call."""
    torch = require_torch()
    torch.set_num_threads(threads)
    x = torch.randn(tokens, cfg.d, generator=torch.Generator().manual_seed(seed))
    ours = {**_floats(cfg, x, threads, seed), "integers": _integers(cfg, tokens, threads, seed)}
    calls = {**rivals(cfg.d, x, threads, USERS | PAPER if paper else USERS),
             **{name: one.call for name, one in ours.items()}}
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


def _micro(row: dict | None, key: str = "seconds_cpu") -> str:
    """Microseconds a token."""
    return "-" if row is None else f"{row[key] / row['tokens'] * 1e6:,.1f}"


def _ratio(row: dict | None, key: str = "ratio_fp32") -> str:
    return "-" if row is None or row[key] is None else f"{row[key]:.2f}"


def _size(rows: list[dict]) -> list:
    cfg = rows[0]["config"]
    return [f"{cfg['d']}, {cfg['h']}, {cfg['tau']}", f"{rows[0]['tokens']:,}", rows[0]["threads"]]


def _show(rows: list[dict]) -> None:
    """The line of one size."""
    by = {row["variant"]: row for row in rows}
    last = by["integers"]
    print(line(COLUMNS, [*_size(rows), *(_micro(by.get(name)) for name in SHOWN),
                         _micro(last, "seconds_hash"), _micro(last, "seconds_gather"), _ratio(last),
                         _ratio(last, "ratio_int8"), _ratio(by["kernel fp32"]),
                         "NO" if any(row["equal"] is False for row in rows) else "yes"]), flush=True)


def _show_paper(sizes: list[list[dict]]) -> None:
    """The paper's rivals, a line a size."""
    print("\nthe paper's rivals: microseconds of process time a token, and torch fp32's time over theirs\n")
    print(heading(OTHERS))
    for rows in sizes:
        by = {row["variant"]: row for row in rows}
        print(line(OTHERS, [*_size(rows), *(_micro(by.get(name)) for name in PAPER),
                            *(_ratio(by.get(name)) for name in PAPER)]))


def run(configs=CONFIGS, tokens=TOKENS, threads=(1,), seconds: float = 2.0, paper: bool = False,
        picture=None) -> list[dict]:
    """All sizes; prints a line for each as it is measured. ``paper`` adds the paper's rivals; ``picture``, a
    path, shares of the machine's peaks and the roofline of the first of ``configs`` as PNG."""
    print(f"kernels for {variant()}, {os.cpu_count()} cores; microseconds of process time a token\n")
    print(heading(COLUMNS))
    sizes = []
    for cfg in configs:
        for count in tokens:
            for number in threads:
                sizes.append(measure(cfg, count, number, seconds, paper=paper))
                _show(sizes[-1])
    print("\ntorch, onnx: the network d -> 4 d -> d; int8 is the dynamic quantisation of each\n"
          "kernel: LookupFFN in single precision, tables of 32, 16 or 8 bits; integers: the golden model's\n"
          "hash, gather, of fp32, of int8: of the integers, beside torch; fp32 of fp32: of kernel fp32\n"
          f"equal: integers in outputs, codes and counters on {CHECKED} tokens, kernels up to their rounding")
    if paper:
        _show_paper(sizes)
    rows = [row for size in sizes for row in size]
    if picture:
        of_first = [row for row in rows if row["config"]["d"] == configs[0].d]
        found = peaks.measure()
        roofline.show(configs[0], of_first, found)
        roofline.draw(configs[0], of_first, found, picture)
    return rows
