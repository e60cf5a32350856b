"""Programs for the systolic array with its PPE row: what to drive when, what must show when.

A :class:`Program` packs the phases of the array back to back, with the bubbles of Fig. 10 and no
others, into a table of port values by cycle. Expected results come from ``model.cta``. The native
tests and the cocotb bench play the same programs.
"""

import numpy as np

from gen.cta.pe import PEControl
from gen.cta.ppe import PPEOp
from gen.cta.ppe_row import PPEControl
from model.cta import linear, lsh, output, score
from model.cta.job import LSHParams
from model.cta.timing import HASH_STAGES, RESULT_STAGES
from verif.port_table import PortTable

__all__ = ["Program", "random_program"]


class Program(PortTable):
    """Phases of the array. ``at`` is the next cycle in which an operand may enter row 0."""

    EVENTS = tuple(f"events__{name}" for name in (
        "sat_hash", "sat_linear", "sat_score", "sat_output", "zero_rows"))

    def __init__(self, cfg, params, shifts, exact=False):
        super().__init__(control=("left__ctl", "left__push", "ppe", "cag__cacc_next",
                                  "cag__cavg_next"), events=self.EVENTS)
        self.cfg, self.params, self.exact, self.at = cfg, params, exact, 4
        self.shifts = shifts
        # The first cycle in which values may be loaded, and whether the next operand takes them.
        self.pushed, self.swaps = 4, False
        self.ended = -cfg.d    # cycle in which the PPE of column 0 saw the last output phase end
        self.static["job__exact", None] = int(exact)
        for name, shift in shifts.items():
            self.static[f"job__{name}", None] = shift
        for c, p in enumerate(params):
            self.static |= {("lsh__inv_w", c): p.inv_w, ("lsh__pre", c): p.pre,
                            ("lsh__post", c): p.post}
            for f, bias in enumerate(p.b):
                self.static["lsh__bias", c * cfg.l + f] = int(bias)

    # -- phases -------------------------------------------------------------------------------

    def load(self, values):
        """Value registers from memory: ``values`` (b, d), a row a column of PEs. They come as early as they
        may, while other operands pass, and are taken with the next operand."""
        self._push([*reversed(values)] if not self.cfg.program.fast else
                   [row for value in reversed(values) for row in (np.zeros_like(value), value)])

    def load_pairs(self, first, second):
        """The values of two slices, (b, d) each: what the PEs get is differences to the column on the left,
        and of the second slice before that of the first."""
        steps = [np.diff(values, axis=0, prepend=0)[::-1] for values in (second, first)]
        self._push([row for both in zip(*steps) for row in both])

    def _push(self, rows):
        b, length = self.cfg.b, len(rows)
        first = max(self.pushed, self.at - length)
        for k, row in enumerate(rows):
            for i, element in enumerate(row):
                self.drive[first + k + i] |= {("left__shadow", i): int(element), ("left__push", i): 1}
        self.at = max(self.at, first + length)
        self.pushed, self.swaps = self.at + b - 1, True

    def hash(self, c, x):
        """LSH c of tokens ``x`` (n, dw): all passes, all slices."""
        cfg, p = self.cfg, self.params[c]
        codes, moved = lsh.hash_codes(cfg, x, p)
        self.total["events__sat_hash"] += moved
        # A drain holds the multiplier for d cycles from ended + 3 on; a sum is d + 2 on its way.
        self.at = max(self.at, self.ended + 1)
        for hpass in range(cfg.passes):
            functions = np.arange(hpass * cfg.b, min(cfg.l, (hpass + 1) * cfg.b))
            a = np.zeros((cfg.b, cfg.dw), dtype=np.int64)
            a[:len(functions)] = p.a[functions]
            for part, last, before in self._slices():
                self.load(a[:, part])
                for t, token in enumerate(x):
                    s = self._operand(token[part], x[t, before] @ a[:, before].T)
                    self._ppe(s, PPEOp.HASH if last else PPEOp.PSUM, lsh=c, hpass=hpass,
                              cols=cfg.b)
                    if last:
                        for j, f in enumerate(functions):
                            self.expect[s + HASH_STAGES + j]["hash", j] = int(codes[t, f])

    def linear(self, op, c, w, bias):
        """Q, K or V of up to b centroids ``c`` (k, dw), an element a cycle. Returns the rows."""
        cfg, live = self.cfg, len(c)
        y, moved = linear.linear(cfg, c, w, bias, self.shifts[f"shift_{op.name.lower()}"])
        self.total["events__sat_linear"] += moved
        # Columns beyond the batch keep what they had: the last rows stand for that.
        c = np.concatenate([c, np.repeat(c[-1:], cfg.b - live, axis=0)])
        for part, last, before in self._slices():
            self.load(c[:, part])
            for t in range(cfg.d):
                partial = c[:, before] @ w[before, t] + (0 if bias is None else bias[t])
                s = self._operand(w[part, t], partial)
                self._ppe(s, op if last else PPEOp.PSUM, cols=live)
                if last:
                    for j in range(live):
                        self.expect[s + 1 + j]["linear", j] = int(y[j, t])
        return y

    def pairs(self, op, c, w, bias):
        """Q, K or V of a group of b dimensions, ``w`` (dw, b), for all rows of ``c`` (k, dw), by fast inner
        products: with each pair of slices goes what it has too much."""
        y, moved = linear.linear(self.cfg, c, w, bias, self.shifts[f"shift_{op.name.lower()}"])
        self.total["events__sat_linear"] += moved
        d = self.cfg.d
        for at in range(0, self.cfg.dw, 2 * d):
            one, two = slice(at, at + d), slice(at + d, at + 2 * d)
            self.load_pairs(w[one].T, w[two].T)
            over = (w[one] * w[two]).sum(axis=0)
            for t, row in enumerate(c):
                begins = row[:at] @ w[:at] + bias - over - int(row[one] @ row[two])
                pair = PEControl(self.cfg).const({"pair": 1}).as_bits()
                s = self._operand(row[one], begins, pair, row[two])
                last = at + 2 * d == self.cfg.dw
                self._ppe(s, op if last else PPEOp.PSUM, cols=self.cfg.b)
                for j in range(self.cfg.b if last else 0):
                    self.expect[s + 1 + j]["linear", j] = int(y[t, j])

    def query(self, c, wq, bq):
        """Q of up to b centroids, which becomes the value through the shortcut."""
        y = self.linear(PPEOp.Q, c, wq, bq)
        self.at += 3
        for i in range(self.cfg.d):
            self.drive[self.at + i]["left__ctl", i] = PEControl(self.cfg).const({"sc": 1}).as_bits()
        return y

    def score(self, q, k, k1):
        """Scores of the queries in the value registers and ``k`` (k1+k2, d)."""
        cfg, live = self.cfg, len(q)
        s, moved = score.scores(cfg, q, k, k1, self.shifts["shift_s"], self.exact)
        self.total["events__sat_score"] += moved
        for t in range(s.shape[1]):
            zero = self.exact and t == k1
            at = self._operand(*((None, None) if zero else (k[t], [0] * cfg.b)))
            self._ppe(at, PPEOp.SCORE, first=t == 0, level2=t >= k1, zero=zero, cols=live)
            for j in range(live):
                self.expect[at + 2 + j]["score", j] = int(s[j, t])

    def output(self, ap, v):
        """O of up to b rows ``ap`` (k0, k) and ``v`` (k, d), drained while the next phase runs."""
        cfg, live, count = self.cfg, len(ap), len(v)
        o, moved, zeros = output.outputs(cfg, ap, v, self.shifts["shift_o"], self.exact)
        self.total["events__sat_output"] += moved
        self.total["events__zero_rows"] += zeros
        # The first product joins a result two cycles later, with the last shift of the drain.
        self.at = max(self.at, self.ended + cfg.d)
        for t in range(count):
            for j in range(cfg.b):
                self.drive[self.at + j]["ap", j] = int(ap[min(j, live - 1), t])
            ctl = PEControl(cfg).const({"df2": 1, "first": t == 0}).as_bits()
            s = self._operand(v[t], None, ctl)
            self._ppe(s, PPEOp.OUT, first=t == 0, last=t == count - 1, cols=live)
        for j in range(cfg.b):
            for q in range(-1, cfg.d + 1):
                valid = j < live and 0 <= q < cfg.d
                self.expect[s + RESULT_STAGES + q + j]["out_valid", j] = int(valid)
                if valid:
                    self.expect[s + RESULT_STAGES + q + j]["out", j] = int(o[j, cfg.d - 1 - q])
        self.ended = s
        return o

    def abandon(self, v):
        """The start of an output phase that a reset cut off: results that nobody drains."""
        for row in v:
            self._operand(row, None, PEControl(self.cfg).const({"df2": 1}).as_bits())

    def borrow(self, cycle, rng):
        """CAG in one cycle: a sum on one borrowed column, a product on the other."""
        cfg, f = self.cfg, self.cfg.fmt
        reciprocal = int(rng.choice(cfg.mean_table))
        self.drive[cycle - 1] |= {("cag__cacc_next", None): 1, ("cag__cavg_next", None): 1}
        self.drive[cycle]["cag__cavg_value", None] = reciprocal
        for i in range(cfg.d):
            x, mean = (int(v) for v in rng.integers(f.token.min, f.token.max + 1, 2))
            acc = int(rng.integers(cfg.csum.min, cfg.csum.max + 1)) // 2
            self.drive[cycle] |= {("cacc_x", i): x, ("cag__cavg_x", i): mean}
            self.drive[cycle + 2]["cag__cacc_acc", i] = acc
            self.expect[cycle + 3] |= {("cag__cacc_sum", i): acc + x,
                                       ("cag__cavg_sum", i): mean * reciprocal}

    # -- parts --------------------------------------------------------------------------------

    def _slices(self):
        """Slices of the token dimension: part, whether it is the last, all before it."""
        cfg = self.cfg
        for at in range(0, cfg.dw, cfg.d):
            yield slice(at, at + cfg.d), at + cfg.d == cfg.dw, slice(0, at)

    def _operand(self, x, inject, ctl=0, y=None):
        """One operand a row, or one of each of two slices, from the next cycle on; the cycle in which column
        0 shows its sum."""
        cfg = self.cfg
        for i, element in enumerate(() if x is None else x):
            self.drive[self.at + i]["left__x", i] = int(element)
            if y is not None:
                self.drive[self.at + i]["left__y", i] = int(y[i])
            control = ctl | (PEControl(cfg).const({"swap": 1}).as_bits() if self.swaps else 0)
            if control:
                self.drive[self.at + i]["left__ctl", i] = control
        self.swaps = self.swaps and x is None
        for j, partial in enumerate(() if inject is None else inject):
            self.drive[self.at + 2 + j]["inject", j] = int(partial)
        self.at += 1
        return self.at - 1 + cfg.d + 2

    def _ppe(self, cycle, op, **fields):
        layout = PPEControl(self.cfg)
        self.drive[cycle - 1]["ppe", None] = layout.const({"op": op, **fields}).as_bits()


