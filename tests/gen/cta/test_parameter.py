"""Parameters: what was loaded for a set is what that set shows."""

import random

import pytest

from gen.cta.parameter import Parameters
from model.cta.config import CTAConfig
from model.cta.layout import Parameter
from tests.gen.mutants import each_found, edited
from tests.gen.native import simulate

CONFIGS = {"one set": dict(b=4, d=8, l=3, n=8), "three sets": dict(b=2, d=16, l=8, n=8, sets=3),
           "fast": dict(b=2, d=8, dw=16, l=3, n=8, sets=3, products="fast")}


def check(cfg, seed, block=Parameters):
    """Loads all rows of all sets in random order, some twice, and reads all of them back."""
    dut, rng = block(cfg), random.Random(seed)
    f = cfg.fmt
    rows = {}
    for c in range(3):
        rows |= {16 * c + Parameter.LSH_B + j: f.bias for j in range(cfg.l)}
        rows |= {16 * c + Parameter.LSH_INV_W: f.multiplier, 16 * c + Parameter.LSH_PRE: 5,
                 16 * c + Parameter.LSH_POST: 5}
    rows |= {base + t: f.bias for base in (Parameter.BQ, Parameter.BV) for t in range(cfg.d)}
    betas = (Parameter.BETA_Q, Parameter.BETA_V, Parameter.BETA_K) if cfg.program.fast else ()
    rows |= {base + t: cfg.beta for base in betas for t in range(cfg.d)}
    # Rows without a meaning, among them those of hash functions that are not built.
    idle = [a for a in (*range(cfg.l, 8), 11, 48, 255, Parameter.BQ + cfg.d, Parameter.BV + cfg.d,
                        Parameter.END) if a not in rows]
    writes = [(k, address) for k in range(cfg.sets) for address in (*rows, *idle)] * 2
    rng.shuffle(writes)
    held = {}

    def raw(fmt):
        if fmt == 5:
            return rng.randrange(32)
        return rng.choice((fmt.min, fmt.max, rng.randint(fmt.min, fmt.max)))

    async def bench(ctx):
        for k, address in writes:
            value = raw(rows[address]) if address in rows else rng.getrandbits(32)
            held[k, address] = value
            ctx.set(dut.write, {"en": 1, "set": k, "addr": address, "data": value & 0xFFFFFFFF})
            await ctx.tick()
            ctx.set(dut.write.en, 0)
            ctx.set(dut.write.data, rng.getrandbits(32))
            if rng.random() < 0.2:
                await ctx.tick()
        for k in rng.sample(range(cfg.sets), cfg.sets):
            ctx.set(dut.set, k)
            for c in range(3):
                got = [ctx.get(dut.lsh.bias[c * cfg.l + j]) for j in range(cfg.l)]
                assert got == [held[k, 16 * c + j] for j in range(cfg.l)], f"seed {seed}: set {k}"
                got = [ctx.get(port[c]) for port in (dut.lsh.inv_w, dut.lsh.pre, dut.lsh.post)]
                want = [held[k, 16 * c + Parameter.LSH_INV_W + i] for i in range(3)]
                assert got == want, f"seed {seed}: LSH{c} of set {k}"
            reads = [(v, t) for v in range(2) for t in range(cfg.d)]
            for v, t in rng.sample(reads, len(reads)):
                ctx.set(dut.read, {"en": 1, "v": v, "addr": t})
                await ctx.tick()
                want = held[k, (Parameter.BV if v else Parameter.BQ) + t]
                assert ctx.get(dut.bias) == want, f"seed {seed}: bias {t} of set {k}"
            reads = [(which, t) for which in range(len(betas)) for t in range(cfg.d)]
            for which, t in rng.sample(reads, len(reads)):
                ctx.set(dut.read, {"en": 1, "v": which == 1, "k": which == 2, "addr": t})
                await ctx.tick()
                assert ctx.get(dut.beta) == held[k, betas[which] + t], f"seed {seed}: beta {t} of set {k}"

    simulate(dut, bench)


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters(name):
    check(CTAConfig(**CONFIGS[name]), 51)


MUTANTS = {
    "sets share their LSH": ("write.en & (write.set == k)", "write.en"),
    "BV over BQ": ("Cat(write.addr[:low], is_v, write.set)",
                   "Cat(write.addr[:low], is_q, write.set)"),
    "A0 for all": ("16 * c + Parameter.LSH_B + j", "Parameter.LSH_B + j"),
    "writes beyond the biases": ("write.en & (is_q | is_v)", "write.en"),
}


test_mutants = each_found(Parameters, MUTANTS, lambda block: check(
    CTAConfig(**CONFIGS["three sets"]), 51, block))

BETAS = {
    "betas of K for V": ("of[1], of[2])", "of[2], of[1])"),
    "betas of set 0": ("bases[self.set]", "bases[0]"),
    "biases among the betas": ("write.en & Cat(of).any()", "write.en"),
}


@pytest.mark.parametrize("name", BETAS)
def test_mutants_of_betas(name):
    with pytest.raises(AssertionError, match="seed"):
        check(CTAConfig(**CONFIGS["fast"]), 51, edited(Parameters, *BETAS[name], "_betas"))
