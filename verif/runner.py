"""Runs cocotb benches: a component and a configuration to Verilog, to an executable, to results.

``python -m verif.runner [BENCH ...] [--simulator NAME] [--seed N] [--config INDEX] [--list]``
"""

import argparse
import os
import random
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from gen.emit import emit
from gen.manifest import ports
from model.command import Parser
from sw.sim.simulators import SIMULATORS
from sw.sim.verilator import HERE, ToolError
from verif import cta, lookup
from verif.bench import Bench, environment

__all__ = ["BENCHES", "run", "play", "main"]

BENCHES = {**cta.BENCHES, **lookup.BENCHES}


def run(name: str, bench: Bench, cfg, run_seed: int, simulator: str = next(iter(SIMULATORS)),
        test: str | None = None) -> tuple[int, int]:
    """Run a bench, or its cocotb test ``test`` alone, on one configuration.

    Gives the numbers of tests and of failures. Raises :class:`sw.sim.verilator.ToolError` where the
    simulator of :data:`sw.sim.simulators.SIMULATORS` is missing or fails.
    """
    from cocotb_tools.runner import get_runner
    chosen, component = SIMULATORS[simulator], bench.factory(cfg)
    chosen.find()
    top = getattr(component, "module_name", name)
    names = ["clk", "rst", *(port for port, *_ in ports(component))]
    folder = chosen.build(name, emit(component, name=top), top, names)
    more = {} if test is None else {"test_filter": rf"{test}$"}
    return play(get_runner(chosen.name), bench, environment(bench, cfg, run_seed, component), top, folder,
                plusargs=chosen.arguments(run_seed), **more)


def play(runner, bench: Bench, variables: dict, top: str, build_dir: Path,
         **more) -> tuple[int, int]:
    """Run the tests of a bench on what is built in ``build_dir``, with the ``variables`` of
    :func:`verif.bench.environment`. Gives the numbers of tests and of failures; prints the log where
    one failed."""
    variables = {**variables,
                 "COCOTB_LOG_LEVEL": os.environ.get("COCOTB_LOG_LEVEL", "WARNING"),
                 "COCOTB_RANDOM_SEED": variables["HASHLAYER_SEED"],
                 "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), *sys.path])}
    with tempfile.TemporaryDirectory(prefix="hashlayer-") as folder:
        log, results = Path(folder, "log"), Path(folder, "results.xml")
        try:
            runner.test(test_module=bench.module, hdl_toplevel=top, hdl_toplevel_lang="verilog",
                        build_dir=build_dir, test_dir=build_dir, extra_env=variables,
                        results_xml=results, log_file=log, **more)
        except SystemExit:
            pass           # a failed test, where pytest runs us; the results tell
        try:
            cases = list(ElementTree.parse(results).iter("testcase"))
        except (FileNotFoundError, ElementTree.ParseError):
            print(log.read_text() if log.exists() else "")
            return 0, 1    # it broke down before it had results
        failed = [case for case in cases if case.find("failure") is not None
                  or case.find("error") is not None]
        if failed:
            print(log.read_text())
        return len(cases), len(failed)


def main(argv=None) -> int:
    parser = Parser(prog="python -m verif.runner", description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", nargs="*", help=f"of {', '.join(BENCHES)}; all by default")
    parser.add_argument("--seed", type=int, default=os.environ.get("HASHLAYER_SEED") or None,
                        help="replay this seed (also HASHLAYER_SEED)")
    default = next(iter(SIMULATORS))
    parser.add_argument("--simulator", choices=list(SIMULATORS), default=default,
                        help="(default %(default)s)")
    parser.add_argument("--config", type=int, help="only the configuration of this number")
    parser.add_argument("--list", action="store_true", help="list benches and configurations")
    args = parser.parse_args(argv)
    for name in args.bench:
        if name not in BENCHES:
            parser.error(f"bench is {name!r}, must be one of {', '.join(BENCHES)}")
    chosen = args.bench or list(BENCHES)
    for name in chosen if args.config is not None and (args.bench or args.config < 0) else ():
        count = len(BENCHES[name].configs)
        if not 0 <= args.config < count:
            parser.error(f"config is {args.config}, must be in 0..{count - 1} for bench {name}")
    if args.list:
        for name in chosen:
            for index, parameters in enumerate(BENCHES[name].configs):
                print(name, index, parameters)
        return 0
    try:
        SIMULATORS[args.simulator].find()
    except ToolError as error:
        parser.error(str(error))
    run_seed = int(args.seed) if args.seed is not None else random.randrange(1 << 31)
    bad = ran = 0
    for name in chosen:
        bench = BENCHES[name]
        for index, parameters in enumerate(bench.configs):
            if args.config not in (None, index):
                continue
            ran += 1
            start = time.monotonic()
            replay = f"make -C verif sim BENCH={name} CONFIG={index} SEED={run_seed}"
            replay += "" if args.simulator == default else f" SIM={args.simulator}"
            try:
                tests, failed = run(name, bench, bench.configuration(parameters), run_seed,
                                    args.simulator)
            except Exception as error:   # one bench must not hide the next
                tests, failed = 0, 1
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
            shown = " ".join(f"{k}={v}" for k, v in parameters.items()) or "default"
            outcome = f"{tests} passed" if tests and not failed else "FAILED"
            print(f"{name:16} {shown:40} {outcome:10} {time.monotonic() - start:5.1f} s  "
                  f"seed {run_seed}", flush=True)
            if outcome == "FAILED":
                bad += 1
                print(f"  replay: {replay}", flush=True)
    if not ran:
        parser.error(f"config is {args.config}, which no bench has: see --list")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
