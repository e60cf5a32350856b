"""What the hash unit is played with, natively and on Verilator: z beats in, rows out."""

import numpy as np

from model.lookup import hash as golden
from model.lookup.timing import z_lanes
from verif import actors
from verif.actors import FREE, Sink, Source, Stall, pack

__all__ = ["random_z", "z_words", "row_words", "run"]



def random_z(cfg, rng, tokens):
    """z (t, h*tau) of all magnitudes, with zeros and both ends."""
    fmt = cfg.fmt.z
    scale = rng.choice([0.1, 1, 30], (tokens, cfg.h, 1)) * (1 << fmt.frac)
    z = np.rint(rng.normal(0, 1, (tokens, cfg.h, cfg.tau)) * scale)
    z = np.where(rng.random(z.shape) < 0.1, rng.choice([0, fmt.min, fmt.max], z.shape), z)
    return np.clip(z, fmt.min, fmt.max).astype(np.int64).reshape(tokens, -1)


def z_words(cfg, z, rng):
    """Beats of z; lanes beyond the end of a token hold anything."""
    lanes, fmt = z_lanes(cfg), cfg.fmt.z
    words = []
    for token in z:
        for at in range(0, cfg.codes, lanes):
            part = list(token[at:at + lanes])
            part += list(rng.integers(fmt.min, fmt.max + 1, lanes - len(part)))
            words.append(pack([(v, fmt.width) for v in part] + [(at + lanes >= cfg.codes, 1)]))
    return words


def row_words(cfg, codes, scores):
    """Rows as words of their stream."""
    table = max(1, (cfg.h - 1).bit_length())
    return [pack([(k, table), (codes[t, k, i], cfg.tau), (scores[t, k, i], cfg.score.width),
                  (k == i == 0, 1), (k == cfg.h - 1 and i == cfg.entries - 1, 1)])
            for t in range(len(codes)) for k in range(cfg.h) for i in range(cfg.entries)]


async def run(ports, cfg, z, shift_s, seed, stalls=(FREE, FREE), stop=None):
    """Play tokens ``z``; asserts rows and the count of saturations. Gives the cycles of both.

    With ``stop`` it ends after as many cycles and asserts nothing.
    """
    rng = np.random.default_rng(seed)
    for k, shift in enumerate(shift_s):
        ports.set("s_en", 1)
        ports.set("s_addr", k)
        ports.set("s_data", int(shift))
        await ports.tick()
    ports.set("s_en", 0)
    scores, saturated = golden.scores(cfg, z, shift_s)
    want = row_words(cfg, golden.codes(cfg, z), scores)
    source = Source(ports, "z", z_words(cfg, z, rng), Stall((seed, "z"), stalls[0]))
    sink = Sink(ports, "rows", Stall((seed, "rows"), stalls[1]))
    count = 0

    def watch(cycle):
        nonlocal count
        count += ports.get("sat_score")

    await actors.run(ports, (source, sink), lambda: len(sink.received) >= len(want),
               100 + 20 * (len(want) + source.waiting), watch, stop)
    if stop is not None:
        return None
    for at, (got, expected) in enumerate(zip(sink.received, want, strict=True)):
        assert got == expected, f"seed {seed}: row {at} is {got:#x}, must be {expected:#x}"
    assert count == saturated, f"seed {seed}: {count} scores saturated, must be {saturated}"
    return source.cycles, sink.cycles
