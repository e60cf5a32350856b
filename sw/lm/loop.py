"""The training of a language model, top to bottom: sample, forward, step, measure, save."""

import json
import math
import platform
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from model.errors import ConfigError
from sw.io.errors import InputError
from sw.io.writing import append_line, write_text
from sw.lm import checkpoint, stages
from sw.lm.config import RunConfig, TrainConfig
from sw.lm.data import Corpus, fixed_sample, sample
from sw.lm.held_out import measure
from sw.lm.model import MaskedLM
from sw.lm.objective import masked_loss, tensors
from sw.lm.parallel import World, wrap
from sw.nn.descent import descend

__all__ = ["train", "make_optimiser", "learning_rate", "INTERRUPTED", "TERMINATED"]

INTERRUPTED, TERMINATED = 130, 143
"""What :func:`train` returns after Ctrl-C and after SIGTERM, as a shell reports them."""


def learning_rate(cfg: TrainConfig, step: int) -> float:
    """The rate of a step, from 0: linear up over ``warmup`` steps, then linear to 0 at the end."""
    up = (step + 1) / cfg.warmup if cfg.warmup else 1.0
    down = (cfg.steps - step) / max(1, cfg.steps - cfg.warmup)
    return cfg.lr * min(1.0, up, down)


def make_optimiser(model: nn.Module, cfg: TrainConfig) -> torch.optim.AdamW:
    """AdamW; weights decay, biases, LayerNorms and hash directions do not."""
    groups = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # The length of a hash direction is a bucket width: decay would change the clusters.
            groups[parameter.dim() > 1 and not name.endswith(".a")].append(parameter)
    return torch.optim.AdamW(
        [{"params": groups[True], "weight_decay": cfg.weight_decay},
         {"params": groups[False], "weight_decay": 0.0}], lr=cfg.lr, betas=cfg.betas, eps=cfg.eps)


def autocast(precision: str, device: torch.device):
    """bfloat16 where it is asked for, or where "auto" finds a GPU that has it."""
    wanted = precision == "bfloat16" or (
        precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported())
    return torch.autocast(device.type, torch.bfloat16) if wanted else nullcontext()


