"""The worked examples of *How it works*, computed by the golden models.

``python -m docs.site.example cta`` follows eight tokens through one attention head,
``python -m docs.site.example lookup`` one token through a LookupFFN layer. The pages show what is
printed, and ``tests/docs/test_pages.py`` holds one against the other.
"""

import argparse
import sys

import numpy as np

from model.cta import head
from model.cta.config import CTAConfig
from model.cta.quantise import quantise
from model.cta.reference import Operands, attention_exact
from model.lookup import layer
from model.lookup import quantise as lookup
from model.lookup.config import LookupConfig
from model.lookup.reference import forward, synthetic

__all__ = ["CTA", "LOOKUP", "WORDS", "attention", "feed_forward", "main"]

CTA = CTAConfig(b=4, d=8, l=2, n=8)
LOOKUP = LookupConfig(d=8, h=2, tau=3, block=4, multipliers=8, lanes=8, batch=2)

WORDS = ("the", "cat", "sat", "on", "the", "mat", "and", "slept")
# Two numbers a token, so that a token is a point on paper. The other six of d = 8 are zero.
POINTS = (
    (0.3, 0.4),
    (1.6, 1.7),
    (2.3, 0.4),
    (0.5, 0.3),
    (0.35, 0.6),
    (1.4, 1.5),
    (0.4, 0.2),
    (2.6, 0.7),
)


def attention() -> dict:
    """The tensors between the stages of the head in real numbers, the first two elements of each
    vector; clusters and counts as they are."""
    x = np.zeros((8, 8))
    x[:, :2] = POINTS
    unit = np.eye(8)
    a = np.stack([unit[:2]] * 3)
    real = Operands(
        x,
        x,
        2 * unit,
        2 * unit,
        unit,
        np.zeros(8),
        np.zeros(8),
        a,
        np.array([[0, 0], [0, 0], [0.16, 0.16]]),
        np.array([1.0, 1.0, 0.32]),
    )
    q = quantise(CTA, real)
    t = head.trace(CTA, q.weights, q.job)
    at = q.points
    shown = {
        name: t[name]
        for name in ("codes0", "codes1", "codes2", "ct0", "ct1", "ct2", "k0", "k1", "k2")
    }
    for name, fmt, point in (
        ("residual", CTA.fmt.token, at.token),
        ("c0", CTA.fmt.centroid, at.centroid),
        ("c1", CTA.fmt.centroid, at.centroid),
        ("c2", CTA.fmt.centroid, at.centroid),
        ("q", CTA.fmt.qkv, at.q),
        ("k", CTA.fmt.qkv, at.k),
        ("v", CTA.fmt.qkv, at.v),
        ("o", CTA.fmt.output, at.o),
    ):
        shown[name] = fmt.real(t[name], point)[:, :2]
    banks = t["banks"].sum(0)
    return {
        **shown,
        "x": CTA.fmt.token.real(q.job.xkv, at.token)[:, :2],
        "s": CTA.fmt.score.real(t["s"], CTA.fmt.score.frac),
        "ap": CTA.fmt.prob.real(banks, CTA.fmt.prob.frac),
        "exact": attention_exact(*real.attention)[:, :2],
    }


