"""Train a tiny transformer and keep the attention inputs of one layer: the demo's real tokens.

    python -m sw.demo.train_head [--text FILE] [--steps 1200] [-o sw/demo/data/demo_head.npz]

A byte-level masked language model: d = 64, four pre-norm layers with one head of 64, 512 bytes of
context, a convolution over five bytes in front so that minutes of training suffice. Without
``--text`` it reads the sources of Python's standard library, which every machine that runs this
has.

The output holds what ``sw.run`` takes: ``x`` (512, 64), the tokens of a held-out passage after
the layer's LayerNorm; ``wq wk wv bq bk bv``; and ``meta``, how it was made.
"""

import argparse
import json
import math
import platform
import sysconfig
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sw.io.npz import write_npz

CONTEXT, WIDTH, LAYERS, VOCAB, MASK = 512, 64, 4, 257, 256
HERE = Path(__file__).parent


def waves():
    """Sinusoidal positions (n, d), half the size of a token's embedding."""
    angle = torch.arange(CONTEXT)[:, None] / 1000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
    return 0.3 * torch.cat([angle.sin(), angle.cos()], dim=1)


class Attention(nn.Module):
    """Single-head self-attention over the whole context."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x):                                   # (B, n, d)
        y = F.scaled_dot_product_attention(self.q(x), self.k(x), self.v(x))
        return self.o(y)


def vanilla():
    """The usual feed-forward network."""
    return nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))


class Layer(nn.Module):
    def __init__(self, ffn):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.ffn = ffn()

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class ByteMLM(nn.Module):
    """The language model; ``ffn`` makes the feed-forward network of a layer."""

    def __init__(self, ffn=vanilla):
        super().__init__()
        self.token = nn.Embedding(VOCAB, WIDTH)
        self.stem = nn.Conv1d(WIDTH, WIDTH, 5, padding=2)
        self.position = nn.Parameter(waves())
        self.layers = nn.ModuleList(Layer(ffn) for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCAB)
        nn.init.normal_(self.token.weight, std=0.5)

    def embed(self, ids):                                   # (B, n) -> (B, n, d)
        x = self.token(ids)
        near = self.stem(x.transpose(1, 2)).transpose(1, 2)
        return x + F.gelu(near) + self.position[: ids.shape[1]]

    def forward(self, ids, where):                          # logits of the masked places only
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x[where]))


def read_text(path):
    """Bytes of the training text."""
    if path:
        return Path(path).read_bytes()
    root = Path(sysconfig.get_paths()["stdlib"])
    return b"\n".join(p.read_bytes() for p in sorted(root.glob("*.py")))


def batch(data, size, generator):
    """(inputs with 15% of the bytes masked, mask, targets at the mask)."""
    start = torch.randint(len(data) - CONTEXT, (size,), generator=generator)
    ids = torch.stack([data[s:s + CONTEXT] for s in start]).long()
    where = torch.rand(ids.shape, generator=generator) < 0.15
    return ids.masked_fill(where, MASK), where, ids[where]


def train(data, steps, size, seed, ffn=vanilla):
    """The trained model, and its losses in nats a byte: training's last, held-out."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = ByteMLM(ffn)
    cut = len(data) * 95 // 100
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    begin, mean = time.monotonic(), math.log(256)
    for step in range(steps):
        cosine = (1 + math.cos(math.pi * step / steps)) / 2
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 100) * (0.02 + 0.98 * cosine)
        ids, where, target = batch(data[:cut], size, generator)
        loss = F.cross_entropy(model(ids, where), target)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        mean = 0.98 * mean + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"step {step:5d} of {steps}  loss {mean:.3f} nats a byte  "
                  f"{time.monotonic() - begin:.0f} s", flush=True)
    model.eval()
    with torch.no_grad():
        ids, where, target = batch(data[cut:], 32, generator)
        held_out = F.cross_entropy(model(ids, where), target).item()
    return model, mean, held_out


@torch.no_grad()
def extract(model, layer, ids):
    """Attention operands of one layer for one passage, weights as (in, out)."""
    x = model.embed(ids[None])
    for before in model.layers[:layer]:
        x = before(x)
    attention = model.layers[layer].attention
    arrays = {"x": model.layers[layer].norm1(x)[0]}
    for name in "qkv":
        linear = getattr(attention, name)
        arrays[f"w{name}"], arrays[f"b{name}"] = linear.weight.T, linear.bias
    return {name: value.numpy().astype(np.float32) for name, value in arrays.items()}


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--text", help="training text; default: the standard library's sources")
    parser.add_argument("--name", help="what the metadata calls the text")
    parser.add_argument("--steps", type=int, default=1200,
                        help="about half a second each on one core")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--layer", type=int, default=LAYERS - 1,
                        help="whose attention, from 0")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", default=str(HERE / "data" / "demo_head.npz"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    raw = read_text(args.text)
    data = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
    model, loss, held_out = train(data, args.steps, args.batch, args.seed)
    passage = data[len(data) * 97 // 100:][:CONTEXT].long()
    arrays = extract(model, args.layer, passage)
    meta = {
        "made_by": "python -m sw.demo.train_head",
        "model": f"byte-level masked LM, d = {WIDTH}, convolution of 5 bytes, {LAYERS} pre-norm "
                 f"layers of 1 head, {CONTEXT} bytes of context",
        "keys": "x (n, d); wq wk wv (d, d) as in x @ w; bq bk bv (d,)",
        "layer": args.layer,
        "tokens": "a held-out passage, unmasked, after the layer's first LayerNorm",
        "text": args.name or ("Python standard library sources" if not args.text else
                              Path(args.text).name),
        "bytes": len(raw), "steps": args.steps, "batch": args.batch,
        "seed": args.seed, "torch": torch.__version__, "python": platform.python_version(),
        "loss_nats_per_byte": round(loss, 3),
        "held_out_nats_per_byte": round(held_out, 3),
        "passage": bytes(passage.tolist()).decode("utf-8", "replace"),
    }
    write_npz(args.output, {**arrays, "meta": json.dumps(meta)})
    print(json.dumps({k: v for k, v in meta.items() if k != "passage"}, indent=1))


if __name__ == "__main__":
    main()
