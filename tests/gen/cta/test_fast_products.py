"""Fast inner products are the plain ones: exhaustive for a row of PEs at the least widths, corners at full
width, and the sums of whole linears as numbers."""

import itertools

import numpy as np
import pytest

from gen.cta.systolic_array import SystolicRow
from model.cta.config import CTAConfig, CTAFormats
from model.cta.linear import betas, linear
from model.fixed import Format
from tests.gen.native import simulate
from verif.ports import NativePorts

LEAST = CTAFormats(weight=Format(True, 4, 2), centroid=Format(True, 4, 2), token=Format(True, 5, 3),
                   lsh_a=Format(True, 4, 2), qkv=Format(True, 4, 2), ap=Format(False, 4, 0))


def rows_equal(cfg, weights, operands):
    """A row of two PEs: each of ``weights`` ((w_a, w_b) of either column) with all ``operands`` (x_a, x_b).
    What a sum has too much comes from below, so that the plain inner product must leave at the top."""
    dut, checked = SystolicRow(cfg), 0

    async def bench(ctx):
        nonlocal checked
        ports, due = NativePorts(ctx, dut), {}
        ctl, cycle = dut.ctl.shape(), 0
        below = {}

        async def tick():
            nonlocal cycle, checked
            for j in range(cfg.b):
                ports.set(f"sum_in__{j}", below.pop((j, cycle), 0))
                if (j, cycle) in due:
                    want, about = due.pop((j, cycle))
                    assert ports.signed(f"sum_out__{j}") == want, about
                    checked += 1
            await ctx.tick()
            cycle += 1

        for columns in weights:
            # Differences to the column on the left, the far column first, the second slice before the first.
            pushed = [columns[j][at] - (columns[j - 1][at] if j else 0)
                      for j in reversed(range(cfg.b)) for at in (1, 0)]
            ports.set("ctl", 0)
            ports.set("push", 1)
            for value in pushed:
                ports.set("shadow", value)
                await tick()
            ports.set("push", 0)
            for at, (x_a, x_b) in enumerate(operands):
                ports.set("x", x_a)
                ports.set("y", x_b)
                ports.set("ctl", ctl.const({"pair": 1, "swap": at == 0}).as_bits())
                for j, (w_a, w_b) in enumerate(columns):
                    below[j, cycle + 2 + j] = -x_a * x_b - w_a * w_b
                    due[j, cycle + 3 + j] = x_a * w_a + x_b * w_b, (columns, x_a, x_b)
                await tick()
            ports.set("ctl", 0)
            for _ in range(4):
                await tick()

    simulate(dut, bench)
    return checked


def test_all_operands_at_the_least_widths(tried):
    """All 2^16 quadruples of two centroids and two weights of 4 bits, in both columns."""
    cfg = CTAConfig(b=2, d=8, dw=16, l=1, n=2, products="fast", fmt=LEAST)
    every = range(-8, 8)
    pairs = [*itertools.product(every, every)]
    checked = rows_equal(cfg, [(pair, pairs[-at]) for at, pair in enumerate(pairs)], pairs)
    assert checked == 2 * 16 ** 4
    tried("fast products", quadruples=checked)


def test_corners_at_full_width():
    cfg = CTAConfig(b=2, d=8, dw=16, l=1, n=2, products="fast")
    ends = [cfg.fmt.weight.min, cfg.fmt.weight.max, -1, 0]
    pairs = [*itertools.product(ends, ends)]
    assert rows_equal(cfg, [*itertools.product(pairs, pairs)], pairs) == 2 * 16 ** 3


@pytest.mark.parametrize("seed", range(20))
def test_sums_of_linears(seed):
    """Modulo the accumulator, with extremes, for any number of pairs of slices."""
    rng = np.random.default_rng(seed)
    cfg = CTAConfig(b=4, d=8, dw=16 * int(rng.integers(1, 9)), n=4, products="fast")
    f, d = cfg.fmt, cfg.d

    def raw(fmt, *shape):
        return np.where(rng.random(shape) < 0.4, rng.choice((fmt.min, fmt.max), shape),
                        rng.integers(fmt.min, fmt.max + 1, shape))

    c, w, bias = raw(f.centroid, 5, cfg.dw), raw(f.weight, cfg.dw, 3), raw(f.bias, 3)
    total = np.broadcast_to(bias + betas(cfg, w), (5, 3))
    for at in range(0, cfg.dw, 2 * d):
        x_a, x_b, w_a, w_b = (each for pair in ((c[:, at:at + d], c[:, at + d:at + 2 * d]),
                                                (w[at:at + d].T, w[at + d:at + 2 * d].T)) for each in pair)
        total = total + ((x_a[:, None] + w_b) * (x_b[:, None] + w_a)).sum(axis=-1)
        total = total - (x_a * x_b).sum(axis=-1)[:, None]
    wrapped = (total - cfg.acc.min) % (1 << cfg.acc.width) + cfg.acc.min
    assert np.array_equal(wrapped, c @ w + bias)
    assert np.array_equal(linear(cfg, c, w, bias, 0)[0], np.clip(wrapped, f.qkv.min, f.qkv.max))