def feed_forward() -> dict:
    """The tensors between the stages of the layer for one token, in real numbers; the sign bits,
    codes and rows as they are."""
    real = synthetic(LOOKUP, 1, seed=3, spread=2.0)
    q = lookup.quantise(LOOKUP, real)
    weights, points = q.weights, q.points
    t = layer.trace(LOOKUP, weights, q.job)
    f, real_of = LOOKUP.fmt, lambda fmt, raw, point: fmt.real(np.asarray(raw), point)
    z = real_of(f.z, t["z"][0], f.z.frac)
    codes = t["codes"][0, :, 0]
    scores = [
        float(t["scores"][0, k, 0]) / 2.0 ** int(points.acc - points.table[k])
        for k in range(LOOKUP.h)
    ]
    tables = [
        real_of(f.table, weights.tables[k, codes[k]], int(points.table[k])) for k in range(LOOKUP.h)
    ]
    stages = [
        (
            real_of(f.stage, t["blocks"][0, j, 0], int(points.product[0, j])),
            real_of(f.stage, t["hadamards"][0, j, 0], int(points.transform[0, j])),
        )
        for j in range(4)
    ]
    return {
        "x": real_of(f.x, q.job.x[0], points.x),
        "stages": stages,
        "z": z,
        "bits": (z > 0).astype(int).reshape(LOOKUP.h, LOOKUP.tau),
        "codes": codes,
        "scores": scores,
        "rows": t["rows"][0, :, 0],
        "tables": tables,
        "bias": real.out_bias,
        "y": real_of(f.output, t["y"][0], points.y),
        "real": forward(LOOKUP, real)[0],
    }


def _numbers(values, digits=2):
    return " ".join(f"{value:{digits + 4}.{digits}f}" for value in np.atleast_1d(values))


def print_attention():
    """The example of the CTA pages."""
    t = attention()
    print(
        "token      x             query cluster   key bucket   cluster   "
        "residual       its bucket   cluster"
    )
    for j, word in enumerate(WORDS):
        print(
            f"{j} {word:6} {_numbers(t['x'][j])}   {t['ct0'][j]:8}         "
            f"({t['codes1'][j, 0]:2},{t['codes1'][j, 1]:2}) {t['ct1'][j]:8}    "
            f"{_numbers(t['residual'][j])}"
            f"   ({t['codes2'][j, 0]:2},{t['codes2'][j, 1]:2}) {t['ct2'][j]:8}"
        )
    print(f"\nclusters: k0 = {t['k0']}, k1 = {t['k1']}, k2 = {t['k2']}")
    for name, what in (
        ("c0", "mean of the queries"),
        ("c1", "mean of the keys"),
        ("c2", "mean of the residuals"),
    ):
        for i, c in enumerate(t[name]):
            print(f"{name.upper()}[{i}]  {_numbers(c)}   {what if i == 0 else ''}".rstrip())
    print("\nscores, a row a compressed query: level 1, then level 2 less the largest of level 1")
    for row in t["s"]:
        print(_numbers(row[: t["k1"]]), " |", _numbers(row[t["k1"] :]))
    print("\nprobabilities summed by cluster, in the same places")
    for row in t["ap"]:
        print(_numbers(row[: t["k1"]], 3), " |", _numbers(row[t["k1"] :], 3))
    print("\ntoken      output        exact attention")
    for j, word in enumerate(WORDS):
        print(f"{j} {word:6} {_numbers(t['o'][j])} {_numbers(t['exact'][j])}")


def print_feed_forward():
    """The example of the LookupFFN pages."""
    t = feed_forward()
    print("x          ", _numbers(t["x"]))
    for j, (block, transformed) in enumerate(t["stages"]):
        print(f"blocks {j}   ", _numbers(block))
        print(f"Hadamard {j} ", _numbers(transformed))
    print("z          ", _numbers(t["z"]))
    print()
    for k in range(LOOKUP.h):
        bits = "".join(map(str, t["bits"][k]))
        print(
            f"table {k}: signs {bits}, code {t['codes'][k]}, row {t['rows'][k]} of memory, "
            f"weight {t['scores'][k]:.3f}"
        )
        print("  its row  ", _numbers(t["tables"][k], 3))
    print("\nbias       ", _numbers(t["bias"], 3))
    print("y          ", _numbers(t["y"], 3))
    print("in double  ", _numbers(t["real"], 3))


def main(argv=None) -> int:
    """Print an example; returns the exit status."""
    parser = argparse.ArgumentParser(prog="docs.site.example", description=__doc__.split("\n")[0])
    parser.add_argument("engine", choices=("cta", "lookup"))
    {"cta": print_attention, "lookup": print_feed_forward}[parser.parse_args(argv).engine]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
