"""``python -m sw.run model``: one layer of an export on real tokens. Needs no torch."""

import numpy as np

from model.border import Borders
from model.cta.cost import attention_ratio, linear_ratio
from model.cta.job import Mode
from model.lookup import bh4
from model.lookup import hash as hashing
from model.lookup.timing import TABLE_LATENCY
from sw.exported.jobs import run_ffn, run_heads
from sw.exported.layer import AttentionLayer
from sw.exported.reader import entries, read_layer
from sw.io.errors import InputError
from sw.io.figures import event_lines
from sw.io.npz import array, read_npz
from sw.run.layer_command import add_order, order_of
from sw.run.subcommand import add_results
from sw.sim.backends import BACKENDS

__all__ = ["add_parser"]

KEYS = {"cta": ("x", "xq", "xkv"), "lookup": ("x", "residual")}


def add_parser(engines) -> None:
    """Add the command ``model``."""
    parser = engines.add_parser(
        "model", prog="sw.run model", help="a layer of an exported model (docs/export.md)",
        description="Without --layer, lists the layers. Keys of the input: x (n, dw), or xq and "
        "xkv; for a LookupFFN layer x (t, d), and residual (t, d) if its engine adds one. Keys of "
        "the output: o (m, heads * d), o_fixed, ct0, ct1, ct2; for a LookupFFN layer y, y_fixed, "
        "codes.")
    parser.set_defaults(command=run)
    parser.add_argument("folder", metavar="FOLDER", help="the export")
    parser.add_argument("--layer", metavar="NAME", help="which layer, as the export names it")
    parser.add_argument("--input", metavar="FILE", help="tokens, an .npz")
    parser.add_argument("--backend", choices=BACKENDS, default="golden",
                        help="bit-exact model, the same by a kernel for this CPU, or simulated "
                        "Verilog (default golden)")
    add_order(parser)
    add_results(parser)


def run(args, progress):
    """Outputs, report and its summary."""
    found = {entry.name: entry for entry in entries(args.folder)}
    if args.layer is None:
        if args.input or args.output:
            raise InputError(f"--layer is missing, must be one of {', '.join(found)}")
        return None, {"export": args.folder, "layers": [_listed(e) for e in found.values()]}, \
            "\n".join(_line(entry) for entry in found.values())
    if args.layer not in found:
        raise InputError(f"layer {args.layer!r} is unknown, must be one of {', '.join(found)}")
    if args.input is None:
        raise InputError("--input is missing, an .npz with the tokens of the layer")
    entry = found[args.layer]
    layer = read_layer(args.folder, entry)
    tokens = read_npz(args.input, KEYS[entry.kind],
                      lambda data: {key: array(data, key, (None, None)) for key in data.files})
    one = _attention if isinstance(layer, AttentionLayer) else _ffn
    outputs, data, lines = one(layer, tokens, args, progress)
    common = {"export": args.folder, "layer": args.layer, "backend": args.backend,
              "config": {key: value for key, value in layer.cfg.as_dict().items() if key != "fmt"},
              "config_hash": layer.cfg.digest}
    return outputs, common | data, "\n".join([f"{args.layer}, {args.backend}: {lines[0]}",
                                              *lines[1:], *event_lines(data)])


def _listed(entry):
    return {"name": entry.name, "kind": entry.kind, "bytes": entry.size, "heads": entry.heads,
            "digest": entry.cfg.digest}


def _line(entry):
    cfg = entry.cfg
    if entry.kind == "cta":
        text = (f"mode {entry.data['mode']}, {entry.heads} heads of {cfg.d}, tokens {cfg.dw}, "
                f"n {cfg.n}, l {cfg.l}")
    else:
        text = f"d {cfg.d}, h {cfg.h}, tau {cfg.tau}, {cfg.projection}"
    return f"{entry.name}: {entry.kind}, {text}, {entry.size:,} bytes"


def _crossed(layer, borders):
    """What the tokens and, when the export was made, the weights lost on their way to integers."""
    return {"operands": borders.as_dict(), "tokens_saturated": sum(borders.saturated.values()),
            "weights": layer.borders.as_dict()}


def _named(saturations):
    return {kind.name.lower(): int(count) for kind, count in saturations.items()}


