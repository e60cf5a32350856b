"""How fast the Verilog is emitted and simulated: the last lines of a bench."""

import subprocess
import sys
import time

__all__ = ["emission", "show_speed"]


def emission(words: list[str]) -> dict:
    """Seconds and size of the Verilog that the command ``python -m`` ``words`` emits, from a fresh
    process."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True)
    return {"seconds": time.perf_counter() - begin, "lines": done.stdout.count(b"\n"),
            "bytes": len(done.stdout)}


def show_speed(data: dict, generator, cfg) -> None:
    """Print both, and add them to ``data``, whose ``jobs`` have been simulated; ``generator`` is the
    :class:`gen.command.Command` of the engine."""
    rate = sum(job["cycles_per_second"] for job in data["jobs"]) / len(data["jobs"])
    data["simulation"] = {"cycles_per_second": rate}
    print(f"\nsimulation: {rate:,.0f} cycles a second, reading and writing included")
    data["emission"] = emission(generator.line(cfg).removeprefix("python -m ").split())
    print("emission: {seconds:.1f} s, {lines:,} lines, {bytes:,} bytes".format(
        **data["emission"]))
