"""Which size should have to fit: rules of calibration compared on a checkpoint.

    python -m sw.studies.rules FOLDER [--text FILE]

Calibrates on sequences of the training text, measures on held-out ones: the loss of the whole
model, and the error of its attention and feed-forward layers on the activations of the float
model, relative to the layer in double precision on the clusters and rows of the integers.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from model.command import Parser, refusing
from model.cta.reference import attention_cta, attention_exact
from model.lookup.reference import forward
from sw.io.errors import InputError
from sw.io.shipped import ENCODER
from sw.io.writing import require_writable, write_json
from sw.lm import checkpoint, data
from sw.lm.held_out import measure
from sw.nn.attachment import attention_layers
from sw.quant.cta import operands
from sw.quant.model import fakes, float_model, quantise_model
from sw.studies.budget import relative
from sw.studies.budget_inputs import seen_by

__all__ = ["RULES", "Result", "compare", "main"]

RULES = tuple({"percentile": p} for p in (100.0, 99.99, 99.9, 99.0)) + ({"method": "mse"},)


@dataclass(frozen=True)
class Result:
    """One rule: relative errors of all attention and of all feed-forward layers, and the model's
    held-out ``loss`` in nats; the errors are None in the row of the float model."""

    rule: str
    attention: float | None
    ffn: float | None
    loss: float


def _attention_pairs(heads, fake, y, x):
    """(output, reference) of every sequence and head."""
    for at, sequence in enumerate(x.double().numpy()):
        tables = [ct.numpy() for ct in fake.clusters[at]]
        for head in range(heads.heads):
            real = replace(operands(heads, head), xq=sequence, xkv=sequence)
            want = attention_exact(*real.attention) if heads.mode == "exact" else \
                attention_cta(*real.attention, *tables)
            d = want.shape[1]
            yield y[at, :, head * d:(head + 1) * d].double().numpy(), want


def _errors(model, inputs):
    """Relative error of all attention, of all feed-forward layers, fakes being on."""
    pairs = {"attention": [], "ffn": []}
    heads = attention_layers(model)
    for name, fake in fakes(model).items():
        layer, (x, *_) = model.get_submodule(name), inputs[name]
        y = layer(x)
        if name in heads:
            pairs["attention"] += _attention_pairs(layer, fake, y, x)
        else:
            want = forward(layer.config(), layer.operands(x), fake.codes.numpy())
            pairs["ffn"].append((y.double().numpy().reshape(want.shape), want))
    return {part: relative(found) if found else None for part, found in pairs.items()}


@torch.no_grad()
def compare(model, calibration: torch.Tensor, held_out: data.Masked,
            rules: Sequence[dict] = RULES, each=lambda: None) -> list[Result]:
    """Results of the float model and of every rule. ``calibration`` (B, n) ids. The model comes
    back in floats; ``each`` is called after every row."""
    float_model(model)
    inputs = seen_by(model, torch.from_numpy(held_out.ids[:2]))
    results = [Result("float", None, None, measure(model, held_out).loss)]
    each()
    try:
        for rule in rules:
            report = quantise_model(model, [calibration], **rule)
            results.append(Result(report.method, **_errors(model, inputs),
                                  loss=measure(model, held_out).loss))
            each()
    finally:
        float_model(model)
    return results


def _parser():
    parser = Parser(prog="sw.studies.rules", description="Which size should have to fit: rules of "
                    "calibration compared on a checkpoint.")
    parser.add_argument("folder", nargs="?", help="a checkpoint of sw.lm.train (default: what ships)")
    parser.add_argument("--text", metavar="FILE", help="default: the sources of Python's standard "
                        "library")
    parser.add_argument("--calibration", type=int, default=8, metavar="N",
                        help="sequences to calibrate on (default 8)")
    parser.add_argument("--sequences", type=int, default=16, metavar="N",
                        help="held-out sequences to measure on (default 16)")
    parser.add_argument("--report", metavar="FILE", help="where the figures go, JSON")
    return parser


def _run(args):
    from tqdm import tqdm
    for name in ("calibration", "sequences"):
        if getattr(args, name) < 1:
            raise InputError(f"{name} is {getattr(args, name)}, must be at least 1")
    require_writable(args.report)
    folder = Path(args.folder) if args.folder else ENCODER
    model, run = checkpoint.load(folder)
    source = replace(run.data, text=(args.text,) if args.text else ())
    tokens = checkpoint.tokens_of(folder, run)
    corpus = data.load_corpus(source, run.model.context, tokens)
    settings = tokens, run.model.context, run.data.mask
    held_out = data.fixed_sample(corpus.held_out, *settings, args.sequences)
    ids = data.sample(corpus.train, *settings, 0, 0, range(args.calibration)).ids
    with tqdm(total=len(RULES) + 1, unit="rule", leave=False,
              disable=not sys.stderr.isatty()) as bar:
        results = compare(model, torch.from_numpy(ids), held_out, each=bar.update)
    print(f"{'rule':18}{'attention':>11}{'ffn':>9}{'loss':>9}")
    for one in results:
        errors = "".join("-".rjust(width) if value is None else f"{value:{width}.4f}"
                         for value, width in ((one.attention, 11), (one.ffn, 9)))
        print(f"{one.rule:18}{errors}{one.loss:9.4f}")
    if args.report:
        write_json(args.report, [asdict(one) for one in results])


@refusing("sw.studies.rules", InputError)
def main(argv=None) -> int:
    return _run(_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