def random_program(cfg, rng, exact=False):
    """A small head in the order of Table I: hashes, a batch of keys, three of queries; a hash."""
    f, d = cfg.fmt, cfg.d

    def raw(fmt, *size, share=1.0):
        return rng.integers(int(fmt.min * share), int(fmt.max * share) + 1, size)

    # Shifts that bring most values into the format and let some saturate.
    spread = cfg.dw.bit_length() // 2
    params = tuple(LSHParams(raw(f.lsh_a, cfg.l, cfg.dw), raw(f.bias, cfg.l),
                             int(rng.integers(1, f.multiplier.max + 1)),
                             int(rng.integers(3, 8)) + spread, int(rng.integers(18, 24)))
                   for _ in range(3))
    shifts = {"shift_q": 9 + spread, "shift_k": 10 + spread, "shift_v": 10 + spread,
              "shift_s": 6 + int(rng.integers(0, 3)), "shift_o": int(rng.integers(-1, 3))}
    program = Program(cfg, params, shifts, exact)

    tokens = raw(f.token, int(rng.integers(2, 9)), cfg.dw)
    program.abandon(raw(f.qkv, 2, d))
    lent = program.at + d
    for c in (1, 0, 2):
        program.hash(c, tokens)
    for cycle in range(lent, program.at - cfg.b):
        if rng.random() < 0.7:
            program.borrow(cycle, rng)
    program.at += int(rng.integers(0, 3))

    if cfg.program.fast:
        for op in (PPEOp.K, PPEOp.Q):
            c, w = raw(f.centroid, int(rng.integers(1, 7)), cfg.dw), raw(f.weight, cfg.dw, cfg.b)
            for operand, fmt in ((c, f.centroid), (w, f.weight)):       # and all corners
                ends = rng.random(operand.shape) < 0.3
                operand[ends] = rng.choice((fmt.min, fmt.max), int(ends.sum()))
            program.pairs(op, c, w, raw(f.bias, cfg.b))
    keys = raw(f.centroid, int(rng.integers(1, cfg.b + 1)), cfg.dw)
    program.linear(PPEOp.K, keys, raw(f.weight, cfg.dw, d), None)
    program.linear(PPEOp.V, keys, raw(f.weight, cfg.dw, d), raw(f.bias, d))

    wq, bq = raw(f.weight, cfg.dw, d), raw(f.bias, d)
    k1, k2 = int(rng.integers(1, 6)), 0 if exact else int(rng.integers(1, 6))
    k, v = raw(f.qkv, k1 + k2, d), raw(f.qkv, k1 + k2, d)
    waiting = []
    for batch in range(3):
        live = cfg.b if batch == 0 else int(rng.integers(1, cfg.b + 1))
        q = program.query(raw(f.centroid, live, cfg.dw), wq, bq)
        program.score(q, k, k1)
        ap = raw(f.ap, live, k1 + k2)
        ap[rng.random(live) < 0.2] = 0
        if waiting:
            program.output(waiting.pop(), v)
        waiting.append(ap)
    program.output(waiting.pop(), v)
    program.hash(1, tokens)
    return program
