"""Quantisation-aware fine-tuning of a checkpoint.

    python -m sw.quant.train FOLDER -o NEW [--steps 50] [--export FOLDER] [--table-bits 4]

Calibrates a checkpoint of sw.lm.train on sequences of its training text, puts the fakes on and trains
on with them: the model sees the engines' integers, the gradients go straight through. Prints the
held-out loss in floats, right after calibration and after training, and writes the new checkpoint;
with ``--export`` also its layers as the engines load them. Points stay as calibrated, so weights
may not go far: the learning rate is small and constant. ``--control`` trains the float model by
the same steps and quantises it then, to tell what is due to the fakes and what to the training.
"""

import copy
import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from model.command import Parser, refusing
from model.cta.config import CTAFormats
from model.fixed import Format
from model.lookup.config import LookupFormats
from sw.io.errors import InputError
from sw.io.shipped import ENCODER
from sw.io.writing import require_writable, write_json
from sw.lm import checkpoint, data
from sw.lm.config import RunConfig
from sw.lm.held_out import measure
from sw.lm.objective import masked_loss, tensors
from sw.nn.descent import descend
from sw.quant.model import float_model, quantise_model

__all__ = ["Outcome", "narrowed", "fine_tune", "main"]

SEED = 1


@dataclass(frozen=True)
class Outcome:
    """Held-out losses in nats a predicted token.

    ``float_before`` of the model as it came, ``calibrated`` once quantised, ``trained`` after
    training with the fakes on, ``float_after`` without them. ``control`` is of the model trained by
    the same steps in floats and quantised after that, None if it was not asked for.
    """

    float_before: float
    calibrated: float
    trained: float
    float_after: float
    control: float | None = None


def narrowed(weight_bits: int | None = None, table_bits: int | None = None) -> dict:
    """Keywords for :func:`sw.quant.model.quantise_model` that make the weights of both engines,
    or the tables of LookupFFN, narrower than they are. None leaves them. Raises InputError."""
    attention, ffn = CTAFormats(), LookupFormats()

    def of(formats, name, bits):
        fmt = getattr(formats, name)
        if not 2 <= bits <= fmt.width:
            raise InputError(f"{name} bits is {bits}, must be in 2..{fmt.width}")
        return dataclasses.replace(formats, **{
            name: Format(fmt.signed, bits, fmt.frac - fmt.width + bits)})

    if weight_bits is not None:
        # The narrower of the two engines sets the limit.
        ffn = of(ffn, "weight", weight_bits)
        attention = of(attention, "weight", weight_bits)
    if table_bits is not None:
        ffn = of(ffn, "table", table_bits)
    return {"attention": {"fmt": attention}, "ffn": {"fmt": ffn}}


def _train(model, run, sample, steps, rate, each):
    device = next(model.parameters()).device
    optimiser = torch.optim.AdamW(model.parameters(), rate, betas=run.train.betas,
                                  eps=run.train.eps, weight_decay=0.0)
    model.train()

    def objective(step, masked):
        yield masked_loss(model, *tensors(masked, device))[1]

    for taken in descend(optimiser, map(sample, range(steps)), objective, rate=lambda step: rate,
                         clip=1.0):
        each(taken.loss.item())
    model.eval()


def fine_tune(model, run: RunConfig, corpus: data.Corpus, *, steps: int = 50, batch: int = 4,
              rate: float = 1e-4, sequences: int = 16, calibration: int = 8, control: bool = False,
              options: dict | None = None, each: Callable = lambda loss: None) -> Outcome:
    """Quantise and fine-tune ``model`` in place, its fakes stay on.

    ``options`` go to :func:`quantise_model`; ``each`` is told the loss of every step, those of the
    ``control`` included. Raises InputError for a model without a layer that an engine takes, and
    for a loss that is not finite.
    """
    settings = corpus.tokens, run.model.context, run.data.mask
    held_out = data.fixed_sample(corpus.held_out, *settings, sequences)
    ids, _, _ = tensors(data.sample(corpus.train, *settings, SEED, 0, range(calibration)),
                        next(model.parameters()).device)

    def sample(step):
        return data.sample(corpus.train, *settings, SEED, 1 + step, range(batch))

    def quantised(model):
        report = quantise_model(model, [ids], **(options or {}))
        if not report.quantised:
            raise InputError("no layer of the checkpoint can be quantised: "
                             + "; ".join(f"{name}, {why}" for name, why in report.kept.items()))
        return measure(model, held_out).loss

    before, plain = measure(model, held_out).loss, copy.deepcopy(model) if control else None
    calibrated = quantised(model)
    _train(model, run, sample, steps, rate, each)
    trained = measure(model, held_out).loss
    fakes = float_model(model)
    after = measure(model, held_out).loss
    for name, fake in fakes.items():
        model.get_submodule(name).fake = fake
    if control:
        _train(plain, run, sample, steps, rate, each)
    return Outcome(before, calibrated, trained, after, quantised(plain) if control else None)


