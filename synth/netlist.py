"""Mapped modules as nets and cells: what Yosys writes as JSON, without what timing does not need.

A net is a number within its module. A bit that is tied to 0 is :data:`CONSTANT`, one that is tied to 1 is
:data:`ONE`; both are below 0 and never change, so no path goes through them.
"""

from dataclasses import dataclass

from model.errors import ConfigError

__all__ = ["CONSTANT", "ONE", "Cell", "Netlist", "of_yosys", "of_plain"]

CONSTANT, ONE = -1, -2
IGNORED = ("$scopeinfo", "$print")


@dataclass(frozen=True)
class Cell:
    """A cell, a memory or a module inside a module: ``kind`` is its type, ``name`` what the Verilog calls
    it ("" where a tool made it), ``pins`` the nets of each port, the lowest bit first."""

    name: str
    kind: str
    pins: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Netlist:
    """A module: ``inputs`` and ``outputs`` have the nets of each port, ``names`` those of a net that the
    Verilog names."""

    name: str
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    cells: tuple[Cell, ...]
    names: dict[int, str]

    @property
    def nets(self) -> int:
        """One more than the largest net."""
        ports = [*self.inputs.values(), *self.outputs.values()]
        return 1 + max((net for bits in [*ports, *(b for cell in self.cells for b in cell.pins.values())]
                        for net in bits), default=-1)

    def counts(self) -> dict[str, int]:
        """How many cells it has of each kind."""
        found: dict[str, int] = {}
        for cell in self.cells:
            found[cell.kind] = found.get(cell.kind, 0) + 1
        return found

    def plain(self) -> dict:
        """As data for a file, which :func:`of_plain` reads back."""
        return {"inputs": self.inputs, "outputs": self.outputs,
                "cells": [[cell.name, cell.kind, cell.pins] for cell in self.cells],
                "names": {str(net): name for net, name in self.names.items()}}


def of_plain(name: str, plain: dict) -> Netlist:
    """The module ``name`` of what :meth:`Netlist.plain` gave. Raises KeyError, TypeError or ValueError for
    data of another form."""
    return Netlist(name, _tuples(plain["inputs"]), _tuples(plain["outputs"]),
                   tuple(Cell(of, kind, _tuples(pins)) for of, kind, pins in plain["cells"]),
                   {int(net): of for net, of in plain["names"].items()})


def _tuples(ports: dict) -> dict[str, tuple[int, ...]]:
    return {name: tuple(map(int, bits)) for name, bits in ports.items()}


def of_yosys(name: str, module: dict) -> Netlist:
    """The module ``name`` from the JSON of Yosys. Nets are numbered anew in the order of ports and cells, so
    that equal modules give equal data. Raises ConfigError for a port that is neither input nor output."""
    numbers: dict[int, int] = {}

    def nets(bits) -> tuple[int, ...]:
        return tuple(numbers.setdefault(bit, len(numbers)) if isinstance(bit, int)
                     else ONE if bit == "1" else CONSTANT for bit in bits)

    inputs, outputs = {}, {}
    for port, what in module["ports"].items():
        side = {"input": inputs, "output": outputs}.get(what["direction"])
        if side is None:
            raise ConfigError(f"module {name}: port {port} is {what['direction']}, must be input or output")
        side[port] = nets(what["bits"])
    cells = tuple(Cell("" if cell.startswith("$") or what.get("hide_name") else cell, what["type"],
                       {pin: nets(bits) for pin, bits in what["connections"].items()})
                  for cell, what in module["cells"].items() if what["type"] not in IGNORED)
    names: dict[int, str] = {}
    shown = [(net, what["bits"]) for net, what in module.get("netnames", {}).items()
             if not what.get("hide_name")]
    for net, bits in sorted(shown, key=lambda item: (len(item[0]), item[0])):
        for at, bit in enumerate(bits):
            if bit in numbers:
                names.setdefault(numbers[bit], f"{net}[{at}]" if len(bits) > 1 else net)
    return Netlist(name, inputs, outputs, cells, names)
