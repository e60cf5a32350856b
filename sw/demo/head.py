"""A real attention head and a real LookupFFN layer through the generated Verilog: ``make demo``.

512 tokens of a small trained transformer go through the RTL at the paper's three operating points and
in exact mode. Every run must equal the golden model bit for bit. Prints a table and draws the
schedule as executed, the attention and its error, and the compression. Then a trained LookupFFN
layer does the same, see sw.demo.lookup, and a trained encoder of both, layer by layer on the two
engines, see sw.demo.encoder.

The head (sw/demo/data/demo_head.npz) is made by
``python -m sw.lm.train --config demo_head -o RUN --head FILE``.
"""

import json
import sys
import time

import numpy as np

from model.command import Parser, refusing
from model.cta import head as golden
from model.cta.config import CTAConfig
from model.cta.cost import OPERATING_POINTS, table1_cycles
from model.cta.job import Mode
from model.cta.reference import attention_exact
from sw.demo import encoder as demo_encoder
from sw.demo import lookup as demo_lookup
from sw.demo.pictures import draw_attention, draw_compression, draw_schedule
from sw.io.errors import InputError
from sw.io.figures import relative_error
from sw.io.shipped import HEAD
from sw.io.tables import heading, line
from sw.io.writing import make_folder, write_json
from sw.run.head import prepare
from sw.run.head_file import read_head
from sw.run.pipeline import execute, report
from sw.sim.engines import ENGINES

__all__ = ["main"]

COLUMNS = (("run", 18), ("k0", 5), ("k1", 5), ("k2", 5), ("RL", 6), ("RA", 6), ("cycles", 8),
           ("Table I", 9), ("fixed point", 12), ("vs exact", 9), ("RTL", 12))


def attention_matrices(prepared):
    """Exact attention in double precision, and what the engine's own scores amount to (m, n)."""
    real, q = prepared.real, prepared.quantised
    scores = ((real.xq @ real.wq + real.bq) @ (real.xkv @ real.wk).T) / np.sqrt(prepared.cfg.d)
    exact = np.exp(scores - scores.max(axis=1, keepdims=True))
    t = golden.trace(prepared.cfg, q.weights, q.job)
    log2 = prepared.cfg.fmt.score.real(t["s"][:, t["ct1"]] + t["s"][:, t["k1"] + t["ct2"]])
    compressed = np.exp2(log2 - log2.max(axis=1, keepdims=True))[t["ct0"]]
    return (exact / exact.sum(axis=1, keepdims=True),
            compressed / compressed.sum(axis=1, keepdims=True))


def token_error(o, exact):
    """Relative error of every token's output; 0 where it should be zeros and is."""
    wrong, size = (np.linalg.norm(x, axis=1) for x in (o - exact, exact))
    return np.where(wrong == 0, 0.0, wrong / np.where(size == 0, np.finfo(float).tiny, size))


def _table_row(name, data, formula, checked):
    error = data["error"]
    fixed = error.get("against float CTA, clusters forced", error["against exact attention"])
    cycles = data["cycles"]["total"]
    return line(COLUMNS, [name, data["k0"], data["k1"], data["k2"], f"{data['RL']:.3f}",
                          f"{data['RA']:.3f}", f"{cycles:,}",
                          "-" if formula is None else f"{formula:,}",
                          *("-" if value is None else f"{value:.4f}" for value in
                            (fixed, error["against exact attention"])), checked])


