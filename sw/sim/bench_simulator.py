"""What a simulator is to the cocotb benches."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sw.sim.verilator import ToolError

__all__ = ["BenchSimulator"]


@dataclass(frozen=True)
class BenchSimulator:
    """A simulator for ``make -C verif sim SIM=name``.

    Parameters
    ----------
    name : as cocotb's runner calls it.
    find : gives version and place of the tool; raises :class:`sw.sim.verilator.ToolError`.
    build : ``(key, text, top, ports, progress)`` to the folder in which cocotb's runner finds what to
        run: ``key`` is part of the folder's name, ``text`` the Verilog of the module ``top`` with the
        names ``ports``, and ``progress(done, of, what)`` is called as it advances, or None.
    arguments : arguments of the run for a seed.
    """

    name: str
    find: Callable[[], str]
    build: Callable[..., Path]
    arguments: Callable[[int], list[str]]

    @property
    def installed(self) -> bool:
        """Whether the tool is there."""
        try:
            self.find()
        except ToolError:
            return False
        return True
