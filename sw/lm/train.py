"""Train a masked language model: ``python -m sw.lm.train --config demo -o runs/demo``.

Configurations are TOML files, or the names of those in sw/lm/presets: tiny (seconds), demo (the encoder
that ships), demo_head and demo_lookup (the models of the head and the layer that ship), small (a
laptop, four hours), paper (the LookupFFN paper's recipe). Any key can be
set on the command line: ``--set model.ffn=lookup --set model.ffn_options.h=16``. Without ``--text``
the text is the sources of Python's own library. Several processes: ``torchrun --nproc-per-node 2
-m sw.lm.train ...``. What is in the folder, and how to go on: docs/training.md.
"""

import json
import sys
from pathlib import Path

from model.command import Parser
from model.errors import ConfigError
from sw.io.errors import InputError
from sw.io.writing import make_folder, require_writable
from sw.lm.config_file import presets, read_config

__all__ = ["main"]


def parse(argv):
    parser = Parser(prog="sw.lm.train", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--config", metavar="FILE", help="TOML file, or a preset: "
                        + ", ".join(presets()) + "; with --resume by default that of the run")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
                        help="over the configuration; can be repeated")
    parser.add_argument("--text", nargs="+", default=[], metavar="PATH",
                        help="files and folders; default: the sources of Python's library")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="of the run")
    parser.add_argument("--resume", action="store_true", help="go on from the run's checkpoint")
    parser.add_argument("--release", metavar="FOLDER", help="when all steps are done, write the "
                        "model alone there, in half precision")
    parser.add_argument("--head", metavar="FILE", help="when all steps are done, write an attention "
                        "head and a held-out passage there, as `hashlayer run cta` takes them")
    parser.add_argument("--lookup", metavar="FILE", help="the same of a LookupFFN layer, as "
                        "`hashlayer run lookup` takes it")
    parser.add_argument("--layer", type=int, default=0, metavar="N", help="the layer that --head "
                        "and --lookup write, from 0 (default 0)")
    parser.add_argument("--print", action="store_true", help="print the configuration as JSON "
                        "and stop")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse(argv)
    try:
        return _run(args)
    except (InputError, ConfigError) as error:
        print(f"sw.lm.train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:       # a second Ctrl-C, or one before the first step
        return 130


def _run(args):
    from sw.lm import checkpoint, parallel
    from sw.lm.data import load_corpus
    from sw.lm.loop import train
    from sw.lm.operands import KINDS, require_operands
    folder, tokens = Path(args.output), None
    if args.resume:
        kept = checkpoint.read_meta(folder)
        cfg = read_config(args.config, args.set, args.text, base=kept["config"])
        tokens = checkpoint.tokens_of(folder, cfg)
    else:
        if not args.config:
            raise InputError("--config is missing, must be a TOML file or a preset")
        cfg = read_config(args.config, args.set, args.text)
        if checkpoint.exists(folder) and not args.print:
            raise InputError(f"{folder} holds a checkpoint: --resume goes on from it, another "
                             "folder begins anew")
    if args.print:
        print(json.dumps(cfg.to_dict(), indent=2))
        return 0
    wanted = {kind: path for kind in KINDS if (path := getattr(args, kind))}
    for kind, path in wanted.items():
        require_operands(kind, cfg, args.layer)
        require_writable(path)
    make_folder(folder)
    world = parallel.start()
    try:
        corpus = load_corpus(cfg.data, cfg.model.context, tokens)
        status = train(cfg, corpus, folder, world, args.resume, args.quiet)
    finally:
        world.stop()
    if world.first:
        if args.release and not status:
            _release(folder, Path(args.release), corpus)
        for kind, path in wanted.items() if not status else ():
            _write(kind, path, args, folder, corpus)
        _say(folder, status)
    return status


def _release(folder, target, corpus):
    """The weights in half precision without the optimiser's state, and their own held-out score."""
    from sw.lm import checkpoint, stages
    from sw.lm.data import fixed_sample
    from sw.lm.held_out import measure
    model, cfg = checkpoint.load(folder)
    data = checkpoint.read_meta(folder)

    def write(**scores):
        meta = {key: value for key, value in data["meta"].items()
                if key != "losses" and not key.startswith("held_out")} | scores
        checkpoint.save_model(target, model, cfg, corpus.tokens, step=data["step"], meta=meta,
                              half=True)
    write()
    model, _ = checkpoint.load(target)      # scores are those of the weights as released
    held_out = fixed_sample(corpus.held_out, corpus.tokens, cfg.model.context, cfg.data.mask,
                            cfg.train.eval_sequences)
    with stages.Ratios(model) as seen:
        score = measure(model, held_out)
    write(held_out_loss=score.loss, held_out_accuracy=score.accuracy,
          held_out_sequences=cfg.train.eval_sequences,
          ratios=[{"RL": rl, "RA": ra} for rl, ra in seen.layers()])


def _write(kind, path, args, folder, corpus):
    """A part of one layer with real tokens, as the engines' commands read it."""
    from sw.lm import checkpoint
    from sw.lm.operands import write_operands
    model, cfg = checkpoint.load(folder)
    config = f" --config {args.config}" if args.config else ""
    meta = checkpoint.read_meta(folder)["meta"] | {
        "made_by": f"python -m sw.lm.train{config} -o RUN --{kind} FILE --layer {args.layer}"}
    write_operands(path, kind, model, cfg, corpus, args.layer, meta)


def _say(folder, status):
    from sw.lm import checkpoint
    data = checkpoint.read_meta(folder)
    meta = data["meta"]
    if status:
        print(f"stopped after step {data['step']}, checkpoint in {folder}; --resume goes on",
              file=sys.stderr)
    elif "held_out_loss" in meta:
        print(f"{folder}: {data['step']} steps, held-out loss {meta['held_out_loss']:.4f} nats a "
              f"token, accuracy {meta['held_out_accuracy']:.4f}")


if __name__ == "__main__":
    sys.exit(main())
