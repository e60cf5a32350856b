"""What computes a job, and the border to the tools that only the rtl backend needs."""

from contextlib import contextmanager

from model.errors import ConfigError
from sw.io.errors import InputError

__all__ = ["BACKENDS", "tools"]

BACKENDS = ("golden", "cpu", "rtl")
"""What computes a job in raw integers: the golden model, a kernel for this CPU that gives the same bits, or
the simulated Verilog."""


@contextmanager
def tools():
    """Failures of the tools, also that they are not there, in one line."""
    try:
        from sw.sim.engine import EngineError
        from sw.sim.verilator import ToolError
    except ImportError as error:
        raise InputError(f"the rtl backend needs {error.name}, which `make setup` installs"
                         ) from None
    try:
        yield
    except (ConfigError, EngineError, ToolError) as error:
        raise InputError(str(error)) from None
