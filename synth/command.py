"""``python -m synth ENGINE ...``: what an engine costs in cells and memories, and how fast it is.

Maps the Verilog of any configuration to standard cells, block by block, adds up areas and times the whole;
with a recorded run it adds the energy of its job.
Blocks that did not change are taken from the cache.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from gen.emit import EmitError, emit_all
from gen.engines import ENGINES
from gen.progress import progress
from model.command import Parser, refusing
from model.errors import ConfigError
from model.files import write_json
from model.memory_area import Macro
from synth import energy_report, report
from synth.activity import read
from synth.area import Area, area
from synth.energy import energy
from synth.mapping import Mapped, map_modules
from synth.picture import KINDS, draw
from synth.speed import PERIOD, Speed, speed
from synth.sram import macro
from synth.technology import NAMES, Technology, of_liberty, technology
from synth.verilog import Module, modules, order

__all__ = ["Blocks", "Design", "emitted_blocks", "main", "mapped_design", "synthesised"]


def cache_dir() -> Path:
    """Where mapped blocks are kept: HASHLAYER_CACHE, build/ of a checkout, or the user's cache."""
    root = Path(__file__).resolve().parents[1]
    if os.environ.get("HASHLAYER_CACHE"):
        return Path(os.environ["HASHLAYER_CACHE"]) / "synth"
    if (root / "pyproject.toml").exists():
        return root / "build" / "synth"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "hashlayer" / "synth"


@dataclass(frozen=True)
class Design:
    """A mapped engine: its modules by name, the ``names`` children before parents and the top last, the
    memories by name, and inputs that do not change by module."""

    mapped: dict[str, Mapped]
    names: list[str]
    macros: dict[str, Macro]
    static: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Blocks:
    """An emitted engine before it is mapped: its ``modules`` by name, and the rest as in :class:`Design`."""

    modules: dict[str, Module]
    names: list[str]
    macros: dict[str, Macro]
    static: dict[str, tuple[str, ...]]


def emitted_blocks(engine: str, cfg, show=lambda _: None) -> Blocks:
    """The Verilog of an engine, block by block; ``show(what)`` is called as it advances."""
    emitted = emit_all(ENGINES[engine].component(cfg), progress=show)
    found = modules(emitted.text)
    names = order(found, emitted.name)
    macros = {child: macro(child) for name in names for child in found[name].children
              if child not in found}
    return Blocks(found, names, macros, emitted.static)


def mapped_design(engine: str, cfg, chosen: Technology, show=lambda _: None) -> Design:
    """An engine in the cells of a technology; ``show(what)`` is called as it advances.

    Raises :class:`synth.mapping.ToolMissing`.
    """
    blocks = emitted_blocks(engine, cfg, show)
    mapped = map_modules(blocks.modules, blocks.names, blocks.macros, chosen.liberty, cache_dir(), show)
    return Design(mapped, blocks.names, blocks.macros, blocks.static)


def synthesised(design: Design, chosen: Technology, period: float = PERIOD) -> tuple[Area, Speed]:
    """The areas of a mapped engine in a technology and its worst paths at a clock of ``period`` ns.

    Raises :class:`synth.timing.LoopError`.
    """
    return (area(design.mapped, design.names, design.macros, chosen),
            speed(design.mapped, design.names, design.macros, chosen, design.static, period))


@refusing("synth", ConfigError, EmitError, OSError)
def main(argv=None) -> int:
    """Synthesise; gives the exit status."""
    parser = Parser(prog="synth",
                    description="What an engine costs in cells and memories, and how fast it is.")
    engines = parser.add_subparsers(dest="engine", required=True, metavar="ENGINE")
    for name, engine in ENGINES.items():
        one = engines.add_parser(name, prog=f"synth {name}", help=engine.what,
                                 description=f"What {engine.what} of this configuration costs.")
        engine.add_configuration(one)
        where = one.add_mutually_exclusive_group()
        where.add_argument("--technology", metavar="NAME",
                           help=f"one of {', '.join(NAMES)} (default {NAMES[0]})")
        where.add_argument("--liberty", metavar="FILE", help="cells of one's own, NLDM, may be gzipped")
        one.add_argument("--period", type=float, default=PERIOD, metavar="NS",
                         help=f"clock that slacks are measured against (default {PERIOD})")
        one.add_argument("--activity", metavar="FILE",
                         help="a run of `hashlayer record`: adds the energy of its job")
        one.add_argument("--json", metavar="FILE", help="the figures as JSON")
        one.add_argument("--plot", metavar="FILE", help=f"a picture of them, {', '.join(KINDS)}")
        one.add_argument("--energy-plot", metavar="FILE", help="a picture of the energy")
    args = parser.parse_args(argv)
    cfg = ENGINES[args.engine].configuration(args)
    for path in filter(None, (args.json, args.plot, args.energy_plot)):
        if Path(path).is_dir() or not Path(path).absolute().parent.is_dir():      # better now than later
            raise ConfigError(f"{path} cannot be written: it is a folder, or its folder does not exist")
    if not 0 < args.period < float("inf"):
        raise ConfigError(f"period is {args.period}, must be a time in ns above 0")
    if args.energy_plot and not args.activity:
        raise ConfigError("energy-plot needs the activity of a run: --activity FILE")
    activity = read(args.activity, args.engine, cfg) if args.activity else None
    chosen = of_liberty(args.liberty) if args.liberty else technology(args.technology or NAMES[0])
    with progress(f"synth {args.engine}") as show:
        design = mapped_design(args.engine, cfg, chosen, show)
        show("timing")
        found, fast = synthesised(design, chosen, args.period)
        spent = activity and energy(design.mapped, design.names, design.macros, chosen, activity,
                                    args.period, show)
    if args.json:
        write_json(args.json, report.data(found, fast, args.engine, cfg) | (
            {"energy": energy_report.data(spent, args.engine)} if spent else {}))
    if args.energy_plot:
        energy_report.draw(spent, args.engine, args.energy_plot)
    if args.plot:
        draw(found, args.engine, args.plot)
    print(report.text(found, fast, args.engine))
    if spent:
        print("\n" + energy_report.text(spent, args.engine))
    return 0
