"""Waveforms of blocks: a few cycles of port tables, which ``tests/docs/test_pages.py`` plays.

The tables come from the functions of ``verif`` that make those of tests and benches.

``python -m docs.site.waves pe -o build/pe.svg --vcd build/pe.vcd`` draws the first cycles of the
table of a block, and plays all of it in the simulator, which records every signal; a difference
from what the table expects is an error.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.cta.config import CTAConfig
from model.cta.timing import cim_latency
from model.files import write_text
from verif.cta import (
    array_program,
    cluster_codes,
    pe_program,
    ppe_program,
    probability_program,
    sequencer_program,
)
from verif.port_table import PortTable
from verif.ports import NativePorts

__all__ = ["WAVES", "Wave", "main", "render", "wavejson"]

CYCLES = 16
ROWS = 18


@dataclass(frozen=True)
class Wave:
    """A block and a table of its port values.

    component, table : functions of nothing, so that a page builds what it shows alone.
    about : what stands under the picture.
    first : the first cycle shown.
    """

    component: object
    table: object
    about: str
    first: int = 0


SMALL = CTAConfig(b=2, d=8, l=2, n=8)


def _random():
    return np.random.default_rng(1)


def _pe():
    from gen.cta.pe import PE

    return PE(SMALL)


def _columns():
    from gen.cta.columns import Columns

    return Columns(SMALL)


def _row():
    from gen.cta.ppe_row import PPERow

    return PPERow(SMALL)


def _probability():
    from gen.cta.probability import Probability

    return Probability(SMALL)


def _program():
    from verif.cta.sequencer_top import SequencerTop

    return SequencerTop(SMALL)


def _cluster_index():
    from gen.cta.cluster_index import ClusterIndex

    return ClusterIndex(SMALL)


def _codes() -> PortTable:
    """One clustering of the six codes of two kinds, and the indices that it must get."""
    codes = np.array([[3, 1], [3, 1], [-2, 0], [3, 2], [-2, 0], [3, 1]])
    work = [(1, codes)]
    cycles = cluster_codes.stream(SMALL, work, _random())
    table = PortTable(control=("valid",))
    for now, entry in enumerate(cycles):
        if entry:
            at, hpass, token = entry
            table.drive[now] |= {
                ("valid", None): 1,
                ("first", None): int(token == 0),
                ("last", None): int(token == len(codes) - 1),
                ("lsh", None): work[at][0],
                ("hpass", None): hpass,
            }
            for column, value in enumerate(codes[token]):
                table.drive[now + column]["hash", column] = int(value)
    for now, ct, first, last, lsh, *_ in cluster_codes.expected(SMALL, work, cycles):
        table.expect[now] |= {
            ("ct_valid", None): 1,
            ("ct", None): ct,
            ("ct_first", None): int(first),
            ("ct_last", None): int(last),
            ("ct_lsh", None): lsh,
        }
    for now in range(len(cycles) + cim_latency(SMALL) + 1):
        table.expect[now].setdefault(("ct_valid", None), 0)
    return table


def _pag() -> PortTable:
    rng = _random()
    table = probability_program.Program(SMALL)
    batch = probability_program.random_batch(rng, SMALL, n=8, cols=2)
    start = table.feed(batch, 1) + 1
    table.walk(batch, start)
    return table


WAVES = {
    "PE": Wave(
        _pe,
        lambda: pe_program.random_program(SMALL, _random()),
        "All inputs are random in every cycle. ``x_out`` repeats ``x_in`` a cycle later; "
        "the product of ``x_in`` and the value of cycle c meets ``sum_in`` of cycle c + 2 "
        "and shows in ``sum_out`` in cycle c + 3.",
    ),
    "Columns": Wave(
        _columns,
        lambda: array_program.random_program(SMALL, _random()),
        "The beginning of a job: values are pushed in, then operands pass.",
    ),
    "PPERow": Wave(
        _row,
        lambda: ppe_program.random_program(SMALL, _random()),
        "Operations in random order; ``sum`` of column 1 comes a cycle after that of column 0.",
    ),
    "ClusterIndex": Wave(
        _cluster_index,
        _codes,
        "Six tokens with three different codes. Value 1 of a code comes a cycle "
        "after value 0. Equal codes get equal indices, in the order in which they "
        "are first seen.",
    ),
    "Probability": Wave(
        _probability,
        _pag,
        "The scores of one batch for two queries, column 1 a cycle later; "
        "``cs_done`` marks the last.",
    ),
    "Program": Wave(
        _program,
        lambda: sequencer_program.head_program(
            SMALL, _random(), [sequencer_program.random_head(SMALL, _random(), False)]
        ),
        "The start of a job: slots of the first LSH.",
    ),
}
"""By the class of the block."""


def _key(name, index):
    return name if index is None else f"{name}[{index}]"


def wavejson(table: PortTable, first: int = 0, cycles: int = CYCLES, rows: int = ROWS) -> dict:
    """A window of a table as WaveJSON: inputs above, outputs below; x where nothing is said."""
    window = range(first, first + cycles)
    groups = []
    for title, side in (("in", table.drive), ("out", table.expect)):
        keys = {key: None for now in window for key in side.get(now, {})}
        lanes = []
        for key in list(keys)[: rows // 2]:
            values = [side.get(now, {}).get(key) for now in window]
            lanes.append({"name": _key(*key), **_lane(values, key[0] in table.control)})
        groups.append([title, *lanes])
    # A cycle is wide enough for the longest number in it.
    longest = max(
        (len(text) for _, *lanes in groups for lane in lanes for text in lane.get("data", ())),
        default=0,
    )
    return {
        "signal": [{"name": "clk", "wave": "p" + "." * (cycles - 1)}, *groups],
        "head": {"tock": first},
        "config": {"hscale": 3 if longest > 7 else 2},
    }


def _lane(values, control: bool) -> dict:
    """The characters of a signal and the texts in them."""
    known = [value for value in values if value is not None]
    bit = set(known) <= {0, 1}
    wave, data, before = "", [], object()
    for value in values:
        if value is None and control:
            value = 0
        if value == before:
            wave += "."
        elif value is None:
            wave += "x"
        elif bit:
            wave += str(value)
        else:
            wave += "="
            data.append(str(value))
        before = value
    return {"wave": wave, "data": data} if data else {"wave": wave}


def render(wave: dict) -> str:
    """WaveJSON as SVG text."""
    import wavedrom

    text = wavedrom.render(json.dumps(wave)).tostring()
    # The paper is white whatever the page is, and a machine without Helvetica has another.
    text = text.replace("font-family:Helvetica", "font-family:Helvetica,Arial,sans-serif")
    return text.replace("<defs>", '<rect width="100%" height="100%" fill="white"/><defs>', 1)


def play(wave: Wave, vcd: Path | None) -> int:
    """Play the whole table in the simulator, recording to ``vcd``; gives the cycles."""
    from contextlib import nullcontext

    from amaranth.sim import Simulator

    component, table = wave.component(), wave.table()

    async def bench(ctx):
        await table.play(NativePorts(ctx, component), 1)

    sim = Simulator(component)
    sim.add_clock(1e-9)
    sim.add_testbench(bench)
    with sim.write_vcd(str(vcd)) if vcd else nullcontext():
        sim.run()
    return table.end


def main(argv=None) -> int:
    """Draw and play the table of a block; returns the exit status."""
    names = {name.lower(): name for name in WAVES}
    parser = argparse.ArgumentParser(prog="docs.site.waves", description=__doc__.split("\n")[0])
    parser.add_argument("block", choices=names)
    parser.add_argument("-o", "--output", type=Path, help="the picture, SVG")
    parser.add_argument("--vcd", type=Path, help="a record of every signal, for a waveform viewer")
    args = parser.parse_args(argv)
    wave = WAVES[names[args.block]]
    for path in filter(None, (args.output, args.vcd)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if args.output:
        write_text(args.output, render(wavejson(wave.table(), wave.first)))
    print(f"{args.block}: {play(wave, args.vcd)} cycles played, all as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
