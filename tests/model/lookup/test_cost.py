"""Every LookupFFN, vanilla and BH4 figure of Tables 1 to 4, and sizes."""

import pytest

from model.lookup.config import LookupConfig
from model.lookup.cost import account, least_cycles, vanilla_flop
from model.lookup.cycles import layer_cycles
from model.lookup.job import Order

MIB = 1 << 20
TOTALS = [   # table of the paper, h, tau, d, MFLOP
    (1, 256, 8, 512, "1.38"), (1, 128, 8, 512, "0.69"), (2, 170, 9, 768, "1.39"),
    (3, 32, 8, 512, "0.31"), (3, 64, 8, 512, "0.35"), (3, 128, 8, 512, "0.69"),
    (3, 256, 8, 512, "1.38"), (4, 256, 4, 512, "0.82")]
PARTS = [    # Table 3, top and bottom: h, tau, what else, MFLOP of hash and of gather
    (128, 8, {"projection": "dense"}, "1.05", "0.13"), (128, 8, {"block": 64}, "0.56", "0.13"),
    (128, 8, {"block": 32}, "0.30", "0.13"), (128, 8, {"block": 16}, "0.17", "0.13"),
    (64, 4, {}, "0.28", "0.07"), (32, 8, {}, "0.28", "0.03"), (20, 13, {}, "0.28", "0.02")]


def mega(flop):
    return f"{flop / 1e6:.2f}"


@pytest.mark.parametrize("table, h, tau, d, printed", TOTALS)
def test_totals(table, h, tau, d, printed):
    assert mega(account(LookupConfig(d=d, h=h, tau=tau, block=64)).flop) == printed


@pytest.mark.parametrize("h, tau, other, hashing, gathering", PARTS)
def test_hash_and_gather(h, tau, other, hashing, gathering):
    costs = account(LookupConfig(h=h, tau=tau, **other))
    assert (mega(costs.hash_flop), mega(costs.gather_flop)) == (hashing, gathering)


def test_vanilla():
    assert [mega(vanilla_flop(d)) for d in (512, 768)] == ["4.19", "9.44"]


def test_what_the_text_says():
    dense = account(LookupConfig(projection="dense"))
    assert round(100 * dense.hash_flop / dense.flop) == 89                    # Sec. 4.2
    base = account(LookupConfig(d=768, h=170, tau=9))
    assert f"{vanilla_flop(768) / base.flop:.1f}" == "6.8"                    # Sec. 4.1
    assert vanilla_flop(512) / account(LookupConfig()).flop > 6               # abstract


@pytest.mark.parametrize("h, tau, d, mib", [(32, 8, 512, 16), (128, 8, 512, 64), (256, 8, 512, 128),
                                            (64, 4, 512, 2), (256, 4, 512, 8), (20, 13, 512, 320),
                                            (170, 9, 768, 255)])
def test_table_sizes_in_single_precision(h, tau, d, mib):
    costs = account(LookupConfig(d=d, h=h, tau=tau))
    assert costs.fp32_bytes == mib * MIB and costs.stored_bytes == costs.fp32_bytes // 4


def test_the_default_engine():
    costs = account(LookupConfig())
    assert costs.weights == 262144 and costs.weight_bits == 2621440
    assert costs.projection_cycles == costs.gather_cycles == costs.bound == 1024
    assert costs.gather_bytes == 65536 and costs.batch_bytes == 16 * MIB
    assert costs.worthwhile_batch == 256 and costs.token_bytes == 2048


def test_neighbours_residual_and_padding():
    costs = account(LookupConfig(d=24, h=5, tau=3, block=8, lanes=16, neighbours=True,
                                 residual=True))
    assert costs.gather_flop == 2 * 5 * 4 * 24 and costs.gather_bytes == 5 * 4 * 32
    assert costs.stored_bytes == 5 * 8 * 32 and costs.token_bytes == 3 * 48
    assert costs.worthwhile_batch == 2 and costs.hadamard_adds == 4 * 32 * 5
    assert costs.gather_cycles == 5 * 4 * 2 and costs.projection_cycles == 4 * 32 * 8 // 64


@pytest.mark.parametrize("tokens, batches", [(64, [64]), (128, [64, 64]), (150, [64, 64, 22])])
def test_least_cycles(tokens, batches):
    """The default in balance; table-major, 1024 cycles a token of the first batch and 2 ** 18 a pass over the
    tables, behind which later batches are projected."""
    cfg = LookupConfig()
    assert least_cycles(cfg, tokens) == 1024 * tokens
    assert least_cycles(cfg, tokens, Order.TABLE_MAJOR) == 1024 * batches[0] + (len(batches) << 18)


def test_least_cycles_where_the_lanes_or_the_projection_set_the_pace():
    few = dict(d=16, h=4, tau=2, block=16, lanes=16, batch=32)
    lanes = LookupConfig(**few, multipliers=256)      # a pass is 16 beats, a batch 128 rows
    assert least_cycles(lanes, 64, Order.TABLE_MAJOR) == 32 * 4 + 2 * 128
    slow = LookupConfig(**few, multipliers=16)        # 64 cycles a token in the projection
    assert least_cycles(slow, 64, Order.TABLE_MAJOR) == 64 * 64 + 128


@pytest.mark.parametrize("batch, tokens", [(64, 128), (64, 512), (128, 128), (128, 512)])
def test_the_wide_engine_keeps_up(batch, tokens):
    """512 multipliers and 128 lanes: within 5 % of 512 cycles a token, table-major within 10 % of what no
    schedule can beat. What is between batches of 128 is their y, 8 of its elements a cycle."""
    cfg = LookupConfig(multipliers=512, lanes=128, batch=batch)
    assert 1 < layer_cycles(cfg, tokens, Order.TABLE_MAJOR, 100).total / least_cycles(
        cfg, tokens, Order.TABLE_MAJOR) <= 1.10
    if tokens == 128:
        assert least_cycles(cfg, tokens) == 512 * tokens
        assert layer_cycles(cfg, tokens, latency=100).total <= 1.05 * 512 * tokens


@pytest.mark.parametrize("tokens, told", [(256, 1.09), (1024, 1.14)])
def test_what_docs_say_of_the_largest_batch(tokens, told):
    """A batch of 256 gives y for an eighth of the cycles of its pass, and the next waits for that."""
    cfg = LookupConfig(multipliers=512, lanes=128, batch=256)
    cycles = layer_cycles(cfg, tokens, Order.TABLE_MAJOR, 100).total
    assert round(cycles / least_cycles(cfg, tokens, Order.TABLE_MAJOR), 2) == told
