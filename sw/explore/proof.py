"""Designs of a front, built: a job on their Verilog against golden and cycle model, and their synthesis."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from model.cta.job import Mode
from model.errors import ConfigError
from model.lookup.job import Order
from model.lookup.stimulus import random_job
from model.technology import TECHNOLOGIES
from sw.explore.engines import ENGINES
from sw.explore.search import Found
from sw.explore.workload import clusters
from sw.io.errors import InputError
from sw.io.writing import write_json
from sw.sim.engines import ENGINES as RUNNABLE
from sw.studies.bench.layers import Net, Sizes, operands

__all__ = ["spread", "synthesised", "verified"]

TOKENS = 8
"""Of a job of LookupFFN: its Verilog takes a thousand cycles a token."""


def spread(best: list[Found], count: int) -> list[int]:
    """Numbers of ``count`` designs of a front, evenly from one end to the other."""
    if count >= len(best):
        return list(range(len(best)))
    return sorted({round(at * (len(best) - 1) / max(1, count - 1)) for at in range(count)})


def _job(point: dict, cfg, seed: int):
    """Weights and job of the first workload, one head of it; and how it is run."""
    workload = point["workloads"][0]
    if point["engine"] == "lookup":
        return random_job(cfg, np.random.default_rng(seed), min(TOKENS, workload["tokens"]),
                          order=Order.TOKEN_MAJOR)
    found, n = clusters(workload, point["choices"].get("point")), workload["n"]
    size = Sizes(Net(workload["name"], cfg.dw, 1, cfg.d), n, "", *(found or (n, n, 0)),
                 Mode.EXACT if found is None else Mode.CTA)
    weights, job = operands(cfg, size, seed)
    return weights[0], job.head(0)


def verified(found: Found, number: int, seed: int = 0) -> dict:
    """Emit, compile and simulate a job of a design: whether its bits are those of the golden model and its
    cycles those of the cycle model. What could not be built has an ``error``."""
    point, _ = found
    proof = {"design": number}
    try:
        cfg = ENGINES[point["engine"]].configuration(point)
        engine, (weights, job) = RUNNABLE[point["engine"]], _job(point, cfg, seed)
        expected = engine.run(cfg, weights, job)
        engine.build(cfg)
        result = engine.run(cfg, weights, job, "rtl")
    except (InputError, ConfigError, ValueError) as error:
        return proof | {"verified": False, "error": " ".join(str(error).split())}
    equal = not engine.differences(result, expected)
    return proof | {"verified": equal and result.cycles == expected.cycles, "equal golden": equal,
                    "cycles of a job": f"{result.cycles:,}", "by the model": f"{expected.cycles:,}"}


def synthesised(found: Found, number: int) -> dict:
    """Area and clock of a design by ``hashlayer synth``, beside the model's area."""
    point, row = found
    cfg = ENGINES[point["engine"]].configuration(point)
    with tempfile.TemporaryDirectory() as folder:
        config, figures = Path(folder) / "config.json", Path(folder) / "figures.json"
        write_json(config, cfg.as_dict())
        done = subprocess.run([sys.executable, "-m", "synth", point["engine"], "--config", config,
                               "--technology", point["choices"].get("technology", next(iter(TECHNOLOGIES))),
                               "--json", figures], text=True, capture_output=True,
                              cwd=Path(__file__).resolve().parents[2])
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["it said nothing"]
            return {"design": number, "synthesised": False, "error": said[-1]}
        data = json.loads(figures.read_text())
    return {"design": number, "synthesised": True, "mm2": data["chip_um2"] * 1e-6,
            "mm2 by the model": row["area_mm2"], "MHz": data.get("fmax_mhz")}
