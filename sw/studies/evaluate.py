"""What CTA and LookupFFN cost a trained model: ``python -m sw.studies.evaluate CHECKPOINT -o FOLDER``.

Scores a checkpoint of sw.lm.train on held-out text: with exact attention and its own feed-forward
networks, with CTA at the paper's operating points and along a curve of RL, and with LookupFFN
layers of several sizes; each before fine-tuning, after, and quantised. Writes results.json,
table.md, attention.png and lookup.png. Without ``--text`` the text is the checkpoint's own.
"""

import dataclasses
import sys
from functools import partial

from model.command import Parser, refusing
from model.errors import ConfigError
from model.lookup.config import LookupConfig
from sw.io.errors import InputError
from sw.io.writing import make_folder, write_json, write_text

__all__ = ["main"]


def parse(argv):
    parser = Parser(prog="sw.studies.evaluate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint", help="folder of sw.lm.train")
    parser.add_argument("--text", nargs="+", default=[], metavar="PATH",
                        help="files and folders; default: those of the checkpoint")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER")
    parser.add_argument("--points", default="CTA-0,CTA-0.5,CTA-1", metavar="NAMES",
                        help="operating points, separated by commas; '' for none")
    parser.add_argument("--directions", default="random,projection", metavar="KINDS")
    parser.add_argument("--rl", default="0.95,0.9,0.8,0.7,0.6,0.5,0.4,0.3", metavar="VALUES",
                        help="of the curve before fine-tuning; '' for none")
    parser.add_argument("--sizes", nargs="*", default=["16,6,32", "32,8,32"], metavar="H,TAU,BLOCK",
                        help="LookupFFN in place of the feed-forward networks")
    parser.add_argument("--steps", type=int, default=100, help="of fine-tuning, 0 for none")
    parser.add_argument("--batch", type=int, default=8, help="sequences a step")
    parser.add_argument("--lr", type=float, help="default: a tenth of the checkpoint's")
    parser.add_argument("--fit-steps", type=int, default=300, metavar="STEPS",
                        help="of the regression that fits tables to a network")
    parser.add_argument("--sequences", type=int, default=64, help="held-out, per score")
    parser.add_argument("--calibration", type=int, default=8,
                        help="training sequences for directions, widths and quantisation")
    parser.add_argument("--no-quantised", dest="quantised", action="store_false")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="of torch; default: its own choice")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(argv)


@refusing("sw.studies.evaluate", InputError, ConfigError)
def main(argv=None) -> int:
    args = parse(argv)
    try:
        return _run(args, sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return 130


def _plan(args, cfg):
    from sw.lm.config import POINTS
    from sw.studies.compare import Plan

    def names(text, known, flag):
        chosen = tuple(filter(None, text.split(",")))
        for name in chosen:
            if name not in known:
                raise InputError(f"--{flag} {name} is unknown, must be of {', '.join(known)}")
        return chosen

    def numbers(text, kind, flag, count=None):
        try:
            values = tuple(kind(part) for part in text.split(",") if part)
        except ValueError:
            values = ()
        if text and not values or count and len(values) != count:
            raise InputError(f"--{flag} {text} is malformed")
        return values
    for name, low in (("steps", 0), ("batch", 1), ("sequences", 1), ("calibration", 1),
                      ("fit_steps", 0), ("seed", 0), ("threads", 0)):
        if getattr(args, name) < low:
            raise InputError(f"--{name.replace('_', '-')} is {getattr(args, name)}, "
                             f"must be at least {low}")
    rl = numbers(args.rl, float, "rl")
    if not all(0 < value <= 1 for value in rl):
        raise InputError(f"--rl is {args.rl}, must be in (0, 1]")
    lr = cfg.train.lr / 10 if args.lr is None else args.lr
    if not 0 < lr < 100:
        raise InputError(f"--lr is {lr}, must be in (0, 100)")
    sizes = tuple(numbers(size, int, "sizes", 3) for size in args.sizes)
    for h, tau, block in sizes:
        LookupConfig(d=cfg.model.d, h=h, tau=tau, block=block)
    return Plan(points=names(args.points, tuple(POINTS), "points"), rl=rl, lr=lr,
                directions=names(args.directions, ("random", "projection"), "directions"),
                sizes=sizes, steps=args.steps, fit_steps=args.fit_steps, batch=args.batch,
                sequences=args.sequences, calibration=args.calibration,
                quantised=args.quantised, seed=args.seed)


def _run(args, argv):
    import torch
    from tqdm import tqdm

    from sw.lm import checkpoint
    from sw.lm.data import load_corpus
    from sw.studies import evaluation_report as report
    from sw.studies.compare import Bench
    if args.threads:
        torch.set_num_threads(args.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, cfg = checkpoint.load(args.checkpoint, device)
    plan = _plan(args, cfg)
    if args.text:
        cfg = cfg.replace(data={"text": tuple(args.text)})
    tokens = checkpoint.tokens_of(args.checkpoint, cfg)
    corpus = load_corpus(cfg.data, cfg.model.context, tokens)
    folder = make_folder(args.output)
    bar = tqdm(disable=args.quiet or None, unit="step", dynamic_ncols=True)
    bench = Bench(model, cfg, corpus, plan, partial(_say, bar, args.quiet), bar.update)
    bar.total = bench.units()
    status = 0
    try:
        bench.run()
    except KeyboardInterrupt:       # what is measured is kept
        status = 130
    bar.close()
    if not bench.rows:
        return status
    rows = bench.rows
    meta = {"command": "python -m sw.studies.evaluate " + " ".join(argv), "text": corpus.name,
            "ffn": cfg.model.ffn, "vocab": cfg.model.vocab,
            "predictions": plan.sequences * bench.held_out.target.shape[1],
            "plan": dataclasses.asdict(plan), "skipped": bench.skipped,
            "complete": not status, "checkpoint": checkpoint.read_meta(args.checkpoint)}
    meta["checkpoint"]["meta"].pop("losses", None)
    write_json(folder / "results.json", {**meta, "rows": [dataclasses.asdict(r) for r in rows]})
    text = report.tables(rows, meta)
    write_text(folder / "table.md", text)
    print(text)
    try:
        report.draw(rows, folder, cfg.model.ffn)
    except ImportError:
        print("matplotlib is missing: no pictures (the plot extra)", file=sys.stderr)
    return status


def _say(bar, quiet, what):
    """Where there is no bar, a line for each variant."""
    bar.set_description_str(what)
    if bar.disable and not quiet:
        print(what, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
