"""Programs for PAG: scores, walks and read-outs of batches, as close as the contract allows."""

from dataclasses import dataclass

import numpy as np

from gen.cta.probability import APRead
from model.cta import probability
from model.cta.timing import ap_clear_delay, ap_latency, cs_latency, pag_cycles
from verif.port_table import PortTable

__all__ = ["Batch", "Program", "random_batch", "overlapped", "de_bruijn"]

@dataclass
class Batch:
    """One batch of queries: scores (cols, k1+k2) and the cluster tables."""

    scores: np.ndarray
    ct1: np.ndarray
    ct2: np.ndarray
    k1: int
    exact: bool = False
    gaps: np.ndarray | None = None     # idle cycles before each word


def random_batch(rng, cfg, *, n=None, cols=None, ct1=None, ct2=None, exact=False, gaps=False,
                 spread=900):
    """A batch with scores mostly within ``spread`` of 0 and some anywhere in the format."""
    n = n or (len(ct1) if ct1 is not None else int(rng.integers(1, cfg.n + 1)))
    cols = cols or int(rng.integers(1, cfg.b + 1))
    if exact:
        k1, k2, ct1, ct2 = n, 1, np.arange(n), np.zeros(n, dtype=np.int64)
    else:
        ct1 = rng.integers(cfg.k1, size=n) if ct1 is None else np.asarray(ct1)
        ct2 = rng.integers(cfg.k2, size=n) if ct2 is None else np.asarray(ct2)
        k1, k2 = int(ct1.max()) + 1, int(ct2.max()) + 1
    scores = rng.integers(-spread, spread, size=(cols, k1 + k2))
    wild = rng.random(scores.shape) < 0.1
    scores[wild] = rng.integers(cfg.fmt.score.min, cfg.fmt.score.max + 1, size=wild.sum())
    return Batch(scores, ct1, ct2, k1, exact,
                 rng.integers(0, 3, size=k1 + k2) if gaps else None)


def de_bruijn(symbols, order):
    """A sequence that holds each word of ``order`` symbols once."""
    sequence, seen = [0] * order, {(0,) * order}
    while True:
        for symbol in reversed(range(symbols)):
            word = (*sequence[len(sequence) - order + 1:], symbol)
            if word not in seen:
                seen.add(word)
                sequence.append(symbol)
                break
        else:
            return np.array(sequence)


class Program(PortTable):
    """Batches in PAG; ``ap`` and the outputs of :attr:`QUIET` are 0 where nothing else is said.

    Values come from ``model.cta.probability``, cycles from ``model.cta.timing``.
    """

    QUIET = ("cs_done", "done", "ct__en", "clear_busy")

    def __init__(self, cfg):
        super().__init__(control=("flags__valid", "start", "clear", "read"), events=("sat_prob",))
        self.cfg = cfg

    async def play(self, ports, seed):
        for cycle in range(self.end):
            quiet = {(name, None): 0 for name in self.QUIET}
            # The skew registers have no reset: column j says something from cycle j on.
            quiet |= {("ap", j): 0 for j in range(min(self.cfg.b, cycle + 1))}
            self.expect[cycle] = quiet | self.expect[cycle]
        await super().play(ports, seed)

    def feed(self, batch, at):
        """Scores of a batch from cycle ``at`` on; gives the cycle of ``cs_done``."""
        count = batch.scores.shape[1]
        self.static["exact", None] = int(batch.exact)       # all batches of a job are of its mode
        for x in range(count):
            at += int(batch.gaps[x]) if batch.gaps is not None else 0
            self.drive[at] |= {("flags__valid", None): 1, ("flags__first", None): int(x == 0),
                               ("flags__level2", None): int(x >= batch.k1),
                               ("flags__last", None): int(x == count - 1)}
            for j, value in enumerate(batch.scores[:, x]):
                self.drive[at + j]["score", j] = int(value)
            at += 1
        done = at - 1 + cs_latency(self.cfg)
        self.expect[done]["cs_done", None] = 1
        return done

    def walk(self, batch, at):
        """Start in cycle ``at``; gives the AP banks and the cycle of ``done``."""
        cols, n = len(batch.scores), len(batch.ct1)
        self.drive[at] |= {("start", None): 1, ("n", None): n, ("cols", None): cols}
        pairs = -(-n // 2)
        for step in range(-(-cols // self.cfg.tiles) * pairs):
            pair = step % pairs
            self.expect[at + 1 + step] |= {("ct__en", None): 1, ("ct__addr", None): pair}
            for name, table in (("ct1", batch.ct1), ("ct2", batch.ct2)):
                for lane, parity in enumerate(("even", "odd")):
                    # PAG numbers the tokens itself in exact mode, and masks the absent one.
                    if 2 * pair + lane < n and not batch.exact:
                        self.drive[at + 2 + step][f"ct__{name}_{parity}", None] = int(
                            table[2 * pair + lane])
        banks, saturated = probability.aggregate(self.cfg, batch.scores, batch.ct1, batch.ct2,
                                                 batch.k1, batch.exact)
        self.total["sat_prob"] += saturated
        done = at + pag_cycles(self.cfg, n, cols)
        self.expect[done]["done", None] = 1
        return banks, done

    def clear(self, count, at):
        """Clear entries from cycle ``at`` on; gives the first cycle in which that is over."""
        self.drive[at] |= {("clear", None): 1, ("clear_count", None): count}
        over = at + (count + 2 if count else 1)
        for cycle in range(at + 1, over):
            self.expect[cycle]["clear_busy", None] = 1
        return over

    def read(self, rng, banks, k1, at):
        """Read AP from cycle ``at`` on, in random order; gives the cycle of the last."""
        ap = probability.normalise(self.cfg, banks)
        for turn, x in enumerate(rng.permutation(ap.shape[1]), 1):
            self.drive[at]["read", None] = APRead(self.cfg).const({
                "en": 1, "last": int(turn == ap.shape[1]), "level2": int(x >= k1),
                "index": int(x - k1 if x >= k1 else x)}).as_bits()
            for j, value in enumerate(ap[:, x]):
                self.expect[at + ap_latency(self.cfg) + j]["ap", j] = int(value)
            at += 1
        return at - 1


def overlapped(rng, cfg, batches, at=0):
    """Batches as close as allowed: the scores of the next come during the walk of this one. With two
    banks its walk follows at once, while the array still reads, sooner or later, what this one left."""
    program = Program(cfg)
    frees = [program.clear(cfg.n, at)] * cfg.aps
    ready, walked, read = program.feed(batches[0], at), 0, 0
    for batch, following in zip(batches, batches[1:] + [None]):
        start = max(ready, walked, frees.pop(0))
        banks, done = program.walk(batch, start)
        if following is not None:
            ready = program.feed(following, start + 1)
        begins = max(done, read) + 1
        if cfg.aps == 2:
            begins += int(rng.integers(0, 3 * len(batch.ct1)))
        walked, read = done + 1, program.read(rng, banks, batch.k1, begins)
        frees.append(read + ap_clear_delay(cfg))
    return program
