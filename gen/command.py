"""The command line that all generators share: configuration in, Verilog and manifest out."""

import argparse
import dataclasses
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gen.emit import EmitError, emit_all
from gen.manifest import manifest
from gen.names import require_names
from gen.progress import progress
from model.command import Parser, add_parameters, given
from model.config import json_object
from model.errors import ConfigError
from model.files import write_json, write_text

__all__ = ["Command"]


@dataclass(frozen=True)
class Command:
    """One generator of a ``config``, whose parameters are its flags; those of ``always``
    stand in the header of the Verilog even at their default; ``fields`` and ``codes`` (enumerations of
    the words) go into the manifest, and so do the ``banks`` of a configuration if the engine lists them."""

    program: str
    what: str
    config: type
    component: Callable
    always: tuple[str, ...]
    fields: dict[str, tuple]
    codes: dict[str, type]
    banks: Callable | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """Fields of the configuration that are flags."""
        return tuple(self.config.parameter_help())

    def add_configuration(self, p: argparse.ArgumentParser) -> None:
        """Add the flags that :meth:`configuration` reads."""
        add_parameters(p, self.config)
        p.add_argument("--config", type=Path, metavar="FILE",
                       help="JSON with any of the above, formats (fmt) and the program; flags go first")

    def add_flags(self, p: argparse.ArgumentParser) -> None:
        """Add the flags that :meth:`emit` reads."""
        self.add_configuration(p)
        p.add_argument("-o", "--output", type=Path, metavar="FILE",
                       help="Verilog here; - is stdout, which is the default")
        p.add_argument("--manifest", type=Path, metavar="FILE",
                       help="ports, streams, fields, memories and configuration as JSON; without -o "
                       "no Verilog comes out")
        p.add_argument("--prefix", metavar="NAME",
                       help="before the name of every module, so that several engines can stand in "
                       "one design; `digest` stands for the hash of the configuration")

    @property
    def description(self) -> str:
        """What its command line does."""
        return f"{self.what} as Verilog on standard output"

    def configuration(self, arguments: argparse.Namespace):
        """The configuration of a command line; raises ConfigError or OSError."""
        data = {}
        if arguments.config:
            try:
                text = arguments.config.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise ConfigError(f"{arguments.config} is not JSON: {error}") from None
            data = json_object(text, str(arguments.config))
        return self.config.from_dict(data | given(self.config, arguments))

    def line(self, cfg, prefix: str | None = None) -> str:
        """The command that emits this configuration: what is always shown, and what differs
        from what these alone would give. What is no flag comes from a file."""
        shown = {name: getattr(cfg, name) for name in self.always}
        base = self.config(**shown)
        words = [self.program]
        for name in self.parameters:
            value = getattr(cfg, name)
            if name in shown or value != getattr(base, name):
                words.append((f"--{name}" if value else f"--no-{name}") if isinstance(value, bool)
                             else f"--{name} {value}")
        words += [f"--prefix {prefix}"] if prefix else []
        rest = {f.name for f in dataclasses.fields(cfg)} - set(self.parameters)
        same = all(getattr(cfg, name) == getattr(base, name) for name in rest)
        return " ".join(words) + ("" if same else " --config FILE")

    def main(self, argv=None) -> int:
        """Emit what a command line says; returns the exit status."""
        parser = Parser(prog=self.program, description=self.description)
        self.add_flags(parser)
        return self.emit(parser.parse_args(argv))

    def emit(self, arguments: argparse.Namespace) -> int:
        """Emit; returns the exit status."""
        try:
            cfg = self.configuration(arguments)
            prefix = self.prefix(arguments, cfg)
            require_names()
            with progress(self.program.removeprefix("python -m ")) as report:
                emitted = emit_all(self.component(cfg), digest=cfg.digest, prefix=prefix,
                                   command=self.line(cfg, arguments.prefix), progress=report)
            if arguments.manifest:
                write_json(arguments.manifest, self.describe(cfg, emitted))
            to_stdout = arguments.output is None and not arguments.manifest
            if arguments.output and str(arguments.output) != "-":
                write_text(arguments.output, emitted.text)
            elif arguments.output or to_stdout:
                sys.stdout.write(emitted.text)
                sys.stdout.flush()
        except BrokenPipeError:
            raise                # the reader has gone: no fault of the engine's
        except (ConfigError, EmitError, OSError) as error:
            print(f"{self.program.removeprefix('python -m ')}: {error}", file=sys.stderr)
            return 2
        return 0

    def prefix(self, arguments: argparse.Namespace, cfg) -> str:
        """What stands before the module names; raises ConfigError where that is no identifier."""
        asked = arguments.prefix
        if asked is None:
            return ""
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", asked):
            raise ConfigError(f"prefix is {asked!r}, must be a letter or _, then up to 63 letters, "
                              "digits or _")
        return f"h{cfg.digest}_" if asked == "digest" else asked

    def describe(self, cfg, emitted) -> dict:
        """The manifest of what was emitted."""
        tables = {name: [list(f) for f in fields] for name, fields in self.fields.items()}
        listed = {"banks": [bank.as_dict() for bank in self.banks(cfg)]} if self.banks else {}
        return manifest(emitted.component, cfg=cfg.as_dict(), digest=cfg.digest,
                        name=emitted.name, fields=tables, memories=emitted.memories,
                        memory_bits=sum(memory["bits"] for memory in emitted.memories),
                        **listed, **{name: {code.name: int(code) for code in codes}
                                     for name, codes in self.codes.items()})
