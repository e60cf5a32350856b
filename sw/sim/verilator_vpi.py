"""cocotb benches on Verilator.

cocotb's own runner makes every signal public, which takes Verilator minutes on an array of PEs.
Here only the ports of the top are. Executables are kept by the hash of all that went in.
"""

from pathlib import Path

from sw.sim import verilator
from sw.sim.bench_simulator import BenchSimulator

__all__ = ["SIMULATOR"]


def _find() -> str:
    tool = verilator.find()
    return f"{tool.version}, {tool.command}"


def _build(key: str, text: str, top: str, ports, progress=None) -> Path:
    import cocotb_tools.config
    public = "`verilator_config\n" + "".join(
        f'public_flat_rw -module "{top}" -var "{port}"\n' for port in ports)
    libs = cocotb_tools.config.libs_dir
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    return verilator.build(f"cocotb-{key}", text, top, sources=[main],
                           files={"public.vlt": public}, flags=("--vpi",),
                           runtime=("verilated", "verilated_threads", "verilated_vpi"),
                           link=(f"-Wl,-rpath,{libs}", f"-L{libs}", "-lcocotbvpi_verilator"),
                           progress=progress).parent


def _arguments(seed: int) -> list[str]:
    """Registers and memories start with random bits, another set a seed."""
    return ["+verilator+rand+reset+2", f"+verilator+seed+{seed % (1 << 31) or 1}"]


SIMULATOR = BenchSimulator("verilator", _find, _build, _arguments)
