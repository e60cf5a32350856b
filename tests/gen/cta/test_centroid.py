"""CAG: centroids, counts, saturations and all cycles, against model.cta.centroid and timing."""

import numpy as np
import pytest
from amaranth.hdl import Assert, ResetInserter, Signal
from amaranth.sim import Simulator

from gen.blocks.memory import SRAM
from gen.cta.centroid import CentroidAggregation
from gen.cta.centroid_means import MeanLane
from gen.cta.centroid_sums import CentroidSums
from model.cta.config import CTAConfig
from tests.gen.mutants import edited
from verif.cta import centroid_jobs
from verif.ports import NativePorts

CONFIGS = {
    "one slice": dict(b=4, d=8, l=2, n=24),
    "two slices": dict(b=2, d=8, dw=16, l=3, n=19, k0=17, k1=19, k2=11),
    "three slices": dict(b=2, d=8, dw=24, l=1, n=6, sums=2),
    "fast": dict(b=2, d=8, dw=32, l=3, n=19, k0=17, k1=19, k2=11, products="fast"),
    "smallest": dict(b=2, d=8, l=1, n=2, k0=1, k1=2, k2=1),
}
SEED = 1


def check(cfg, jobs, reset_after=None):
    """Plays the jobs; rows, k registers, saturations and all cycles must be the model's."""
    dut, reset = CentroidAggregation(cfg), Signal()

    async def bench(ctx):
        ports = NativePorts(ctx, dut)
        player = centroid_jobs.Player(ports, cfg, jobs, np.random.default_rng(SEED))
        if reset_after is not None:
            centroid_jobs.offer(ports, cfg, jobs[0])
            for _ in range(reset_after):
                await ports.tick()
            ctx.set(reset, 1)
            await ports.tick()
            ctx.set(reset, 0)
        await player.play()
        rows, ks, saturated = centroid_jobs.expected(cfg, jobs)
        assert player.rows == rows, f"seed {SEED}"
        assert (player.ks, player.saturated) == (ks, saturated), f"seed {SEED}"

    sim = Simulator(ResetInserter(reset)(dut))
    sim.add_clock(1e-9)
    sim.add_testbench(bench)
    sim.run()


class StrictSRAM(SRAM):
    """A memory in which a read of the word being written is a fault, not merely rubbish: the
    block says that it asks for none."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.sync += Assert(~(self.w_en & self.r_en & (self.w_addr == self.r_addr)))
        return m


def works(cfg, counts=(None,) * 14, gaps=False):
    return centroid_jobs.works(cfg, np.random.default_rng(SEED), counts, gaps)


@pytest.mark.parametrize("gaps", [True, False], ids=["gaps", "back to back"])
@pytest.mark.parametrize("name", CONFIGS)
def test_centroids(name, gaps):
    """Rows, addresses, cycles, k and saturations of jobs of every pattern."""
    cfg = CTAConfig(**CONFIGS[name])
    check(cfg, works(cfg, gaps=gaps))


@pytest.mark.parametrize("counts, waiting", [((1, 24, 1, 1, 1, 20, 2), True), ((1,) * 12, True),
                                             ((24, 9, 24, 24, 24), False)])
def test_banks(counts, waiting):
    """With two banks a job waits for its own where averaging takes longer than what comes between;
    with one it always waits."""
    for sums in (1, 2):
        cfg = CTAConfig(**CONFIGS["one slice"], sums=sums)
        jobs = works(cfg, counts)
        check(cfg, jobs)
        # A cycle more is the turn of its tokens.
        waits = [now.times.accept > last.times.following + 1 for last, now in zip(jobs, jobs[1:])]
        assert all(waits) if sums == 1 else any(waits) == waiting


@pytest.mark.parametrize("extreme", ["min", "max"])
def test_widest_sum(extreme):
    """One cluster of as many extreme tokens as there can be."""
    cfg = CTAConfig(b=2, d=8, l=1, n=33)
    zeros = np.zeros(cfg.n, dtype=int)
    x = np.full((cfg.n, cfg.d), getattr(cfg.fmt.token, extreme))
    check(cfg, [centroid_jobs.Work(0, 0, zeros, zeros, x)])


@pytest.mark.parametrize("after", [1, 3, 9, 20, 33, 45])
def test_reset_in_mid_job(after):
    """Jobs after a reset are untouched by the one it cut off, wherever it did."""
    cfg = CTAConfig(**CONFIGS["one slice"])
    check(cfg, works(cfg, (24, 7, 24)), reset_after=after)


@pytest.mark.parametrize("name", CONFIGS)
def test_no_word_is_read_while_it_is_written(name, monkeypatch):
    monkeypatch.setattr("gen.cta.centroid_sums.SRAM", StrictSRAM)
    cfg = CTAConfig(**CONFIGS[name])
    check(cfg, works(cfg))


def test_mutant_reads_a_word_being_written(monkeypatch):
    """What is read in vain is found out as well: a macro may not stand it."""
    monkeypatch.setattr("gen.cta.centroid_sums.SRAM", StrictSRAM)
    broken = edited(CentroidSums, "back[3] | third[3])", "back[3])")
    monkeypatch.setattr("gen.cta.centroid.CentroidSums", broken)
    cfg = CTAConfig(**CONFIGS["one slice"])
    with pytest.raises(AssertionError):
        check(cfg, works(cfg))


@pytest.mark.parametrize("hazard", range(3), ids=["same", "back", "third"])
def test_mutant_without_hazards(hazard, monkeypatch):
    """Without one of the three ways round the bank, a cluster that comes again so soon loses members."""
    honest = CentroidSums.hazards
    monkeypatch.setattr(CentroidSums, "hazards", lambda self, index: [
        0 if at == hazard else hit for at, hit in enumerate(honest(self, index))])
    cfg = CTAConfig(**CONFIGS["one slice"])
    with pytest.raises(AssertionError, match=f"seed {SEED}"):
        check(cfg, works(cfg))


def test_mutant_cluster_of_the_job_before(monkeypatch):
    """A first member whose index is that of the last token of the job before does not go on from its sum."""
    monkeypatch.setattr("gen.cta.centroid.CentroidSums", edited(CentroidSums, "hit & ~fresh2", "hit & 1"))
    cfg = CTAConfig(**CONFIGS["one slice"], sums=2)
    with pytest.raises(AssertionError, match=f"seed {SEED}"):
        check(cfg, works(cfg))


def test_mutant_rounding(monkeypatch):
    """A mean that is cut off instead of rounded is found out."""
    monkeypatch.setattr(MeanLane, "rounded", lambda self, product: product >> (
        self.cfg.mean_reciprocal_frac + self.cfg.residual_shift))
    cfg = CTAConfig(**CONFIGS["one slice"])
    with pytest.raises(AssertionError, match=f"seed {SEED}"):
        check(cfg, works(cfg))