@refusing("sw.demo", InputError)
def main(argv=None) -> int:
    parser = Parser(prog="sw.demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rtl", choices=("all", "one", "none"), default="all",
                        help="which runs go through the RTL as well")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--head", default=str(HEAD))
    parser.add_argument("--layer", default=str(demo_lookup.LAYER))
    parser.add_argument("--encoder", default=str(demo_encoder.CHECKPOINT))
    parser.add_argument("--passages", type=int, default=demo_encoder.PASSAGES,
                        help="of held-out text for the encoder's loss (default %(default)s)")
    parser.add_argument("-o", "--output", default="build/demo", help="folder of the pictures")
    args = parser.parse_args(argv)
    if args.passages < 1:
        raise InputError(f"passages is {args.passages}, must be at least 1")

    head, cfg, folder = read_head(args.head), CTAConfig(), make_folder(args.output)
    with np.load(args.head) as data:
        meta = json.loads(str(data["meta"])) if "meta" in data else {}
    print(f"head: {meta.get('model', args.head)}")
    print(f"tokens: {len(head.xq)} of {meta.get('text', 'unknown origin')}")
    print(f"engine: b = {cfg.b}, d = {cfg.d}, l = {cfg.l}, n = {cfg.n}\n")

    exact = attention_exact(head.xq, head.xkv, head.wq, head.wk, head.wv, head.bq, head.bv)
    jobs = [(point.name, Mode.CTA, (point.k0, point.k1, point.k2), False)
            for point in OPERATING_POINTS]
    shown_at = 1
    # The same compression with A fitted to the head instead of random, and no compression.
    jobs.append((jobs[shown_at][0] + ", fitted A", *jobs[shown_at][1:3], True))
    jobs.append(("exact", Mode.EXACT, None, False))
    rtl = {"all": range(len(jobs)), "one": [shown_at], "none": []}[args.rtl]

    if rtl:
        begin = time.monotonic()
        print("emitting and compiling the Verilog (minutes, once) ...", end=" ", flush=True)
        ENGINES["cta"].build(cfg, sys.stderr.isatty())
        print(f"{time.monotonic() - begin:.1f} s\n")
    print(heading(COLUMNS))
    errors, bars, uses, failed = {}, [], None, False
    shown = None
    for at, (name, mode, counts, fitted) in enumerate(jobs):
        prepared = prepare(cfg, head, mode, counts=counts, seed=args.seed, fitted=fitted)
        outcome, backend, checked = execute(prepared, "golden"), "golden", "not run"
        if at in rtl:
            begin = time.monotonic()
            simulated = execute(prepared, "rtl", progress=sys.stderr.isatty())
            seconds = time.monotonic() - begin
            wrong = ENGINES["cta"].differences(simulated.result, outcome.result)
            checked = f"DIFFERS: {wrong}" if wrong else f"equal, {seconds:.1f} s"
            failed |= bool(wrong)
            outcome, backend = simulated, "rtl"
            if at == shown_at:
                uses = simulated.result.activity
        data = report(prepared, outcome, backend)
        formula = None if mode == Mode.EXACT else table1_cycles(
            cfg, data["n"], data["k0"], data["k1"], data["k2"])
        print(_table_row(name, data, formula, checked), flush=True)
        errors[name] = token_error(outcome.output, exact)
        bars.append({"name": name, "RL": data["RL"], "RA": data["RA"],
                     "cycles": data["cycles"]["total"],
                     "error": relative_error(outcome.output, exact)})
        if at == shown_at:
            shown = prepared
            write_json(folder / "report.json", data)
            cycles = data["cycles"]["total"]
            title = (f"{name}, n = {data['n']}, k0 = {data['k0']}, k1 = {data['k1']}, "
                     f"k2 = {data['k2']}: {cycles:,} cycles")

    print("\nfixed point: relative error against the same algorithm (exact: exact attention) in "
          "double precision\nvs exact: relative error of the outputs against exact attention")
    draw_attention(folder / "attention.png", *attention_matrices(shown), errors, jobs[shown_at][0])
    draw_compression(folder / "compression.png", bars,
                     f"One head, n = {len(head.xq)}, d = {cfg.d}, on {cfg.b} × {cfg.d} PEs")
    drawn = ["attention.png", "compression.png"]
    if uses:
        draw_schedule(folder / "schedule.png", uses, cycles, title)
        drawn.insert(0, "schedule.png")
    print("pictures: " + ", ".join(str(folder / name) for name in drawn) + "\n")
    failed |= demo_lookup.show(args.layer, {"all": 2, "one": 1, "none": 0}[args.rtl])
    print()
    failed |= demo_encoder.show(folder, args.rtl, args.encoder, args.passages)
    if failed:
        print("sw.demo: RTL and golden model differ", file=sys.stderr)
    return int(failed)
