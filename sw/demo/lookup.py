"""A trained LookupFFN layer through the generated Verilog: the second half of ``make demo``.

512 tokens of a small transformer whose feed-forward networks are LookupFFN go through the engine in
both orders of the gather. RTL and golden model must be equal bit for bit.

The layer (sw/demo/data/demo_lookup.npz) is made by
``python -m sw.lm.train --config demo_lookup -o RUN --lookup FILE --layer 2``.
"""

import json
import sys
import time

import numpy as np

from model.lookup.job import Order
from sw.io.shipped import LAYER
from sw.io.tables import heading, line
from sw.run import layer_file
from sw.run.layer import prepare
from sw.run.pipeline import execute, report
from sw.sim.engines import ENGINES

__all__ = ["LAYER", "show"]

ENGINE = {"multipliers": 256, "lanes": 32, "batch": 128}
"""Projection and gather in balance, and batches that make table-major worth its while."""

COLUMNS = (("run", 12), ("cycles", 8), ("a token", 8), ("at least", 9), ("table bytes", 12),
           ("fixed point", 12), ("wrong rows", 11), ("as it is", 9), ("RTL", 12))


def _introduce(path, cfg, cost):
    with np.load(path) as data:
        meta = json.loads(str(data["meta"])) if "meta" in data else {}
    print(f"layer: {meta.get('model', path)}")
    if "held_out_loss" in meta:
        print(f"loss of this model on held-out text: {meta['held_out_loss']:.3f} nats a byte")
    print(f"FLOP a token: {cost['flop']:,}, {cost['vanilla_flop']:,} for the usual network")
    print(f"engine: d = {cfg.d}, h = {cfg.h}, tau = {cfg.tau}, block = {cfg.block}, "
          f"{cfg.multipliers} multipliers, {cfg.lanes} lanes\n")


def _row(name, data, checked):
    cycles, error = data.get("cycles"), data["error"]
    return line(COLUMNS, [
        name, f"{cycles['total']:,}" if cycles else "-",
        f"{cycles['per_token']:.1f}" if cycles else "-", data["cost"]["bound"],
        f"{data['table_bytes']:,}", f"{error['against float, rows forced']:.4f}",
        f"{data['wrong_rows']:.2%}", f"{error['against float']:.4f}", checked])


def show(path, simulate: int) -> bool:
    """Print the table; the first ``simulate`` runs go through the RTL. True if that differs."""
    real = layer_file.read_layer(path)
    cfg = layer_file.make_config(real, ENGINE)
    failed, progress = False, sys.stderr.isatty()
    for at, order in enumerate(Order):
        prepared = prepare(cfg, real, order)
        outcome, backend, checked = execute(prepared, "golden"), "golden", "not run"
        if at == 0:
            _introduce(path, cfg, report(prepared, outcome, backend)["cost"])
            if simulate:
                begin = time.monotonic()
                print("emitting and compiling the Verilog (a minute, once) ...", end=" ",
                      flush=True)
                ENGINES["lookup"].build(cfg, progress)
                print(f"{time.monotonic() - begin:.1f} s\n")
            print(heading(COLUMNS))
        if at < simulate:
            begin = time.monotonic()
            simulated = execute(prepared, "rtl", progress=progress)
            seconds = time.monotonic() - begin
            wrong = ENGINES["lookup"].differences(simulated.result, outcome.result)
            checked = f"DIFFERS: {wrong}" if wrong else f"equal, {seconds:.1f} s"
            failed |= bool(wrong)
            outcome, backend = simulated, "rtl"
        print(_row(order.name.lower().replace("_", "-"), report(prepared, outcome, backend),
                   checked), flush=True)
    print("\nat least: cycles a token that no schedule can beat\n"
          "fixed point: relative error against the layer in double precision, on the rows that the "
          "integers take\nwrong rows: that double precision would not take; as it is: the error "
          "with them")
    return failed
