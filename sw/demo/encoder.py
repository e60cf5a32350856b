"""A whole trained encoder on the engines: the last part of ``make demo``.

The shipped checkpoint (sw/demo/data/encoder, made by ``python -m sw.lm.train --config demo``) is quantised,
exported and read back. Its attention runs on the CTA engine head by head, its feed-forward
networks on the LookupFFN engine; LayerNorm, output projection, residual, embedding and prediction
stay in torch. Fake quantisation in torch, golden model and RTL must be equal to the last bit in
every layer, and the end-task loss is measured at each level.
"""

import dataclasses
import platform
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from model.border import Borders
from model.cta.cost import attention_ratio, linear_ratio
from model.cta.job import Mode
from model.cta.reference import attention_cta, attention_exact
from model.lookup import bh4
from model.lookup import hash as hashing
from model.lookup.reference import forward
from sw.exported.layer import AttentionLayer, identical
from sw.io.errors import InputError
from sw.io.figures import relative_error
from sw.io.shipped import ENCODER as CHECKPOINT
from sw.io.tables import heading, line
from sw.io.writing import write_json

__all__ = ["CHECKPOINT", "show"]

ENGINES = {"attention": {"b": 8}, "ffn": {"multipliers": 64, "lanes": 32}}
PASSAGES, CALIBRATION = 16, 8
COLUMNS = (("layer", 14), ("k0", 5), ("k1", 5), ("k2", 5), ("RL", 6), ("RA", 6), ("cycles", 8),
           ("saturated", 9), ("fixed point", 11), ("vs float", 8), ("torch = golden", 14),
           ("RTL", 7))


def show(folder, simulate: str = "all", checkpoint=CHECKPOINT, passages: int = PASSAGES) -> bool:
    """Print the tables, write report and picture to ``folder``; True if anything differs.

    Parameters
    ----------
    simulate : "all" or "none" of the layers go through the RTL as well; "one", the first of each
        kind.
    checkpoint : folder of a checkpoint (``sw.lm.checkpoint``).
    passages : of held-out text on which losses are measured; the RTL gets the first.
    """
    try:
        import torch

        from sw.lm import checkpoint as store
    except ImportError as error:
        print(f"encoder: left out, it needs {error.name}, which `make setup` installs (extra sw)")
        return False
    model, run = store.load(checkpoint)
    # In double precision: sums in another order, on another CPU or with more threads, then move no
    # token across a rounding edge, and every figure below is the same on every machine. Integers
    # of the weights alone would not do, because the tokens between the layers move as well.
    model.double().requires_grad_(False)
    text, held_out, calibration = _text(run, store.tokens_of(checkpoint, run), passages)
    _introduce(run, store.read_meta(checkpoint), text, passages)
    with torch.no_grad():
        data, failed = _levels(model, held_out, calibration, Path(folder), simulate)
    print(_losses(data))
    print("\ncycles: of a passage; loading weights, tables and tokens is not in them\n"
          "vs float: relative error against the float layer on the same input; fixed point: with "
          "the clusters and\nrows that the integers take; loss: nats a masked byte; ±: standard "
          "error of the difference over passages")
    report = Path(folder) / "encoder.json"
    write_json(report, {"checkpoint": Path(checkpoint).name, "model": dataclasses.asdict(run.model),
                        "text": text, "passages": passages, "python": platform.python_version(),
                        "torch": torch.__version__, "engines": ENGINES, **data})
    from sw.demo.encoder_picture import draw
    draw(data, report.with_suffix(".png"))
    print(f"export: {Path(folder) / 'encoder'}, report: {report}, picture: "
          f"{report.with_suffix('.png')}")
    return failed


def _text(run, tokens, passages):
    """Name of the text, masked held-out passages, and training sequences to calibrate on."""
    from sw.lm import data
    # Python's own library, whatever the checkpoint's text was called where it was trained.
    corpus = data.load_corpus(dataclasses.replace(run.data, text=()), run.model.context, tokens)
    args = tokens, run.model.context, run.data.mask
    return (corpus.name, data.fixed_sample(corpus.held_out, *args, passages),
            data.sample(corpus.train, *args, run.train.seed, 0, range(CALIBRATION)).ids)


def _introduce(run, meta, text, passages):
    cfg = run.model
    print(f"encoder: {cfg.layers} layers, d = {cfg.d}, {cfg.heads} heads of {cfg.d // cfg.heads}, "
          f"{cfg.ffn} FFN {cfg.ffn_options}, {meta['step']} training steps")
    print(f"text: {passages} passages of {cfg.context} tokens, held out, of the {text} "
          f"(Python {platform.python_version()})")
    print(f"engines: CTA {ENGINES['attention']}, LookupFFN {ENGINES['ffn']}\n")


