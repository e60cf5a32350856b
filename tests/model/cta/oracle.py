"""What each stage computes, said again: Python integers and Fractions, one value at a time.

Written from docs/architecture.md and the papers, not from ``model.cta``; it shares with it the
configuration (formats, tables) and nothing else. Slow.
"""

from fractions import Fraction
from math import floor


def floor_shift(value, shift):
    return floor(Fraction(value) / Fraction(2)**shift)


def half_up(value, shift):
    return floor(Fraction(value) / Fraction(2)**shift + Fraction(1, 2))


class Counter:
    """Counts the values that a format moved."""

    def __init__(self):
        self.moved = 0

    def hold(self, value, fmt):
        held = max(fmt.min, min(fmt.max, value))
        self.moved += held != value
        return held


def dot(a, b):
    return sum(int(x) * int(y) for x, y in zip(a, b, strict=True))


def ceil_log2(count):
    s = 0
    while 2**s < count:
        s += 1
    return s


def hash_codes(cfg, x, p):
    count = Counter()
    codes = []
    for row in x:
        code = []
        for a, b in zip(p.a, p.b, strict=True):
            t = count.hold(floor_shift(dot(a, row) + int(b), p.pre), cfg.fmt.ppe)
            code.append(count.hold(floor_shift(t * p.inv_w, p.post), cfg.fmt.hash))
        codes.append(code)
    return codes, count.moved


def cluster_table(cfg, codes, capacity, garbage):
    """The tree as memories: one row a node, a fresh bit instead of clearing.

    ``garbage(node, slot)`` gives what a slot holds from an earlier clustering; it must not show.
    """
    fan, depth = 2**cfg.digit, cfg.l * cfg.fmt.hash.width // cfg.digit
    memory = [[[garbage(node, slot) for slot in range(fan)] for node in range(capacity)]
              for _ in range(depth)]
    counts = [0] * depth
    ct, overflow = [], 0
    for token, code in enumerate(codes):
        bits = "".join(format(int(h) % 2**cfg.fmt.hash.width, f"0{cfg.fmt.hash.width}b")
                       for h in code)
        node, fresh, overflowed = 0, token == 0, False
        for layer in range(depth):
            slot = int(bits[layer * cfg.digit:(layer + 1) * cfg.digit], 2)
            row = [(False, None)] * fan if fresh else memory[layer][node]
            made, child = row[slot]
            fresh = False
            if not made:
                child = min(counts[layer], capacity - 1)
                alias = counts[layer] == capacity
                overflowed |= alias
                counts[layer] = min(counts[layer] + 1, capacity)
                row = list(row)
                row[slot] = (True, child)
                memory[layer][node] = row
                fresh = not alias
            node = child
        ct.append(node)
        overflow += overflowed
    return ct, counts[-1], overflow


def residuals(cfg, x, c1, ct1):
    count = Counter()
    scale = 2**(cfg.fmt.token.frac - cfg.fmt.centroid.frac)
    return [[count.hold(int(v) - int(c) * scale, cfg.fmt.token)
             for v, c in zip(row, c1[cluster], strict=True)]
            for row, cluster in zip(x, ct1, strict=True)], count.moved


def centroids(cfg, x, ct, k):
    count = Counter()
    rows = []
    for cluster in range(k):
        members = [row for row, at in zip(x, ct, strict=True) if at == cluster]
        row = []
        for lane in range(cfg.dw):
            total = sum(int(member[lane]) for member in members)
            t = half_up(total, ceil_log2(len(members)))
            row.append(count.hold(half_up(t * int(cfg.mean_table[len(members)]),
                                          10 + cfg.fmt.token.frac - cfg.fmt.centroid.frac),
                                  cfg.fmt.centroid))
        rows.append(row)
    return rows, count.moved


def linear(cfg, c, w, bias, shift):
    count = Counter()
    columns = [[row[j] for row in w] for j in range(cfg.d)]
    return [[count.hold(half_up(dot(row, column) + (0 if bias is None else int(bias[j])), shift),
                        cfg.fmt.qkv) for j, column in enumerate(columns)]
            for row in c], count.moved


def scores(cfg, q, k, k1, shift_s, exact=False):
    count = Counter()
    rows = []
    for query in q:
        row = [count.hold(half_up(dot(query, key), shift_s), cfg.fmt.score) for key in k]
        first, second = row[:k1], [0] if exact else row[k1:]
        maximum = max(first)
        rows.append(first + [count.hold(s - maximum, cfg.fmt.score) for s in second])
    return rows, count.moved


def exp2(cfg, e):
    i, f = e >> cfg.fmt.score.frac, e % 2**cfg.fmt.score.frac
    # A table entry is 1.11; the probability has prob.frac fraction bits.
    return half_up(int(cfg.exp_table[f]), 11 - cfg.fmt.prob.frac - i)


def aggregate(cfg, s, ct1, ct2, k1, exact=False):
    count = Counter()
    banks = [[], []]
    for row in s:
        width = k1 if exact else len(row)
        sums = [[0] * width, [0] * width]
        for token, (x1, x2) in enumerate(zip(ct1, ct2, strict=True)):
            p = count.hold(exp2(cfg, int(row[x1]) + int(row[k1 + x2])), cfg.fmt.prob)
            sums[token % 2][x1] += p
            if not exact:
                sums[token % 2][k1 + x2] += p
        banks[0].append(sums[0])
        banks[1].append(sums[1])
    return banks, count.moved


def normalise(cfg, banks):
    rows = []
    for even, odd in zip(*banks, strict=True):
        sh = max(0, int(max(max(even), max(odd))).bit_length() + 1 - cfg.fmt.ap.width)
        rows.append([min(half_up(int(a) + int(b), sh), cfg.fmt.ap.max)
                     for a, b in zip(even, odd, strict=True)])
    return rows


def outputs(cfg, ap, v, shift_o, exact=False):
    count = Counter()
    rows, zero_rows = [], 0
    for weights in ap:
        total = sum(int(a) for a in weights)
        if total == 0:
            zero_rows += 1
            rows.append([0] * cfg.d)
            continue
        e = total.bit_length() - 1
        below = bin(total)[3:] + "0" * 8      # the bits below the leading one, then zeros
        recip = int(cfg.recip_table[int(below[:8], 2)])
        row = []
        for j in range(cfg.d):
            t = count.hold(floor_shift(dot(weights, [r[j] for r in v]) * 2**5, e), cfg.fmt.ppe)
            row.append(count.hold(half_up(t * recip, 17 + shift_o - (0 if exact else 1)),
                                  cfg.fmt.output))
        rows.append(row)
    return rows, count.moved, zero_rows
