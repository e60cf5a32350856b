"""Programs for the PPE row alone: any sums, any shifts, drains beside other phases."""

import numpy as np

from gen.cta.ppe import PPEOp
from gen.cta.ppe_row import PPEControl
from model.cta import linear, lsh, output, score
from model.cta.job import LSHParams
from model.cta.timing import HASH_STAGES, RESULT_STAGES
from verif.port_table import PortTable

__all__ = ["Program", "random_program"]


class Program(PortTable):
    """Phases of the row. ``at`` is the next cycle free for ``ctl``: S of the contract.

    The model is asked about accumulators by operands that make it form them: a unit matrix.
    """

    EVENTS = tuple(f"events__{name}" for name in (
        "sat_hash", "sat_linear", "sat_score", "sat_output", "zero_rows"))

    def __init__(self, cfg):
        super().__init__(control=("ctl",), events=self.EVENTS)
        self.cfg, self.layout, self.at, self.ended = cfg, PPEControl(cfg), 4, -cfg.d

    def set(self, params, shifts, exact):
        """New job-static inputs, from the end of all that goes on; ``hold`` drives them."""
        cfg = self.cfg
        self.at = max(self.at, self.ended + cfg.d + RESULT_STAGES) + cfg.b + 2
        self.params, self.shifts, self.exact, self._since = params, shifts, exact, self.at - 2
        self._static = {("job__exact", None): int(exact)}
        self._static |= {(f"job__{name}", None): shift for name, shift in shifts.items()}
        for c, p in enumerate(params):
            self._static |= {("lsh__inv_w", c): p.inv_w, ("lsh__pre", c): p.pre,
                             ("lsh__post", c): p.post}
            self._static |= {("lsh__bias", c * cfg.l + f): int(b) for f, b in enumerate(p.b)}

    def hold(self):
        """Drive the job-static inputs from the last ``set`` to the end of what goes on."""
        end = max(self.at, self.ended + self.cfg.d + RESULT_STAGES) + self.cfg.b
        for cycle in range(self._since, end):
            self.drive[cycle] |= self._static

    def hash(self, c, sums):
        """LSH c of accumulators ``sums`` (n, l)."""
        cfg, p = self.cfg, self.params[c]
        unit = LSHParams(np.eye(cfg.l, dtype=np.int64), p.b, p.inv_w, p.pre, p.post)
        codes, moved = lsh.hash_codes(cfg, sums, unit)
        self.total["events__sat_hash"] += moved
        self.at = max(self.at, self.ended + cfg.d + 3)
        for hpass in range(cfg.passes):
            here = slice(hpass * cfg.b, (hpass + 1) * cfg.b)
            for row, code in zip(sums[:, here], codes[:, here]):
                s = self._step(row, op=PPEOp.HASH, lsh=c, hpass=hpass, cols=cfg.b)
                for j, value in enumerate(code):
                    self.expect[s + HASH_STAGES + j]["hash", j] = int(value)

    def linear(self, op, sums):
        """Q, K or V from accumulators ``sums`` (d, live)."""
        unit = np.eye(len(sums), dtype=np.int64)
        y, moved = linear.linear(self.cfg, sums.T, unit, None,
                                 self.shifts[f"shift_{op.name.lower()}"])
        self.total["events__sat_linear"] += moved
        for row, out in zip(sums, y.T):
            s = self._step(row, op=op, cols=len(row))
            for j, value in enumerate(out):
                self.expect[s + 1 + j]["linear", j] = int(value)

    def score(self, sums, k1):
        """Scores from accumulators ``sums`` (k1 + k2, live); exact mode uses the first k1."""
        unit = np.eye(len(sums), dtype=np.int64)
        out, moved = score.scores(self.cfg, sums.T, unit, k1, self.shifts["shift_s"], self.exact)
        self.total["events__sat_score"] += moved
        for t in range(out.shape[1]):
            zero = self.exact and t == k1
            s = self._step(None if zero else sums[t], op=PPEOp.SCORE, first=t == 0,
                           level2=t >= k1, zero=zero, cols=len(out))
            for j in range(len(out)):
                self.expect[s + 2 + j]["score", j] = int(out[j, t])

    def output(self, ap, v):
        """O from probabilities ``ap`` (live, k) and ``v`` (k, d); ``res`` brings their products."""
        cfg, live = self.cfg, len(ap)
        o, moved, zeros = output.outputs(cfg, ap, v, self.shifts["shift_o"], self.exact)
        self.total["events__sat_output"] += moved
        self.total["events__zero_rows"] += zeros
        self.at = max(self.at, self.ended + cfg.d + 3)
        for t, column in enumerate(ap.T):
            for j, share in enumerate(column):
                self.drive[self.at - 2 + j]["ap_top", j] = int(share)
            s = self._step(None, op=PPEOp.OUT, first=t == 0, last=t == len(v) - 1, cols=live)
        results = ap @ v
        for j in range(cfg.b):
            for q in range(-1, cfg.d + 1):
                valid = 0 <= q < cfg.d
                self.expect[s + 3 + q + j]["shift", j] = int(valid)
                self.expect[s + RESULT_STAGES + q + j]["out_valid", j] = int(valid and j < live)
                if valid and j < live:
                    self.drive[s + 3 + q + j]["res", j] = int(results[j, cfg.d - 1 - q])
                    self.expect[s + RESULT_STAGES + q + j]["out", j] = int(o[j, cfg.d - 1 - q])
        self.ended = s

    def _step(self, sums, **fields):
        for j, value in enumerate(() if sums is None else sums):
            self.drive[self.at + j]["sum", j] = int(value)
        self.drive[self.at - 1]["ctl", None] = self.layout.const(fields).as_bits()
        self.at += 1
        return self.at - 1


def random_program(cfg, rng, jobs=32):
    """Jobs with shifts that together take every value, sums of every magnitude."""
    f, d = cfg.fmt, cfg.d
    program = Program(cfg)

    def sums(*size):
        """Signed numbers of all magnitudes, with the ends of the format among them."""
        raw = rng.integers(cfg.acc.min, cfg.acc.max + 1, size)
        raw >>= rng.integers(0, cfg.acc.width, size)
        end = rng.random(size)
        return np.where(end < 0.05, cfg.acc.min, np.where(end > 0.95, cfg.acc.max, raw))

    def raw(fmt, *size):
        return rng.integers(fmt.min, fmt.max + 1, size)

    for job in range(jobs):
        params = tuple(LSHParams(None, raw(f.bias, cfg.l), int(raw(f.multiplier)),
                                 int(rng.integers(0, 32)), (job + 11 * c) % 32) for c in range(3))
        names = ("shift_q", "shift_k", "shift_v", "shift_s")
        shifts = {name: (job + 7 * k) % 32 for k, name in enumerate(names)}
        program.set(params, shifts | {"shift_o": 5 * job % 16 - 8}, exact=job % 5 == 4)
        live = int(rng.integers(1, cfg.b + 1))
        for c in rng.permutation(3):
            program.hash(int(c), sums(3, cfg.l))
        for _ in range(2):
            count, k1 = int(rng.integers(1, 5)), int(rng.integers(1, 4))
            ap = raw(f.ap, live, count) >> rng.integers(0, 12, (live, count))
            v = np.where(rng.random((count, d)) < 0.2, f.qkv.min, raw(f.qkv, count, d))
            program.output(ap, v)
            program.linear(PPEOp(rng.choice([PPEOp.Q.value, PPEOp.K.value, PPEOp.V.value])),
                           sums(3, live))
            program.score(sums(k1 + (0 if program.exact else 3), live), k1)
        program.hold()
    return program
