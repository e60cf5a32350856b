"""Benches on Icarus Verilog, which knows four values: what no reset and no load has set is X.

Verilator gives registers random bits at power-up; a result that is right by luck is right there.
Icarus needs an installation of its own (``iverilog`` and ``vvp`` on PATH).
"""

import shutil
import tempfile
from pathlib import Path

from gen.emit import emit
from verif.bench import Bench
from verif.runner import play

__all__ = ["installed", "run"]


def installed() -> bool:
    """Whether Icarus Verilog is on PATH."""
    return all(shutil.which(tool) for tool in ("iverilog", "vvp"))


def run(bench: Bench, cfg, run_seed: int, test: str) -> tuple[int, int]:
    """Run the cocotb test ``test`` of a bench on one configuration. Gives the numbers of tests and of
    failures."""
    from cocotb_tools.runner import get_runner
    component = bench.factory(cfg)
    with tempfile.TemporaryDirectory(prefix="hashlayer-") as folder:
        source = Path(folder, f"{component.module_name}.v")
        source.write_text(emit(component))
        runner = get_runner("icarus")
        runner.build(sources=[source], hdl_toplevel=component.module_name, build_dir=folder,
                     build_args=["-g2005"], timescale=("1ns", "1ps"),
                     log_file=Path(folder, "build.log"))
        return play(runner, bench, cfg, run_seed, component.module_name, Path(folder),
                    test_filter=rf"{test}$")
