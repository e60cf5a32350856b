"""The layers of a checkpoint as the engines load them: ``hashlayer export``.

    python -m sw.quant.export FOLDER -o EXPORT

Calibrates the checkpoint on sequences of its training text, quantises its layers and writes a
manifest with an image a layer. Nothing is trained: ``hashlayer quantise`` does that, and exports too.
"""

import dataclasses
import sys
from pathlib import Path

import torch

from model.command import Parser, refusing
from sw.exported.codec import ImageError
from sw.exported.writer import export
from sw.io.errors import InputError
from sw.io.shipped import ENCODER
from sw.lm import checkpoint, data
from sw.quant.model import quantise_model

__all__ = ["export_checkpoint", "main"]

SEED = 1


def export_checkpoint(source, folder, *, text: str | None = None, calibration: int = 8,
                      layers: list[str] | None = None) -> dict:
    """Quantise the checkpoint ``source`` and write its layers to ``folder``; gives the manifest.

    ``text`` is a file to calibrate on instead of the text it was trained on, ``calibration`` the
    number of sequences, ``layers`` the names to write. Raises InputError for what cannot be read,
    quantised or written.
    """
    if calibration < 1:
        raise InputError(f"calibration is {calibration}, must be at least 1")
    model, run = checkpoint.load(source)
    tokens = checkpoint.tokens_of(source, run)
    of = dataclasses.replace(run.data, text=(text,) if text else ())
    corpus = data.load_corpus(of, run.model.context, tokens)
    masked = data.sample(corpus.train, corpus.tokens, run.model.context, run.data.mask, SEED, 0,
                         range(calibration))
    found = quantise_model(model, [torch.from_numpy(masked.ids)])
    if not found.quantised:
        raise InputError("no layer of the checkpoint can be quantised: "
                         + "; ".join(f"{name}, {why}" for name, why in found.kept.items()))
    for name, why in found.kept.items():
        print(f"sw.quant.export: {name} stays in float: {why}", file=sys.stderr)
    try:
        return export(model, folder, layers=layers, meta={"made_by": "hashlayer export"})
    except ImageError as error:
        raise InputError(str(error)) from None


def _parser():
    parser = Parser(prog="sw.quant.export",
                    description="The layers of a checkpoint as the engines load them.")
    parser.add_argument("folder", nargs="?", help="a checkpoint of sw.lm.train (default: what ships)")
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True,
                        help="where manifest and images go; an export that is there is replaced")
    parser.add_argument("--layer", metavar="NAME", action="append",
                        help="write this layer only; may be given again (default: all)")
    parser.add_argument("--text", metavar="FILE", help="to calibrate on (default: the sources of "
                        "Python's standard library)")
    parser.add_argument("--calibration", type=int, default=8, metavar="N",
                        help="sequences to calibrate on (default 8)")
    return parser


@refusing("sw.quant.export", InputError)
def main(argv=None) -> int:
    args = _parser().parse_args(argv)
    made = export_checkpoint(Path(args.folder) if args.folder else ENCODER, args.output,
                             text=args.text, calibration=args.calibration, layers=args.layer)
    for entry in made["layers"]:
        print(f"{entry['name']}: {entry['kind']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
