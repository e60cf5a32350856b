"""What a command ``sw.run ENGINE`` is: flags, a job out of a file, and a summary of its report."""

import argparse
from abc import ABC, abstractmethod
from typing import ClassVar

from model.command import add_parameters
from sw.io.figures import error_line, event_lines
from sw.run.pipeline import BACKENDS, Prepared, execute, report
from sw.sim.engines import Engine

__all__ = ["Subcommand", "add_results"]


def add_results(parser: argparse.ArgumentParser) -> None:
    """The flags for where outputs and report go."""
    parser.add_argument("-o", "--output", metavar="FILE", help="where the outputs go, an .npz")
    parser.add_argument("--report", metavar="FILE", help="where the report goes, JSON "
                        "(default: a summary on stdout)")


class Subcommand(ABC):
    """The command that runs one ``NOUN`` of a file on an engine."""

    ENGINE: ClassVar[Engine]
    NOUN: ClassVar[str]
    HELP: ClassVar[str]
    DESCRIPTION: ClassVar[str]
    ELSEWHERE: ClassVar[dict[str, str]]
    """Where a parameter comes from that the command line does not give."""

    def add(self, engines) -> None:
        """Add the command to those of ``sw.run``."""
        name = self.ENGINE.name
        parser = engines.add_parser(name, prog=f"sw.run {name}", help=self.HELP,
                                    description=self.DESCRIPTION)
        parser.set_defaults(command=self.run)
        parser.add_argument("input", metavar=self.NOUN, help=f"the {self.NOUN}, an .npz")
        parser.add_argument("--backend", choices=BACKENDS, default="golden",
                            help="double precision, bit-exact model, the same by a kernel for this "
                            "CPU, or simulated Verilog (default golden)")
        add_results(parser)
        parser.add_argument("--config", metavar="FILE",
                            help="engine configuration, JSON; flags go over it")
        self.add_flags(parser)
        add_parameters(parser, self.ENGINE.config, **self.ELSEWHERE)

    @abstractmethod
    def add_flags(self, parser: argparse.ArgumentParser) -> None:
        """Add the flags that :meth:`prepare` reads."""

    @abstractmethod
    def prepare(self, args: argparse.Namespace) -> Prepared:
        """The job that a command line asks for; raises :class:`sw.io.errors.InputError`."""

    @abstractmethod
    def outputs(self, output, result) -> dict:
        """Arrays of the output file."""

    @abstractmethod
    def title(self, data: dict) -> str:
        """What was run, in the first line of a summary."""

    @abstractmethod
    def notes(self, data: dict) -> list[str]:
        """Lines of a summary between its errors and its events."""

    def run(self, args: argparse.Namespace, progress: bool) -> tuple[dict, dict, str]:
        """Outputs, report and its summary."""
        prepared = self.prepare(args)
        outcome = execute(prepared, args.backend, progress)
        data = report(prepared, outcome, args.backend)
        lines = [self.title(data), *(error_line(name, value) for name, value in data["error"].items()),
                 *self.notes(data), *event_lines(data)]
        reason = prepared.ENGINE.no_kernel(prepared.cfg) if args.backend == "cpu" else None
        if reason:
            lines.append(f"cpu kernel: {reason}; the golden model ran")
        return self.outputs(outcome.output, outcome.result), data, "\n".join(lines)
