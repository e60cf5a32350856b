"""A compact library out of a full one: few cells, small tables, the same figures.

    python -m synth.compact sky130hd_tt.lib.gz -o synth/data/sky130hd_compact.lib

The default technology must work without a download, and a whole library has 60,000 lines. Here the cells
that mapping needs most are kept, with the area, the capacitances, the leakage and the logic of the library,
and each table of 7 × 7 delays becomes one of 3 × 3: its knots are three of the library's, and its values
are those whose bilinear interpolation comes nearest to all 49 by least squares of relative errors. Of
energies one figure a pin is kept, as :mod:`synth.cells` takes it from the full tables. What that costs is
printed: the errors over all entries of all tables of delays.
"""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np

from model.command import Parser, refusing
from model.errors import ConfigError
from model.files import write_text
from synth.cells import cells_of
from synth.liberty import Group, LibertyError, read, written

__all__ = ["CELLS", "compact", "fitted", "main"]

PREFIX = "sky130_fd_sc_hd__"
CELLS = tuple(PREFIX + name for name in """
    inv_1 inv_2 inv_4 inv_8 inv_16 buf_1 buf_2 buf_4 buf_8 buf_16 conb_1
    nand2_1 nand2_2 nand2_4 nand2_8 nand3_1 nand3_2 nand4_1 nand2b_1
    nor2_1 nor2_2 nor2_4 nor2_8 nor3_1 nor3_2 nor4_1 nor2b_1
    and2_0 and2_2 and3_1 and4_1 or2_0 or2_2 or3_1 or4_1 and2b_1 or2b_1
    xor2_1 xor2_2 xor2_4 xnor2_1 xnor2_2 xnor2_4 xnor3_1 xor3_1 mux2_1 mux2_4 mux2i_1 mux4_1 maj3_1 maj3_2
    a21oi_1 a21oi_2 a21o_1 a22oi_1 a22o_1 a31oi_1 a31o_1 a211oi_1 a221oi_1 a222oi_1 a21boi_0 a311oi_1
    o21ai_0 o21ai_1 o21ai_2 o21a_1 o22ai_1 o22a_1 o31ai_1 o211ai_1 o221ai_1 o21bai_1 o311ai_0
    dfxtp_1 dfxtp_2 dfxtp_4""".split())
"""The cells that are kept: what ABC picks for the blocks of both engines, and drives of them."""

KEPT = ("area", "cell_leakage_power")
TABLES = ("cell_rise", "cell_fall", "rise_transition", "fall_transition", "rise_constraint",
          "fall_constraint")
ENERGY_UNIT = 1e3
"""fJ of the unit of energy, that of a picofarad at a volt."""
KINDS = ("combinational", "rising_edge", "setup_rising", "hold_rising")


def fitted(x: np.ndarray, y: np.ndarray, values: np.ndarray, points: int = 3):
    """The table of at most ``points`` knots a side that comes nearest to ``values`` (len(x), len(y)).

    Gives knots, knots and values. Errors count relative to the value, but never to less than a
    twentieth of the largest.
    """
    scale = 1 / np.maximum(np.abs(values), np.abs(values).max() / 20)
    best = None
    for rows in _knots(len(x), points):
        for columns in _knots(len(y), points):
            base = np.einsum("ia,jb->ijab", _weights(x, x[list(rows)]), _weights(y, y[list(columns)]))
            base = base.reshape(values.size, -1) * scale.reshape(-1, 1)
            found = np.linalg.lstsq(base, (values * scale).reshape(-1), rcond=None)[0]
            error = float(np.abs(base @ found - (values * scale).reshape(-1)).max())
            if best is None or error < best[0]:
                best = error, x[list(rows)], y[list(columns)], found.reshape(len(rows), len(columns))
    return best[1:]


def _knots(length: int, points: int):
    """Which knots to keep: all, or the outer ones and any between them."""
    if length <= points:
        return [tuple(range(length))]
    return [(0, *middle, length - 1) for middle in combinations(range(1, length - 1), points - 2)]


