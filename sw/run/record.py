"""Record what blocks of an engine see while it works on a head or a layer: ``hashlayer record``.

    hashlayer record cta head.npz --clusters 322,258,29 -o build/cta-0.npz
    hashlayer synth cta --activity build/cta-0.npz          # energy by block and phase

The job runs on the Verilog, with the ports of some instances of every block kept cycle by cycle
(:mod:`sw.sim.recording`). The file is as long as the job: 100 to 200 MB for a head of 512 tokens.
"""

import json
import sys

import numpy as np

from model.command import Parser, add_parameters, refusing
from model.cta.layout import TRACE_FIELDS, TraceOp
from sw.io.errors import InputError
from sw.io.writing import require_writable, write_npz
from sw.run.command import SUBCOMMANDS
from sw.run.pipeline import Prepared
from sw.run.subcommand import Subcommand
from sw.sim import recording
from sw.sim.engines import tools
from sw.sim.session import accepted

__all__ = ["main", "recorded"]

BEFORE, AFTER, JOB = "before", "after", "job"
"""Phases without a name of their own: operands go in, outputs leave, and the job of an engine whose trace
names no operation."""


def recorded(prepared: Prepared, instances: int = recording.INSTANCES) -> dict:
    """The arrays of the file of a job: ``values`` (cycles, bytes), ``phases`` (cycles,), and ``about``, JSON
    that says what they hold. Raises :class:`sw.io.errors.InputError` where the engine refuses the job."""
    engine = prepared.ENGINE
    with tools():
        recorder = recording.build(engine.name, prepared.cfg, instances)
        try:
            result = accepted(engine.driver.run_jobs(
                prepared.cfg, [(prepared.quantised.weights, prepared.quantised.job)], engine=recorder))[-1]
        except engine.driver.Refused as error:
            raise InputError(str(error)) from None
    record = recorder.recording
    start = record.run.cycles["job"][-1] + 1        # its word was looked at for a cycle
    names, phases = _phases(engine.name, record, start, start + result.cycles)
    about = {"engine": engine.name, "config_hash": prepared.cfg.digest, "phases": names, "start": start,
             "cycles": result.cycles, "job": _numbers(prepared, result),
             "blocks": {name: ["/".join(path) for path in paths] for name, paths in record.blocks.items()},
             "signals": [["/".join((*s.path, s.port)), s.width, s.offset, s.size] for s in record.signals]}
    return {"values": record.values, "phases": phases, "about": np.array(json.dumps(about))}


def _numbers(prepared: Prepared, result) -> dict:
    """What a report tells jobs apart by."""
    job = prepared.quantised.job
    found = {name: int(getattr(result, name)) for name in ("k0", "k1", "k2") if hasattr(result, name)}
    return found | {"mode": job.mode.name.lower()} if hasattr(job, "mode") else found


def _phases(engine: str, record, start: int, end: int) -> tuple[list[str], np.ndarray]:
    """Names of the phases, and the phase of each cycle: what the array does, as its trace says."""
    cycles = len(record.values)
    label = np.zeros(cycles, np.uint8)
    if engine != "cta":
        label[start:end], label[end:] = 1, 2
        return [BEFORE, JOB, AFTER], label
    width = dict(TRACE_FIELDS)["sa"]
    operation = record.run.per_cycle(start, end) & ((1 << width) - 1)
    names = [BEFORE, AFTER, *(op.name.lower() for op in TraceOp)]
    label[start:end] = 2 + operation
    label[end:] = 1
    return names, label


def _parser() -> Parser:
    parser = Parser(prog="record", description="Record what blocks of an engine see in a job.")
    engines = parser.add_subparsers(dest="engine", required=True, metavar="ENGINE", parser_class=Parser)
    for each in SUBCOMMANDS:
        _add(engines, each)
    return parser


def _add(engines, each: Subcommand) -> None:
    name = each.ENGINE.name
    parser = engines.add_parser(name, prog=f"record {name}", help=each.HELP, description=each.DESCRIPTION)
    parser.set_defaults(prepare=each.prepare)
    parser.add_argument("input", metavar=each.NOUN, help=f"the {each.NOUN}, an .npz")
    parser.add_argument("-o", "--output", required=True, metavar="FILE",
                        help="where the record goes, an .npz")
    parser.add_argument("--instances", type=int, default=recording.INSTANCES, metavar="N",
                        help="of a kind of block, drawn at random (default %(default)s, at most 64)")
    parser.add_argument("--config", metavar="FILE", help="engine configuration, JSON; flags go over it")
    each.add_flags(parser)
    add_parameters(parser, each.ENGINE.config, **each.ELSEWHERE)


@refusing("record", InputError)
def main(argv=None) -> int:
    """Record; gives the exit status."""
    args = _parser().parse_args(argv)
    if not 1 <= args.instances <= 64:
        raise InputError(f"instances is {args.instances}, must be in 1..64")
    require_writable(args.output)
    found = recorded(args.prepare(args), args.instances)
    write_npz(args.output, found)
    about = json.loads(str(found["about"]))
    print(f"{len(found['values']):,} cycles, {about['cycles']:,} of them the job; "
          f"{found['values'].shape[1]:,} bytes a cycle of {len(about['blocks'])} kinds of block")
    return 0


if __name__ == "__main__":
    sys.exit(main())
