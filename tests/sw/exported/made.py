"""Layers made to order, from the random jobs of the golden models; manifests rewritten."""

import json
from dataclasses import replace

import numpy as np

from model.cta import stimulus as cta
from model.cta.config import CTAConfig
from model.cta.job import Mode
from model.cta.quantise import Points
from model.lookup import stimulus as lookup
from model.lookup.config import LookupConfig
from sw.exported import manifest
from sw.exported.layer import AttentionLayer, FFNLayer

CTA = {
    "one slice": CTAConfig(b=4, d=8, l=3, n=16),
    # As "narrow" and, below, "plain" and "neighbours" of tests/rtl: one simulator for both.
    "T = 3, l > b": CTAConfig(b=2, d=8, dw=24, l=5, n=48, pag=2, sets=2, lanes=4, digit=4),
    "l < b, b > lanes": CTAConfig(b=16, d=16, dw=32, l=2, n=20, sets=4),
}
LOOKUP = {
    "bh4": LookupConfig(d=16, h=4, tau=3, block=4, multipliers=8, lanes=8, batch=3),
    "copies, narrow beats": LookupConfig(d=16, h=9, tau=4, block=4, multipliers=4, lanes=2),
    "dense": LookupConfig(d=40, h=3, tau=5, block=16, projection="dense", multipliers=64, lanes=16),
    "internal, two host beats": LookupConfig(d=40, h=3, tau=2, block=8, multipliers=8, lanes=32,
                                             tables="internal"),
    "internal, part of a beat": LookupConfig(d=24, h=2, tau=3, block=8, multipliers=32, lanes=4,
                                             tables="internal", residual=True),
    "neighbours, residual": LookupConfig(d=40, h=6, tau=4, block=16, multipliers=64, lanes=16,
                                         batch=5, neighbours=True, residual=True),
    "least": LookupConfig(d=8, h=1, tau=1, block=4, multipliers=1, lanes=1, gelu_scaled=False),
}


def attention_layer(cfg, rng, heads=2, mode=Mode.CTA) -> AttentionLayer:
    """A layer with random weights, shifts that fit them, and points that fit the shifts."""
    made = [cta.random_job(cfg, rng, cfg.n) for _ in range(heads)]
    lsh, points, shifts = made[0][0].lsh, [], []
    token = int(rng.integers(0, 12))
    centroid = token - cfg.residual_shift
    for _, job in made:
        wq, wk, wv = (int(v) for v in rng.integers(5, 12, 3))
        v = centroid + wv - job.shift_v
        points.append(Points(token, centroid, 9, wq, wk, wv, centroid + wq - job.shift_q,
                             centroid + wk - job.shift_k, v, v - job.shift_o))
        shifts.append(job.shifts)
    return AttentionLayer(cfg, mode, tuple(replace(weights, lsh=lsh) for weights, _ in made),
                          tuple(points), tuple(shifts))


def ffn_layer(cfg, rng) -> FFNLayer:
    """A layer with random weights."""
    weights, job = lookup.random_job(cfg, rng, 4)
    point_x = int(rng.integers(0, 12))
    return FFNLayer(cfg, weights, job.gain, job.skip, job.shift_skip, job.shift_y, point_x,
                    (point_x + int(rng.integers(1, 12))) % 12)


def layers(seed=1) -> dict:
    """One layer of each configuration, by a name as models have them."""
    rng = np.random.default_rng(seed)
    made = {f"blocks.{at}.attention.heads": attention_layer(cfg, rng, 1 + at)
            for at, cfg in enumerate(CTA.values())}
    made["blocks.0.exact"] = attention_layer(CTA["one slice"], rng, 2, Mode.EXACT)
    return made | {f"blocks.{at}.ffn": ffn_layer(cfg, rng) for at, cfg in enumerate(LOOKUP.values())}


def rewrite(folder, change, seal=True):
    """Change the manifest as a forger would: with the right hash, if ``seal``."""
    path = folder / manifest.FILE
    data = json.loads(path.read_text())
    change(data)
    if seal:
        data["sha256"] = manifest.sha256(manifest._canonical(data))
    path.write_text(json.dumps(data))