def _parser():
    parser = Parser(prog="sw.quant.train", description="Quantisation-aware fine-tuning of a "
                    "checkpoint.")
    parser.add_argument("folder", nargs="?", help="a checkpoint of sw.lm.train (default: what ships)")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="where the new checkpoint goes")
    parser.add_argument("--export", metavar="FOLDER", help="where its layers go, for the engines")
    parser.add_argument("--text", metavar="FILE", help="default: the sources of Python's standard "
                        "library")
    parser.add_argument("--steps", type=int, default=50, help="default 50")
    parser.add_argument("--batch", type=int, default=4, help="sequences a step (default 4)")
    parser.add_argument("--rate", type=float, default=1e-4, help="of learning (default 1e-4)")
    parser.add_argument("--sequences", type=int, default=16, metavar="N",
                        help="held-out sequences to measure on (default 16)")
    parser.add_argument("--calibration", type=int, default=8, metavar="N",
                        help="sequences to calibrate on (default 8)")
    parser.add_argument("--method", choices=("percentile", "mse"), default="percentile",
                        help="which size has to fit (default percentile)")
    parser.add_argument("--percentile", type=float, default=100.0, help="default 100, the largest")
    parser.add_argument("--weight-bits", type=int, metavar="B", help="of Wq, Wk, Wv and of the "
                        "projection of LookupFFN (default as the engines have them)")
    parser.add_argument("--table-bits", type=int, metavar="B", help="of the tables of LookupFFN")
    parser.add_argument("--control", action="store_true", help="train the float model as well, and "
                        "quantise it after that")
    parser.add_argument("--report", metavar="FILE", help="where the figures go, JSON")
    return parser


def _check(args):
    for name, least in (("steps", 0), ("batch", 1), ("sequences", 1), ("calibration", 1)):
        if getattr(args, name) < least:
            raise InputError(f"{name} is {getattr(args, name)}, must be at least {least}")
    if not 0 < args.rate < 1:
        raise InputError(f"rate is {args.rate}, must be in (0, 1)")
    if not 0 < args.percentile <= 100:
        raise InputError(f"percentile is {args.percentile}, must be in (0, 100]")
    require_writable(args.report)


def _run(args):
    from tqdm import tqdm
    _check(args)
    options = {"method": args.method, "percentile": args.percentile,
               **narrowed(args.weight_bits, args.table_bits)}
    folder = Path(args.folder) if args.folder else ENCODER
    model, run = checkpoint.load(folder)
    tokens, before = checkpoint.tokens_of(folder, run), checkpoint.read_meta(folder)
    source = dataclasses.replace(run.data, text=(args.text,) if args.text else ())
    corpus = data.load_corpus(source, run.model.context, tokens)
    with tqdm(total=args.steps * (1 + args.control), unit="step", leave=False,
              disable=not sys.stderr.isatty()) as bar:
        def each(loss):
            bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            bar.update()
        found = fine_tune(model, run, corpus, steps=args.steps, batch=args.batch, rate=args.rate,
                          sequences=args.sequences, calibration=args.calibration,
                          control=args.control, options=options, each=each)
    print(f"held-out loss: {found.float_before:.4f} in floats; {found.calibrated:.4f} quantised, "
          f"{found.trained:.4f} after {args.steps} steps of training ({found.float_after:.4f} "
          "without the fakes)")
    if args.control:
        print(f"trained in floats and quantised after that: {found.control:.4f}")
    figures = dataclasses.asdict(found)
    if args.output:
        meta = {**before["meta"], "made_by": "python -m sw.quant.train", "quantised": figures}
        checkpoint.save_model(args.output, model, run, tokens,
                              step=before["step"] + args.steps, meta=meta)
    if args.export:
        from sw.exported.writer import export
        export(model, args.export, meta={"held_out_loss": found.trained})
    if args.report:
        write_json(args.report, figures)


@refusing("sw.quant.train", InputError)
def main(argv=None) -> int:
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except KeyboardInterrupt:
        print("sw.quant.train: stopped, nothing was written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