# -- the levels ------------------------------------------------------------------------------------

@contextmanager
def _recorded(modules):
    """First inputs and all outputs, as numpy, of ``modules`` by name while they run."""
    seen = {name: {"inputs": None, "outputs": []} for name in modules}

    def keep(name):
        def hook(_, args, output):
            if seen[name]["inputs"] is None:
                seen[name]["inputs"] = args
            seen[name]["outputs"].append(output.numpy())
        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _score(model, masked, modules=None):
    """Score, and what the modules saw; a passage at a time, so that sums are always the same."""
    from sw.lm.held_out import measure
    with _recorded(modules or {}) as seen:
        return measure(model, masked, size=1), seen


def _first(masked):
    return dataclasses.replace(masked, **{field.name: getattr(masked, field.name)[:1]
                                          for field in dataclasses.fields(masked)})


def _levels(model, held_out, calibration, folder, simulate):
    """Everything that is measured, as plain data, and whether anything differs."""
    import torch

    from sw.exported.hooks import on_engine
    from sw.exported.reader import read
    from sw.exported.writer import export
    from sw.nn.attachment import attention_layers
    from sw.nn.encoder_layer import EncoderLayer
    from sw.quant.model import float_model, quantise_model
    scores, heads = {}, attention_layers(model)
    modes = {name: layer.mode for name, layer in heads.items()}
    for level, to in (("exact attention, float", dict.fromkeys(heads, "exact")),
                      ("CTA, float", modes)):
        for name, layer in heads.items():
            layer.mode = to[name]
        scores[level], _ = _score(model, held_out)
    quantised = quantise_model(model, [torch.from_numpy(calibration)], **ENGINES)
    for name, why in quantised.kept.items():
        print(f"{name} stays in float: {why}")
    if not quantised.quantised:
        raise InputError("no layer of the checkpoint has an engine")
    modules = dict(model.named_modules())
    parts = {name: modules[name] for name in quantised.quantised}
    whole = {name: module for name, module in modules.items() if isinstance(module, EncoderLayer)}
    watched = parts | whole
    scores["quantised, torch"], fake = _score(model, held_out, watched)
    due = {name: module.fake.layer(module) for name, module in parts.items()}
    export(model, folder / "encoder", layers=list(parts), meta={"made by": "sw.demo"})
    layers = read(folder / "encoder")
    failed = not all(identical(layers[name], due[name]) for name in parts)
    if failed:
        print("DIFFERS: what was read back is not what was exported")
    engines = on_engine(model, layers, "golden")
    scores["on the engines, golden"], golden = _score(model, held_out, watched)
    equal = {name: all(map(np.array_equal, fake[name]["outputs"], golden[name]["outputs"]))
             for name in watched}
    calls = {name: engine.calls[0] for name, engine in engines.items()}
    rtl, loss, seconds = _rtl(model, layers, simulate, _first(held_out), watched)
    calls |= {name: call for name, (call, _) in rtl.items() if call}
    float_model(model)
    rows = []
    for name in sorted(watched, key=_place):
        inputs, first = golden[name]["inputs"], golden[name]["outputs"][0]
        rows.append(_row(name, layers.get(name), calls.get(name), equal[name],
                         rtl[name][1] == first.tobytes() if name in rtl else None,
                         relative_error(first, watched[name](*inputs).numpy()),
                         fixed_point(layers[name], watched[name], inputs[0][0], first[0])
                         if name in layers else None))
    print(heading(COLUMNS))
    for row in rows:
        print(_printed(row))
        failed |= not row["torch equals golden"] or row["rtl equals golden"] is False
    data = {"layers": rows, "passage_cycles": sum(row["cycles"] or 0 for row in rows),
            "loss": {level: {"nats": score.loss, "accuracy": score.accuracy,
                             "over exact": list(score.over(scores["exact attention, float"]))}
                     for level, score in scores.items()}}
    if loss is not None:
        same = float(scores["on the engines, golden"].sequences[0])
        data["rtl"] = {"loss of the first passage": loss, "golden": same, "seconds": seconds}
        failed |= simulate == "all" and loss != same
    return data, failed


