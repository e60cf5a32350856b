"""The bench runner: a broken block fails its bench, and the seed to replay it is printed."""

import pytest

from verif.cta import BENCHES
from verif.runner import main


def test_benches_exist_and_name_their_block():
    wanted = {"pe", "ppe", "systolic_array", "cluster_index", "centroid", "probability",
              "sequencer", "cta", "sram"}
    assert wanted <= set(BENCHES)


def test_a_fault_fails_and_the_seed_is_printed(monkeypatch, capfd):
    from gen.blocks import memory

    class Deaf(memory.SRAM):
        def _instance(self, emitter):
            from amaranth.hdl import C, ClockSignal, Instance
            emitter.use("hl_sram_1r1w")
            wires = {f"{'o' if port == 'r_data' else 'i'}_{port}": getattr(self, port)
                     for port in self.signature.members}
            wires["i_r_en"] = C(1)
            return Instance("hl_sram_1r1w", p_WIDTH=self.width, p_DEPTH=self.depth,
                            i_clk=ClockSignal(), **wires)

    assert main(["sram", "--config", "2", "--seed", "9"]) == 0
    monkeypatch.setattr(memory, "SRAM", Deaf)
    assert main(["sram", "--config", "2", "--seed", "9"]) == 1
    assert "make -C verif sim BENCH=sram CONFIG=2 SEED=9" in capfd.readouterr().out


def test_an_unknown_bench_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "bench is 'nothing', must be one of sram" in capsys.readouterr().err
