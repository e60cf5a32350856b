"""A library whose delays one can work out by hand: linear in slew and load.

Times in ns, capacitances in fF. A flip-flop takes 0.05 (0.06 for a falling output) + load / 1000; an inverter
0.010 (0.008) + slew / 10 + load / 1000; a buffer 0.020 + slew / 10 + load / 10000; a NAND as an inverter, and
0.002 more from B. Slews are 0.02 + load / 500 everywhere.
"""

from synth.cells import Library, cells_of
from synth.liberty import parse
from synth.netlist import Cell, Netlist

__all__ = ["LIBERTY", "library", "module"]


def _table(kind: str, base: float, slew: float, load: float) -> str:
    values = ", ".join(f"{base + x * slew + y * load:.6f}" for x in (0, 1) for y in (0, 100))
    return f'{kind} (t) {{ index_1 ("0, 1"); index_2 ("0, 100"); values ("{values}"); }}'


def _arc(start: str, sense: str, rise: float, fall: float, slew: float, load: float, kind: str = "") -> str:
    return (f'timing () {{ related_pin : "{start}"; timing_sense : {sense}; {kind} '
            + _table("cell_rise", rise, slew, load) + _table("cell_fall", fall, slew, load)
            + _table("rise_transition", 0.02, 0, 0.002) + _table("fall_transition", 0.02, 0, 0.002) + "}")


def _input(name: str, load: float, more: str = "") -> str:
    return f"pin ({name}) {{ direction : input; capacitance : {load}; {more} }}"


def _gate(name: str, area: float, inputs: str, function: str, arcs: str) -> str:
    return (f'cell ({name}) {{ area : {area}; {inputs} '
            f'pin (Y) {{ direction : output; function : "{function}"; {arcs} }} }}')


SETUP = """timing () { related_pin : "C"; timing_type : setup_rising;
  rise_constraint (scalar) { values ("0.03"); } fall_constraint (scalar) { values ("0.04"); } }"""
CELLS = [
    f"""cell (DFF) {{ area : 4; ff (IQ, IQN) {{ clocked_on : C; next_state : D; }}
      {_input("C", 1, "clock : true;")} {_input("D", 1, SETUP)}
      pin (Q) {{ direction : output; function : IQ;
      {_arc("C", "non_unate", 0.05, 0.06, 0, 0.001, "timing_type : rising_edge;")} }} }}""",
    _gate("INV", 1, _input("A", 2), "!A", _arc("A", "negative_unate", 0.010, 0.008, 0.1, 0.001)),
    _gate("BUF", 2, _input("A", 2), "A", _arc("A", "positive_unate", 0.020, 0.020, 0.1, 0.0001)),
    _gate("NAND", 1.5, _input("A", 2) + _input("B", 2), "!(A&B)",
          _arc("A", "negative_unate", 0.010, 0.008, 0.1, 0.001)
          + _arc("B", "negative_unate", 0.012, 0.010, 0.1, 0.001))]
LIBERTY = f"library (linear) {{ time_unit : 1ns; capacitive_load_unit (1, ff); {' '.join(CELLS)} }}"


def library(*without: str) -> Library:
    """The cells, but those of these names."""
    found = cells_of(parse(LIBERTY))
    return Library(found.name, found.voltage, found.temperature,
                   {name: cell for name, cell in found.cells.items() if name not in without})


def module(name: str, cells: dict[str, tuple], inputs: dict | None = None, outputs: dict | None = None
           ) -> Netlist:
    """A module: ``cells`` has kind and pins of each, ``{"g": ("INV", {"A": "x", "Y": "y"})}``; nets are
    words, those of a port with several bits in one string: ``"a0 a1"``."""
    numbers: dict[str, int] = {}

    def nets(words: str) -> tuple[int, ...]:
        return tuple(numbers.setdefault(word, len(numbers)) for word in words.split())
    return Netlist(name, *({port: nets(bits) for port, bits in (side or {}).items()}
                           for side in (inputs, outputs)),
                   tuple(Cell(at, kind, {pin: nets(bits) for pin, bits in pins.items()})
                         for at, (kind, pins) in cells.items()), {n: word for word, n in numbers.items()})
