"""The projection's cycles: by hand, and that its pace is the interval for any configuration."""

import random

import numpy as np
import pytest

from model.lookup.config import LookupConfig
from model.lookup.projection_cycles import z_cycles
from model.lookup.timing import contexts, frame_cycles, frames, projection_interval, z_beats
from model.lookup.weight_layout import weight_order


def test_by_hand():
    """d 8, block 8, 64 multipliers: each stage of a token is one beat.

    The beat of x is taken in cycle 0, the first stage issued in 1. Issue, read 2; operands,
    products, three levels of the tree, accumulator, output register 7; rounding 2; three butterfly
    levels; rounding 2: 16 cycles a stage. The other 15 contexts are passed by meanwhile. After
    four stages 8 cycles to the queue and 2 in it.
    """
    cfg = LookupConfig(d=8, h=1, tau=8, block=8, multipliers=64)
    assert contexts(cfg) == 16
    assert z_cycles(cfg, 1) == [1 + 4 * 16 + 10]


def test_paper_size():
    """A token in 1024 cycles: 2 copies, 4 stages, 128 cycles each."""
    cfg = LookupConfig()
    ends = z_cycles(cfg, 6)[z_beats(cfg) - 1::z_beats(cfg)]
    assert np.diff(ends).tolist() == [1024] * 5


@pytest.mark.parametrize("seed", range(60))
def test_pace(seed):
    """No configuration is slower than its multipliers, or the stream of x, allow."""
    draw = random.Random(seed)
    d = draw.choice([8, 16, 24, 40, 64, 200, 256])
    n = 1 << (d - 1).bit_length()
    block = draw.choice([size for size in (4, 8, 16, 32, 64) if size <= n])
    cfg = LookupConfig(
        d=d, h=draw.choice([1, 3, 16]), tau=draw.choice([1, 3, 8, 16]), block=block,
        multipliers=1 << draw.randint(0, min(12, 2 * (block.bit_length() - 1))),
        projection=draw.choice(["bh4", "bh4", "dense"]))
    tokens = 8 * contexts(cfg)
    ends = z_cycles(cfg, tokens)[z_beats(cfg) - 1::z_beats(cfg)]
    first, last = tokens // 4, 3 * tokens // 4
    assert ends[last] - ends[first] <= (last - first) * projection_interval(cfg), cfg


def test_weight_order():
    """Two results and two inputs at a time; a dense projection is padded with zeros."""
    w = np.arange(2 * 4 * 2 * 4 * 4).reshape(2, 4, 2, 4, 4)
    order = weight_order(LookupConfig(d=8, h=2, tau=8, block=4, multipliers=8), w)
    assert order[:8].tolist() == [0, 1, 4, 5, 8, 9, 12, 13]
    assert order[8:16].tolist() == [2, 3, 6, 7, 10, 11, 14, 15]
    assert sorted(order) == list(range(w.size))
    cfg = LookupConfig(d=8, h=1, tau=3, block=4, multipliers=2, projection="dense")
    order = weight_order(cfg, np.arange(24).reshape(3, 8))
    assert order.tolist() == [*np.stack([range(8), range(8, 16)], 1).flat,
                              *np.stack([range(16, 24), [0] * 8], 1).flat]
    assert len(order) == 2 * frames(cfg) * frame_cycles(cfg)