def _rtl(model, layers, simulate, first, watched):
    """By name the engine's call and the bytes of the output on the first passage; its loss."""
    from sw.exported.hooks import on_engine
    if simulate == "none":
        return {}, None, None
    chosen = dict(layers)
    if simulate == "one":
        kinds = {type(layer): name for name, layer in reversed(layers.items())}
        chosen = {name: layers[name] for name in layers if name in kinds.values()}
    print("emitting and compiling the Verilog of both engines (minutes, once), simulating a "
          "passage ...", end=" ", flush=True)
    begin = time.monotonic()
    engines = on_engine(model, chosen, "rtl", progress=sys.stderr.isatty())
    score, seen = _score(model, first, watched)
    seconds = time.monotonic() - begin
    print(f"{seconds:.1f} s\n")
    shown = watched if simulate == "all" else chosen
    return ({name: (engines[name].calls[0] if name in engines else None,
                    seen[name]["outputs"][0].tobytes()) for name in shown},
            float(score.sequences[0]), seconds)


def fixed_point(layer, module, x, y) -> float:
    """Relative error of the engine's ``y`` (n, d) against the float layer of ``module`` on tokens
    ``x`` (n, d), with the clusters or table rows that the integers choose."""
    from sw.exported.jobs import run_heads
    from sw.quant.cta import operands
    raw = layer.tokens(x.double().numpy(), Borders())    # the engine's call has counted them
    if not isinstance(layer, AttentionLayer):
        z, _ = bh4.project(layer.cfg, raw, layer.weights, layer.gain, layer.skip, layer.shift_skip)
        return relative_error(y, forward(layer.cfg, module.operands(x),
                                         hashing.codes(layer.cfg, z)))
    results, = run_heads(layer, [(raw, None)], "golden")
    due = []
    for head, r in enumerate(results):
        real = dataclasses.replace(operands(module, head), xq=x.double().numpy(),
                                   xkv=x.double().numpy())
        due.append(attention_exact(*real.attention) if layer.mode == Mode.EXACT else
                   attention_cta(*real.attention, r.ct0, r.ct1, r.ct2))
    return relative_error(y, np.concatenate(due, axis=1))


# -- tables ----------------------------------------------------------------------------------------

def _place(name):
    """Numbers as numbers, and a whole after its parts."""
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part)
            for part in name.split(".")] + [(2, 0, "")]


def _row(name, layer, call, equal, rtl, error, fixed):
    row = {"name": name, "cycles": None, "saturations": {}, "error against float": error,
           "error, clusters and rows forced": fixed,
           "torch equals golden": equal, "rtl equals golden": rtl}
    if layer is None:
        return row | {"part": "whole"}
    row |= {"part": "attention" if isinstance(layer, AttentionLayer) else "ffn",
            "cycles": call.cycles, "jobs": call.jobs, "saturations": call.saturations,
            "config_hash": layer.cfg.digest}
    if row["part"] == "ffn":
        return row | {"table_bytes": call.table_bytes}
    k0, k1, k2 = (int(k) for k in call.counts[0])
    n, exact = call.tokens, layer.mode.name == "EXACT"
    return row | {"k": [k0, k1, k2], "RL": 1.0 if exact else linear_ratio(n, n, k0, k1 + k2),
                  "RA": 1.0 if exact else attention_ratio(n, n, k0, k1 + k2)}


def _printed(row):
    words = {"attention": "attention", "ffn": "LookupFFN", "whole": "whole layer"}
    number = next((part for part in row["name"].split(".") if part.isdigit()), "")
    k = row.get("k", "---")
    ratios = [f"{row[key]:.3f}" if key in row else "-" for key in ("RL", "RA")]
    cycles = "-" if row["cycles"] is None else f"{row['cycles']:,}"
    told = {True: "equal", False: "DIFFERS", None: "not run"}
    return line(COLUMNS, [
        f"{number} {words[row['part']]}".strip(), *k, *ratios, cycles,
        sum(row["saturations"].values()) if row["part"] != "whole" else "-",
        "-" if row["part"] == "whole" else f"{row['error, clusters and rows forced']:.4f}",
        f"{row['error against float']:.4f}", told[row["torch equals golden"]],
        told[row["rtl equals golden"]]])


def _losses(data):
    lines = [f"\ncycles of a passage, one engine of each kind: {data['passage_cycles']:,}", "loss"]
    for level, score in data["loss"].items():
        more, error = score["over exact"]
        lines.append(f"  {level:24} {score['nats']:.4f}"
                     + ("" if level.startswith("exact") else f"  {more:+.4f} ± {error:.4f}"))
    if "rtl" in data:
        rtl = data["rtl"]
        lines.append(f"  first passage alone: {rtl['golden']:.6f} golden, "
                     f"{rtl['loss of the first passage']:.6f} RTL")
    return "\n".join(lines)
