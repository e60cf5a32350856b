"""Emitted Verilog, module by module."""

import re
from dataclasses import dataclass

from model.errors import ConfigError

__all__ = ["Module", "modules", "order"]

MODULE = re.compile(r"^module (\w+)\b.*?^endmodule", re.M | re.S)
INSTANCE = re.compile(r"^  (\w+) (?:#\(.*?\) )?\S+\s*\(", re.M | re.S)
MEMORY = re.compile(r"^  (hl_sram_\w+) #\(\s*(.*?)\s*\) (\S+) \(", re.M | re.S)


@dataclass(frozen=True)
class Module:
    """A module: its text, and the names of the modules that it instantiates."""

    name: str
    text: str
    children: tuple[str, ...]


def modules(text: str) -> dict[str, Module]:
    """The modules of a file by name, without the memory wrappers at its end.

    A memory of a shape becomes a module ``hl_sram_1r1w_512x12`` that is not there: the flow takes it for
    a macro.
    """
    core = text.partition("`ifndef HASHLAYER_SRAM_EXTERNAL")[0]
    core = MEMORY.sub(_macro, core)
    found = {match[1]: match[0] + "\n" for match in MODULE.finditer(core)}
    return {name: Module(name, body, tuple(sorted(
        {child for child in INSTANCE.findall(body) if child in found or child.startswith("hl_sram_")})))
        for name, body in found.items()}


def _macro(match: re.Match) -> str:
    """An instance of a wrapper with parameters as one of the macro of this shape."""
    shape = {name: int(value) for name, value in re.findall(r"\.(\w+)\((?:\d+'d)?(\d+)\)", match[2])}
    return f"  {match[1]}_{shape['DEPTH']}x{shape['WIDTH']} {match[3]} ("


def order(found: dict[str, Module], top: str) -> list[str]:
    """Names of ``top`` and what is below it, children before parents. Raises ConfigError for a top that
    there is not."""
    if top not in found:
        raise ConfigError(f"top is {top!r}, must be a module of the file")
    done: list[str] = []

    def visit(name: str):
        if name in done or name not in found:
            return
        for child in found[name].children:
            visit(child)
        done.append(name)

    visit(top)
    return done
