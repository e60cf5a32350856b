"""The bench runner: a broken block fails its bench, and the seed to replay it is printed."""

import shutil

import pytest

from sw.sim.simulators import SIMULATORS
from sw.sim.verilator import ToolError
from verif.cta import BENCHES
from verif.runner import main


@pytest.fixture(params=SIMULATORS)
def simulator(request):
    if not SIMULATORS[request.param].installed:
        pytest.skip(f"{request.param} is not installed")
    return request.param


def test_benches_exist_and_name_their_block():
    wanted = {"pe", "ppe", "systolic_array", "cluster_index", "centroid", "probability",
              "sequencer", "cta", "sram"}
    assert wanted <= set(BENCHES)


def test_a_fault_fails_and_the_seed_is_printed(simulator, monkeypatch, capfd):
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

    words = ["sram", "--config", "2", "--seed", "9", "--simulator", simulator]
    assert main(words) == 0
    monkeypatch.setattr(memory, "SRAM", Deaf)
    assert main(words) == 1
    replay = "make -C verif sim BENCH=sram CONFIG=2 SEED=9" + " SIM=icarus" * (simulator == "icarus")
    assert f"{replay}\n" in capfd.readouterr().out


def test_an_unknown_bench_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "bench is 'nothing', must be one of sram" in capsys.readouterr().err


def test_a_simulator_that_is_missing_is_a_line(monkeypatch, capsys):
    """And one that cannot read the Verilog fails the bench, in a line as well."""
    monkeypatch.setattr(shutil, "which", lambda name, *_: None)
    with pytest.raises(SystemExit) as ended:
        main(["pe", "--simulator", "icarus"])
    err = capsys.readouterr().err
    assert ended.value.code == 2 and err.count("\n") == 1
    assert "Icarus Verilog is not installed: 'iverilog' is not on PATH" in err


def test_what_a_simulator_does_not_take_is_said(simulator, tmp_path, monkeypatch):
    """With the last words of the tool, and nothing is left in the cache."""
    monkeypatch.setenv("HASHLAYER_CACHE", str(tmp_path))
    with pytest.raises(ToolError, match="failed on broken:\n(.|\n)*broken.v"):
        SIMULATORS[simulator].build("broken", "module broken (input clk; endmodule\n", "broken", ["clk"])
    assert not list(tmp_path.glob("*broken*"))
