"""Train a tiny transformer of LookupFFN layers and keep one of them: the demo's real layer.

    python -m sw.demo.train_lookup [--text FILE] [--steps 1000] [-o sw/demo/data/demo_lookup.npz]

The language model of sw.demo.train_head, on the same text, with every feed-forward network a LookupFFN:
16 tables of 64 rows behind a BH4 projection of blocks of 16. ``--ffn vanilla`` trains it with the
usual network instead and only prints the losses, for comparison.

The output holds what ``sw.run lookup`` takes: ``x`` (512, 64), the tokens of a held-out passage
after the layer's second LayerNorm; ``blocks z_bias tables out_bias skip``; and ``meta``, how it was
made. Tables are kept in half precision: eight bits of them reach the hardware.
"""

import argparse
import json
import platform
import time
from pathlib import Path

import numpy as np
import torch

from model.lookup.config import LookupConfig
from model.lookup.cost import account, vanilla_flop
from sw.demo.train_head import CONTEXT, HERE, LAYERS, WIDTH, read_text, train, vanilla
from sw.io.npz import write_npz
from sw.nn.ffn.lookup import LookupFFN

CFG = LookupConfig(d=WIDTH, h=16, tau=6, block=16)


def lookup():
    """The feed-forward network of every layer."""
    return LookupFFN(CFG.d, CFG.h, CFG.tau, block=CFG.block)


@torch.no_grad()
def extract(model, layer, ids):
    """One layer and its tokens for one passage, and the deviation of z."""
    x = model.embed(ids[None])
    for before in model.layers[:layer]:
        x = before(x)
    kept = model.layers[layer]
    x = kept.norm2(x + kept.attention(kept.norm1(x)))[0]
    arrays = {"x": x, "blocks": kept.ffn.blocks, "z_bias": kept.ffn.z_bias,
              "tables": kept.ffn.tables, "out_bias": kept.ffn.out_bias}
    arrays = {name: value.numpy().astype(np.float32) for name, value in arrays.items()}
    arrays["tables"] = arrays["tables"].astype(np.float16)
    skip = np.array([kept.ffn.skip, kept.ffn.gain])         # coefficients of x and of BH4(x)
    return arrays | {"skip": skip}, kept.ffn.project(x).std().item()


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--text", help="training text; default: the standard library's sources")
    parser.add_argument("--name", help="what the metadata calls the text")
    parser.add_argument("--ffn", choices=("lookup", "vanilla"), default="lookup")
    parser.add_argument("--steps", type=int, default=1000,
                        help="about a third of a second each on one core")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--layer", type=int, default=LAYERS - 1, help="which is kept, from 0")
    parser.add_argument("--vanilla-loss", type=float, metavar="NATS",
                        help="held-out loss with --ffn vanilla, for the metadata")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", default=str(HERE / "data" / "demo_lookup.npz"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    raw = read_text(args.text)
    data = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
    begin = time.monotonic()
    model, loss, held_out = train(data, args.steps, args.batch, args.seed,
                                  lookup if args.ffn == "lookup" else vanilla)
    print(f"{args.ffn}: {loss:.3f} nats a byte, held out {held_out:.3f}; "
          f"{time.monotonic() - begin:.0f} s")
    if args.ffn == "vanilla":
        return
    passage = data[len(data) * 97 // 100:][:CONTEXT].long()
    arrays, spread = extract(model, args.layer, passage)
    meta = {
        "made_by": "python -m sw.demo.train_lookup",
        "model": f"byte-level masked LM, d = {WIDTH}, convolution of 5 bytes, {LAYERS} pre-norm "
                 f"layers of 1 head, every FFN a LookupFFN, {CONTEXT} bytes of context",
        "keys": "x (t, d); blocks (r, 4, n/bs, bs out, bs in); z_bias (h*tau,); tables "
                "(h, 2**tau, d); out_bias (d,); skip (coefficients of x and of BH4(x))",
        "layer": args.layer,
        "tokens": "a held-out passage, unmasked, after the layer's second LayerNorm",
        "text": args.name or ("Python standard library sources" if not args.text else
                              Path(args.text).name),
        "bytes": len(raw), "steps": args.steps, "batch": args.batch,
        "seed": args.seed, "torch": torch.__version__, "python": platform.python_version(),
        "loss_nats_per_byte": round(loss, 3),
        "held_out_nats_per_byte": round(held_out, 3),
        "held_out_with_vanilla_ffn": args.vanilla_loss,
        "flop": account(CFG).flop, "flop_of_vanilla_ffn": vanilla_flop(WIDTH),
        "deviation_of_z": round(spread, 2),
        "passage": bytes(passage.tolist()).decode("utf-8", "replace"),
    }
    write_npz(args.output, {**arrays, "meta": json.dumps(meta)})
    print(json.dumps({k: v for k, v in meta.items() if k != "passage"}, indent=1))


if __name__ == "__main__":
    main()