def _sized(tokens, key, size):
    if tokens[key].shape[1] != size:
        raise InputError(f"{key} has {tokens[key].shape[1]} elements a token, the layer takes "
                         f"{size}")
    return tokens[key]


def _attention(layer, tokens, args, progress):
    cfg = layer.cfg
    if set(tokens) not in ({"x"}, {"xq", "xkv"}):
        raise InputError(f"the input has {', '.join(tokens) or 'nothing'}, must have x, or xq and "
                         "xkv")
    real = {key: _sized(tokens, key, cfg.dw) for key in tokens}
    borders = Borders()
    raw = {key: layer.tokens(value, borders, key) for key, value in real.items()}
    pair = (raw["x"], None) if "x" in raw else (raw["xkv"], raw["xq"])
    try:
        results, = run_heads(layer, [pair], args.backend, progress)
    except ValueError as error:
        raise InputError(str(error)) from None
    r, n, m = results[0], len(pair[0]), len(results[0].o)
    full, k = layer.mode == Mode.EXACT, r.k1 + r.k2
    outputs = {
        "o": np.concatenate([layer.output(head, one.o) for head, one in enumerate(results)], 1),
        "o_fixed": np.concatenate([one.o for one in results], axis=1),
        "ct0": r.ct0, "ct1": r.ct1, "ct2": r.ct2}
    data = {
        "kind": "cta", "mode": layer.mode.name.lower(), "heads": len(results), "n": n, "m": m,
        "k0": r.k0, "k1": r.k1, "k2": r.k2,
        "RL": 1.0 if full else linear_ratio(m, n, r.k0, k),
        "RA": 1.0 if full else attention_ratio(m, n, r.k0, k),
        **_crossed(layer, borders),
        "saturations": _named({kind: sum(one.saturations[kind] for one in results)
                               for kind in r.saturations}),
        "overflow": {f"lsh{c}": int(count) for c, count in enumerate(r.overflow)},
        "zero_rows": sum(one.zero_rows for one in results),
        "cycles": {"source": "rtl" if args.backend == "rtl" else "cycle model",
                   "total": sum(one.cycles for one in results),
                   "heads": [one.cycles for one in results]}}
    lines = [f"{data['mode']}, {len(results)} heads, n {n}, m {m}, k0 {r.k0}, k1 {r.k1}, "
             f"k2 {r.k2}, RL {data['RL']:.3f}, RA {data['RA']:.3f}",
             f"cycles: {data['cycles']['total']} ({data['cycles']['source']})"]
    return outputs, data, lines


def _ffn(layer, tokens, args, progress):
    cfg = layer.cfg
    keys = ("x", "residual") if cfg.residual else ("x",)
    if set(tokens) != set(keys):
        raise InputError(f"the input has {', '.join(tokens) or 'nothing'}, must have "
                         f"{' and '.join(keys)}")
    real = {key: _sized(tokens, key, cfg.d) for key in keys}
    borders = Borders()
    x, residual = layer.tokens(real["x"], borders), None
    if cfg.residual:
        if len(real["residual"]) != len(x):
            raise InputError(f"residual has {len(real['residual'])} tokens, must have {len(x)}")
        residual = layer.residual(real["residual"], borders)
    order = order_of(args)
    result = run_ffn(layer, x, args.backend, order, residual, progress)
    job = layer.job(x, order, residual)
    # The engine keeps its codes; these are the golden model's.
    z, _ = bh4.project(cfg, job.x, layer.weights, job.gain, job.skip, job.shift_skip)
    data = {
        "kind": "lookup", "order": args.order, "tokens": len(x),
        **_crossed(layer, borders),
        "saturations": _named(result.saturations), "table_bytes": result.table_bytes,
        "cycles": {"source": "rtl" if args.backend == "rtl" else "cycle model",
                   "total": result.cycles, "per_token": result.cycles / len(x),
                   "table_latency": TABLE_LATENCY}}
    lines = [f"t {len(x)}, h {cfg.h}, tau {cfg.tau}",
             f"cycles: {result.cycles}, {data['cycles']['per_token']:.0f} a token "
             f"({data['cycles']['source']})", f"table bytes read: {result.table_bytes:,}"]
    return {"y": layer.output(result.y), "y_fixed": result.y,
            "codes": hashing.codes(cfg, z)[:, :, 0]}, data, lines
