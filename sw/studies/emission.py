"""How fast the Verilog is emitted and simulated: the last lines of a bench."""

import subprocess
import sys
import time

__all__ = ["emission", "show_speed"]


def emission(program: str, cfg, names) -> dict:
    """Seconds and size of the Verilog, from a fresh process; ``names`` are given as flags."""
    flags = [f"--{name}={getattr(cfg, name)}" for name in names]
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", program, *flags], check=True,
                          capture_output=True)
    return {"seconds": time.perf_counter() - begin, "lines": done.stdout.count(b"\n"),
            "bytes": len(done.stdout)}


def show_speed(data: dict, program: str, cfg, names) -> None:
    """Print both, and add them to ``data``, whose ``jobs`` have been simulated."""
    rate = sum(job["cycles_per_second"] for job in data["jobs"]) / len(data["jobs"])
    data["simulation"] = {"cycles_per_second": rate}
    print(f"\nsimulation: {rate:,.0f} cycles a second, reading and writing included")
    data["emission"] = emission(program, cfg, names)
    print("emission: {seconds:.1f} s, {lines:,} lines, {bytes:,} bytes".format(
        **data["emission"]))