def _weights(at: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """(len(at), len(knots)): how much each knot counts in the linear interpolation."""
    return np.stack([np.interp(at, knots, unit) for unit in np.eye(len(knots))], axis=1)


def compact(full: Group, names=CELLS, points: int = 3) -> tuple[Group, np.ndarray]:
    """The compact library, and the relative errors of all its entries of delay and slew.

    Raises :class:`synth.liberty.LibertyError` for a cell that the library lacks.
    """
    keep = ("time_unit", "voltage_unit", "current_unit", "leakage_power_unit", "pulling_resistance_unit",
            "capacitive_load_unit", "delay_model", "nom_process", "nom_voltage", "nom_temperature",
            *(name for name in full.attributes if name.endswith(("_pct_rise", "_pct_fall"))),
            "slew_derate_from_library", "default_max_transition")
    made = Group("library", (f"{full.name}_compact",),
                 {name: full.attributes[name] for name in keep if name in full.attributes})
    for sizes, kind in ((("input_net_transition", "total_output_net_capacitance"), "delay"),
                        (("related_pin_transition", "constrained_pin_transition"), "constraint")):
        made.groups.append(Group("lu_table_template", (kind,), {
            "variable_1": sizes[0], "variable_2": sizes[1], "index_1": "1, 2, 3", "index_2": "1, 2, 3"}))
    cells, errors = {cell.name: cell for cell in full.children("cell")}, []
    missing = next((name for name in names if name not in cells), None)
    if missing:
        raise LibertyError(f"library {full.name!r} has no cell {missing}")
    toggles = cells_of(full).cells
    for name in names:
        made.groups.append(_cell(cells[name], points, errors, toggles[name].energies))
    return made, np.array(errors)


def _cell(cell: Group, points: int, errors: list, toggles: dict[str, float]) -> Group:
    found = Group("cell", cell.arguments, {key: f"{cell.number(key):.6g}" for key in KEPT
                                           if key in cell.attributes})
    found.groups += [Group(ff.kind, ff.arguments, dict(ff.attributes)) for ff in cell.children("ff")]
    for pin in cell.children("pin"):
        kept = Group("pin", pin.arguments, {key: pin.attributes[key] for key in (
            "direction", "function", "clock") if pin.attributes.get(key, "false") != "false"})
        for key in ("capacitance", "max_capacitance"):
            if key in pin.attributes:
                kept.attributes[key] = f"{pin.number(key):.4g}"
        kept.groups += _power(toggles.get(pin.name, 0.0))
        kept.groups += [part for timing in pin.children("timing")
                        if (part := _timing(timing, points, errors)) is not None]
        found.groups.append(kept)
    return found


def _power(toggle: float) -> list[Group]:
    """What a toggle of a pin takes inside, the same for both edges; ``toggle`` in fJ."""
    edges = [Group(edge, ("scalar",), {"values": f"{toggle / ENERGY_UNIT:.4g}"})
             for edge in ("rise_power", "fall_power")]
    return [Group("internal_power", (), {}, edges)] if toggle else []


def _timing(timing: Group, points: int, errors: list) -> Group | None:
    kind = timing.attributes.get("timing_type", "combinational")
    if kind not in KINDS:
        return None
    found = Group("timing", (), {key: timing.attributes[key] for key in (
        "related_pin", "timing_sense", "timing_type") if key in timing.attributes})
    for table in timing.children(*TABLES):
        x, y = (np.array(table.numbers(index)) for index in ("index_1", "index_2"))
        values = np.array(table.numbers("values")).reshape(len(x), len(y))
        constraint = table.kind.endswith("constraint")
        rows, columns, small = fitted(x, y, values, points)
        if not constraint:
            near = _weights(x, rows) @ small @ _weights(y, columns).T
            errors += (np.abs(near - values) / np.abs(values)).reshape(-1).tolist()
        found.groups.append(Group(table.kind, ("constraint" if constraint else "delay",), {
            "index_1": ", ".join(f"{v:.5g}" for v in rows), "index_2": ", ".join(f"{v:.5g}" for v in columns),
            "values": ", ".join(f"{v:.4g}" for v in small.reshape(-1))}))
    return found


HEADER = """/* {name}: {count} cells of {source}, tables of 3 x 3 fitted to it by `python -m synth.compact`.
   The figures are those of the library, Copyright 2020 The SkyWater PDK Authors.
   SPDX-License-Identifier: Apache-2.0
   They were changed: cells and tables were left out, and tables resampled. */
"""


@refusing("synth.compact", ConfigError, OSError)
def main(argv=None) -> int:
    """Fit; gives the exit status."""
    parser = Parser(prog="synth.compact", description="Fit a compact library to a full one.")
    parser.add_argument("liberty", help="of sky130_fd_sc_hd, may be gzipped")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the compact liberty")
    args = parser.parse_args(argv)
    full = read(args.liberty)
    made, errors = compact(full)
    text = HEADER.format(name=made.name, count=len(CELLS), source=full.name) + written(made) + "\n"
    write_text(Path(args.output), text)
    print(f"{len(CELLS)} of {len(list(full.children('cell')))} cells, {len(text):,} bytes\n"
          f"errors of {len(errors):,} delays and slews: median {np.median(errors):.1%}, "
          f"nine in ten below {np.quantile(errors, 0.9):.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