def train(cfg: RunConfig, corpus: Corpus, folder, world: World, resume: bool = False,
          quiet: bool = False) -> int:
    """Train and leave a checkpoint in ``folder``; returns the exit status.

    With ``resume`` it goes on from the checkpoint there, on the CPU with the same losses to the
    bit as if it had not been stopped. 0 when all steps are done, :data:`INTERRUPTED` or
    :data:`TERMINATED` after a signal, in both cases with a checkpoint written.
    """
    t, folder, tokens = cfg.train, Path(folder), corpus.tokens
    cfg = cfg.replace(model={"vocab": tokens.vocab})
    _check(cfg, world)
    if t.threads:
        torch.set_num_threads(t.threads)

    # -- model and optimiser, new or as they were -------------------------------------------------
    torch.manual_seed(t.seed)
    done, losses, cta = 0, [], t.cta_from if cfg.model.attention == "exact" else 0
    if resume:
        model, kept = checkpoint.load(folder, world.device)
        meta = checkpoint.read_meta(folder)
        _check_resume(cfg, kept, meta, corpus)
        done, losses = meta["step"], meta["meta"]["losses"]
    else:
        model = MaskedLM(cfg.model).to(world.device)
    model.train()
    optimiser = make_optimiser(model, t)
    if resume:
        checkpoint.load_optimiser(folder, model, optimiser, done)
    parallel = wrap(model, world, unused=cfg.model.ffn not in ("vanilla", "lookup")
                    or any(layer.attention.heads.a.requires_grad for layer in model.layers))
    held_out = fixed_sample(corpus.held_out, tokens, cfg.model.context, cfg.data.mask,
                            t.eval_sequences)
    metrics = _Metrics(folder, done, world.first)

    def batch(step, places):
        return sample(corpus.train, tokens, cfg.model.context, cfg.data.mask, t.seed, step, places)

    def evaluate(step):
        score = measure(model, held_out)
        metrics.write(step, held_out_loss=score.loss, held_out_accuracy=score.accuracy)
        return score

    def save(step, score=None):
        if world.first:
            meta = {"made_by": "python -m sw.lm.train", "text": corpus.name, "bytes": corpus.size,
                    "tokens": len(corpus.train), "digest": corpus.digest, "losses": losses,
                    "processes": world.size, "torch": torch.__version__,
                    "python": platform.python_version()}
            if score:
                meta |= {"held_out_loss": score.loss, "held_out_accuracy": score.accuracy,
                         "held_out_sequences": t.eval_sequences}
            checkpoint.save_model(folder, model, cfg, tokens, step=step, meta=meta)
            checkpoint.save_optimiser(folder, model, optimiser, step)
        world.wait()

    # -- the loop ---------------------------------------------------------------------------------
    mine, status = world.share(t.batch), 0
    part, seen = len(mine) // t.accumulate, 0.0

    def forward(ids, where):
        with autocast(t.precision, world.device):
            return parallel(ids, where)

    def batches(ahead):
        """A batch a step, the next one drawn while a step is computed."""
        coming = ahead.submit(batch, done, mine)
        for step in range(done, t.steps):
            masked, coming = coming.result(), ahead.submit(batch, step + 1, mine)
            yield tensors(masked, world.device)

    def objective(step, masked):
        nonlocal seen
        if 0 <= cta <= step and (step == cta or cfg.cta.every and
                                 (step - cta) % cfg.cta.every == 0):
            _calibrate(model, cfg, batch(step, range(cfg.cta.sequences)), step == cta)
            metrics.write(step + 1, cta=[{"RL": rl, "RA": ra} for rl, ra in stages.ratios(model)])
        # Dropout and random hashes of a step are functions of seed, step and process.
        seeds = np.random.SeedSequence((t.seed, step, world.rank))
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        seen = 0.0
        for i in range(t.accumulate):
            rows, last = slice(i * part, (i + 1) * part), i == t.accumulate - 1
            with nullcontext() if last or world.size == 1 else parallel.no_sync():
                loss, whole = masked_loss(model, *(a[rows] for a in masked), forward)
                seen += loss.detach() / t.accumulate
                yield whole / t.accumulate

    bar = tqdm(total=t.steps, initial=done, disable=quiet or not world.first or None,
               unit="step", dynamic_ncols=True)
    since, begin = 0, time.monotonic()
    with _signals() as caught, ThreadPoolExecutor(1) as ahead:
        # A loss is looked at below, where it is that of all processes: they stop together.
        for taken in descend(optimiser, batches(ahead), objective, first=done, finite=False,
                             rate=lambda step: learning_rate(t, step), clip=t.clip or math.inf,
                             parameters=model.parameters()):
            step = taken.number
            losses.append(world.mean(seen).item())
            if not math.isfinite(losses[-1]):
                raise InputError(f"the loss of step {step} is {losses[-1]}: the checkpoint before "
                                 "it is kept; a smaller train.lr or train.clip may help")

            # -- what is seen of it ---------------------------------------------------------------
            now = step + 1
            since += t.batch * cfg.model.context
            rate = since / max(1e-9, time.monotonic() - begin)
            bar.set_postfix_str(f"loss {losses[-1]:.3f}, {rate:,.0f} tokens/s", refresh=False)
            bar.update()
            if t.log_every and now % t.log_every == 0:
                metrics.write(now, loss=sum(losses) / len(losses), norm=taken.norm.item(),
                              lr=learning_rate(t, step), tokens_per_second=round(rate))
                losses.clear()
                since, begin = 0, time.monotonic()
            if world.any(bool(caught)):
                status = caught[0] if caught else INTERRUPTED
                save(now)
                break
            final = now == t.steps
            score = evaluate(now) if final or t.eval_every and now % t.eval_every == 0 else None
            if score and not final and world.first and not quiet:
                bar.write(f"step {now}: held-out loss {score.loss:.4f}, "
                          f"accuracy {score.accuracy:.4f}", file=sys.stderr)
            if final or t.save_every and now % t.save_every == 0:
                save(now, score)
    bar.close()
    return status


def _check(cfg, world):
    t = cfg.train
    if t.batch % (world.size * t.accumulate):
        raise ConfigError(f"train.batch is {t.batch}, must be a multiple of {world.size} processes "
                          f"times train.accumulate = {t.accumulate}")
    if t.cta_from >= t.steps:
        raise ConfigError(f"train.cta_from is {t.cta_from}, must be below train.steps = {t.steps}")


def _check_resume(cfg, kept, meta, corpus):
    for section in ("model", "data", "cta"):
        new, old = (getattr(c, section) for c in (cfg, kept))
        for key, value in vars(old).items():
            if key != "text" and getattr(new, key) != value:
                raise InputError(f"{section}.{key} is {getattr(new, key)!r}, the checkpoint to "
                                 f"resume has {value!r}")
    if meta["meta"].get("digest") != corpus.digest:
        raise InputError("the text is not the one of the checkpoint to resume")
    if "losses" not in meta["meta"]:
        raise InputError("the checkpoint is a finished model without the state of its training")


def _calibrate(model, cfg, masked, first):
    ids = torch.from_numpy(masked.ids).to(next(model.parameters()).device)
    if first:
        stages.use_cta(model, ids, cfg.cta.target, cfg.cta.directions, cfg.cta.layers)
    else:
        stages.calibrate(model, ids, cfg.cta.target)


class _Metrics:
    """metrics.jsonl: one object a line; a resumed run forgets what came after its checkpoint."""

    def __init__(self, folder, done, active):
        self.path, self.active = Path(folder) / checkpoint.METRICS, active
        if not active:
            return
        lines = self.path.read_text().splitlines() if done and self.path.is_file() else []
        kept = [line for line in lines if json.loads(line)["step"] <= done]
        write_text(self.path, "".join(line + "\n" for line in kept))

    def write(self, step, **values):
        if self.active:
            append_line(self.path, json.dumps({"step": step, **values}))


@contextmanager
def _signals():
    """A list to which Ctrl-C and SIGTERM add their exit status; a second one ends at once."""
    caught = []

    def note(number, frame):
        caught.append(128 + number)
        signal.signal(number, before[number])

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
