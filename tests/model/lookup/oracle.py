"""What each stage computes, said again: Python integers and Fractions, one value at a time.

Written from docs/lookup.md and the paper, not from ``model.lookup``; it shares with it the
configuration (formats, tables) and nothing else. Slow.
"""

from fractions import Fraction
from math import floor

from tests.model.cta.oracle import Counter, dot, half_up

KINDS = ("BLOCK", "HADAMARD", "Z", "SCORE", "OUTPUT")


def sylvester(i, k):
    """Element of the Hadamard matrix in natural order."""
    return -1 if bin(i & k).count("1") % 2 else 1


def hadamard(u):
    return [sum(sylvester(i, k) * u[i] for i in range(len(u))) for k in range(len(u))]


def padded_size(d):
    n = 1
    while n < d:
        n *= 2
    return n


def project(cfg, x, weights, gain, skip, shift_skip):
    """z, and the events by kind, of a list of tokens; all stage values by (copy, stage)."""
    events = {kind: Counter() for kind in KINDS[:3]}
    z, blocks, hadamards = [], {}, {}
    n, bs = padded_size(cfg.d), cfg.block
    for token in x:
        if cfg.projection == "dense":
            total = [half_up(dot(row, token), int(weights.shift_z[0])) for row in weights.w]
        else:
            start, total = list(token) + [0] * (n - cfg.d), []
            for c in range(len(weights.w)):
                y = start
                for j in range(4):
                    u = []
                    for b in range(n // bs):
                        for out in range(bs):
                            acc = dot(weights.w[c][j][b][out], y[b * bs:(b + 1) * bs])
                            acc = half_up(acc, int(weights.shift_block[c][j]))
                            u.append(events["BLOCK"].hold(acc, cfg.fmt.stage))
                    y = [events["HADAMARD"].hold(half_up(v, int(weights.shift_hadamard[c][j])),
                                                 cfg.fmt.stage) for v in hadamard(u)]
                    blocks.setdefault((c, j), []).append(u)
                    hadamards.setdefault((c, j), []).append(y)
                total += [half_up(gain * v, int(weights.shift_z[c])) + half_up(skip * s, shift_skip)
                          for v, s in zip(y, start, strict=True)]
        drop = cfg.fmt.z_bias.frac - cfg.fmt.z.frac
        z.append([events["Z"].hold(half_up(total[q] + int(weights.z_bias[q]), drop), cfg.fmt.z)
                  for q in range(cfg.h * cfg.tau)])
    return z, {kind: count.moved for kind, count in events.items()}, blocks, hadamards


def flips(cfg):
    """Which bit each entry of N(z) flips; None is none."""
    return [None] + (list(range(cfg.tau)) if cfg.neighbours else [])


def codes(cfg, z):
    def code(part, flip):
        bits = ["1" if (v > 0) != (j == flip) else "0" for j, v in enumerate(part)]
        return int("".join(bits), 2)

    return [[[code(token[k * cfg.tau:(k + 1) * cfg.tau], flip) for flip in flips(cfg)]
             for k in range(cfg.h)] for token in z]


def score(cfg, part, flip, shift_s, count):
    """The weight of one row from the tau soft bits of its table."""
    one = 2**cfg.fmt.z.frac
    log = 0
    for v in part:
        step = floor(Fraction(abs(v), one) * 32)     # 128 entries for |z| below 4
        log += int(cfg.log_table[step]) if step < 128 else 0
    if flip is not None:
        log += half_up(abs(part[flip]) * cfg.flip_factor, cfg.fmt.z.frac + 8 - 10)
    e = -half_up(log, 4)                             # 6 fraction bits
    power = int(cfg.exp_table[e % 64]) * Fraction(2)**(e // 64)
    inner = one
    if cfg.gelu_scaled:
        inner = sum(-abs(v) if j == flip else abs(v) for j, v in enumerate(part))
    return count.hold(floor(inner * power / 2**int(shift_s) + Fraction(1, 2)), cfg.score)


def scores(cfg, z, shift_s):
    count = Counter()
    result = [[[score(cfg, token[k * cfg.tau:(k + 1) * cfg.tau], flip, shift_s[k], count)
                for flip in flips(cfg)] for k in range(cfg.h)] for token in z]
    return result, count.moved


def gather(cfg, code, s, tables, out_bias, shift_y, residual):
    """The accumulators without the bias, y, and how many of y saturated."""
    count = Counter()
    accs, ys = [], []
    for t in range(len(code)):
        acc = [sum(s[t][k][e] * int(tables[k][code[t][k][e]][i])
                   for k in range(cfg.h) for e in range(len(code[t][k]))) for i in range(cfg.d)]
        y = [half_up(acc[i] + int(out_bias[i]), shift_y)
             + (0 if residual is None else int(residual[t][i])) for i in range(cfg.d)]
        accs.append(acc)
        ys.append([count.hold(v, cfg.fmt.output) for v in y])
    return accs, ys, count.moved
