"""CTA in a pretrained encoder: ``python -m sw.studies.pretrained FOLDER --text FILE``.

FOLDER is a Hugging Face encoder on disk (of BERT's kind), FILE any text. What is measured
is the cosine between the sentence embeddings (mean of the last hidden states) of the exact model
and of the same model with compressed attention, on passages that were used for nothing else:

- with the model as it is, for random directions and for those fitted to it, for all layers and
  for the late half, at RL .95 and at the paper's three operating points;
- for policies found under limits (``--max-error``, ``--max-share``), or read (``--policy``);
- and after self-distillation (``--distil STEPS``), for all layers or for the policy.

``--save`` writes the distilled model as a folder that this command takes again: the weights in
the usual files, hash functions and policy beside them; ``--exact`` then names the model to compare
with.
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
from tqdm import tqdm

from model.command import Parser, refusing
from sw.io.errors import InputError
from sw.io.writing import make_folder, write_json
from sw.nn.attachment import attention_layers
from sw.policy.distil import DistilConfig, distil
from sw.policy.plan import CANDIDATES, Policy
from sw.policy.search import Searcher
from sw.quant.cta import engine
from sw.studies.pretrained.folder import embed, load, read_text, save, states
from sw.studies.pretrained.pictures import draw_distillation, draw_sensitivities, draw_similarity
from sw.studies.pretrained.similarity import POINTS, Bench, Row

__all__ = ["main"]


def _parser():
    parser = Parser(prog="sw.studies.pretrained", description="CTA in a pretrained encoder: similarity of "
                    "its sentence embeddings to those of the exact model.")
    add = parser.add_argument
    add("folder", help="a Hugging Face encoder on disk, or what --save has written")
    add("--text", required=True, metavar="FILE", help="text to calibrate, train and test on")
    add("--documents", metavar="REGEX", help="the line that begins a document")
    add("--tokens", type=int, default=512, metavar="N", help="tokens a passage (512)")
    add("--per-document", type=int, default=4, metavar="P",
        help="passages of a document for test and calibration (4)")
    add("--calibrate", type=int, default=16, metavar="P", help="most calibration passages (16)")
    add("--exact", metavar="FOLDER", help="the model to compare with, if not the folder's own")
    add("--directions", nargs="+", choices=("random", "projection"), metavar="D",
        default=["random", "projection"], help="of the table: random projection; the last one "
        "stays for what follows")
    add("--late", type=int, metavar="L", help="late layers in the table (half of them)")
    add("--no-table", action="store_true", help="leave out the table of the operating points")
    add("--max-share", nargs="+", type=float, default=[], metavar="S",
        help="search policies: least error with a share S of the exact cycles")
    add("--max-error", nargs="+", type=float, default=[], metavar="E",
        help="search policies: fewest cycles with 1 - cosine of at most E on calibration passages")
    add("--policy", metavar="FILE", help="read a policy instead")
    add("--distil", type=int, metavar="STEPS", help="self-distillation, at the policy (the first "
        "one searched) if there is one, else of all layers at --at")
    add("--at", choices=[p.name for p in POINTS], default="CTA-0", help="operating point (CTA-0)")
    add("--learned", action="store_true", help="learn the hash directions as well")
    add("--rate", type=float, default=DistilConfig.rate, help=f"({DistilConfig.rate})")
    add("--batch", type=int, default=4, help="passages a step (4)")
    add("--bf16", action="store_true", help="distil in bfloat16, where the processor has it")
    add("--seed", type=int, default=0)
    add("--b", type=int, default=8, help="columns of the engine the cycles are for (8)")
    add("--save", metavar="FOLDER", help="write the distilled model")
    add("--beside", nargs="+", default=[], metavar="JSON", help="earlier results, for the pictures")
    add("-o", "--out", default="build/pretrained", metavar="DIR", help="results and pictures")
    return parser


@refusing("sw.studies.pretrained", ValueError)
def main(argv=None) -> int:
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except ImportError as error:
        raise InputError(f"needs the hf extra: {error}") from None


def _run(args):
    for name in ("distil", "batch", "calibrate"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise InputError(f"{name} is {getattr(args, name)}, must be at least 1")
    earlier = [row for path in args.beside for row in _rows(path)]
    model, policy = load(args.folder, args.seed)
    layers = attention_layers(model)
    late = len(layers) // 2 if args.late is None else args.late
    if not 0 <= late <= len(layers):
        raise InputError(f"late is {late}, must be in 0..{len(layers)}")
    most = getattr(model.config, "max_position_embeddings", args.tokens)
    if not 2 <= args.tokens <= most:
        raise InputError(f"tokens is {args.tokens}, must be at most {most}, the model's positions")
    text = read_text(args.folder, args.text, args.tokens, args.documents, args.per_document)
    text = replace(text, calibration=_spread(text.calibration, args.calibrate))
    tqdm.write(str(text))
    heads = next(iter(layers.values()))
    cfg = engine(heads, b=args.b, n=args.tokens)
    teacher = load(args.exact or args.folder)[0]
    for h in attention_layers(teacher).values():
        h.mode = "exact"
    bench = Bench(model, cfg, text, embed(teacher, text.test), lambda row: tqdm.write(str(row)))
    tqdm.write(f"cosine of different test passages, exact model: {_unrelated(bench.exact):.3f}")
    tqdm.write(Row.HEAD)
    if policy is None:
        weights, names = "pretrained", args.directions
    else:
        weights, names = "distilled", ["saved"]
        bench.row(weights=weights, directions="saved", layers="policy", point="saved")
    for name in names:
        if name == "projection":
            bench.fit()
        if not args.no_table:
            bench.table(weights, name, late)
    words = {"weights": weights, "directions": name, "layers": "policy"}
    policy, found = None, []
    if args.policy:
        policy = bench.put_policy(Policy.load(args.policy))
        words["point"] = "read"
        bench.row(**words)
        tqdm.write(str(policy))
    elif args.max_error or args.max_share:
        found = _search(bench, words, args)
        policy, words["point"] = found[0].policy, _limits(args)[0][0]
    history: list = []
    if args.distil:
        policy, history = _distil(bench, teacher, policy, words, args)
    _write(args, bench, policy, found, history, earlier)


def _unrelated(exact):
    """Mean cosine of two different passages: what nothing in common looks like."""
    count = len(exact)
    return float((exact @ exact.T).sum() - count) / max(1, count * (count - 1))


def _spread(passages, most):
    """At most that many of the passages, from all documents."""
    step = max(1, len(passages) // most)
    return passages[::step][:most]


def _limits(args):
    """Name and limit of every policy to search."""
    return [*((f"s {x:g}", {"max_share": x}) for x in args.max_share),
            *((f"e {x:g}", {"max_error": x}) for x in args.max_error)]


def _search(bench, words, args):
    """Policies under all limits, each measured on the test passages."""
    found = []
    with tqdm(desc="policy", unit="run",
              total=len(bench.layers) * (len(CANDIDATES) - 1) + 1) as bar:
        searcher = Searcher(bench.model, bench.run, bench.cfg, bench.text.n,
                            progress=lambda text: bar.update())
        for name, limit in _limits(args):
            found.append(searcher.find(**limit))
            bench.row(**words, point=name)
            tqdm.write(str(found[-1].policy))
    return found


def _distil(bench, teacher, policy, words, args):
    """Train at the policy or at the operating point, calibrate, measure, save."""
    if policy is None:
        at = next(p for p in POINTS if p.name == args.at)
        policy = bench.put(at)
        words = words | {"layers": "all", "point": at.name}
    else:
        bench.put_policy(policy)
    cfg = DistilConfig(steps=args.distil, rate=args.rate, bf16=args.bf16)
    if args.learned:
        for heads in bench.layers.values():
            heads.directions = "learned"
            heads.a.requires_grad_(True)
    random = torch.Generator().manual_seed(args.seed)
    batches = iter(lambda: bench.text.sample(args.batch, random), None)
    with tqdm(total=args.distil, desc="distil", unit="step") as bar:
        def on_step(step):
            bar.set_postfix_str(f"1 - cosine {step.output:.4f}, hidden {step.hidden:.4f}")
            bar.update()
        history = distil(bench.model, teacher, states, batches, policy.fractions, cfg,
                         on_step=on_step)
    policy = bench.put_policy(policy)
    bench.row(**words | {"weights": "distilled"})
    if args.save:
        save(bench.model, policy, args.save, args.folder)
    return policy, history


def _rows(path):
    """Rows of an earlier run."""
    try:
        return [Row(**row) for row in json.loads(Path(path).read_text())["rows"]]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} has no rows of this command: {error}") from None


def _write(args, bench, policy, found, history, earlier):
    """Results as JSON, pictures where matplotlib is at hand."""
    out = make_folder(args.out)
    results = {"command": vars(args), "text": str(bench.text), "unrelated": _unrelated(bench.exact),
               "rows": [asdict(row) for row in bench.rows],
               "distillation": [asdict(step) for step in history]}
    if policy is not None:
        policy.save(out / "policy.json")
    if found:
        results |= {"alone": found[-1].alone, "measured": found[-1].measured,
                    "policies": [asdict(f.policy) for f in found]}
    write_json(out / "results.json", results)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        tqdm.write(f"{out / 'results.json'}; no pictures, they need the plot extra")
        return
    draw_similarity([*earlier, *bench.rows], out / "similarity.png")
    if found:
        draw_sensitivities(found[-1].alone, out / "sensitivities.png")
    if history:
        draw_distillation(history, out / "distillation.png")
    tqdm.write(f"{out}: results.json and pictures")


if __name__ == "__main__":
    sys.exit(main())
