"""The command line that both generators share: configuration in, Verilog and manifest out."""

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gen.emit import emit, manifest
from model.config import json_object
from model.errors import ConfigError

__all__ = ["Command"]


class _Parser(argparse.ArgumentParser):
    """Usage errors in one line, as all others; no abbreviated flags."""

    def error(self, message):
        self.exit(2, f"{self.prog.removeprefix('python -m ')}: {message}\n")


def _number(text: str):
    """An integer where it is one; the configuration refuses the rest by name."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else text


@dataclass(frozen=True)
class Command:
    """One generator. ``parameters`` are fields of ``config`` with their help; those of ``always``
    stand in the header of the Verilog even at their default; ``fields`` go into the manifest."""

    program: str
    what: str
    config: type
    component: Callable
    parameters: dict[str, str]
    always: tuple[str, ...]
    fields: dict[str, tuple]

    def parser(self) -> argparse.ArgumentParser:
        """The command line."""
        p = _Parser(prog=self.program, description=self.what, allow_abbrev=False)
        types = {f.name: f.type for f in dataclasses.fields(self.config)}
        for name, text in self.parameters.items():
            kind = types[name]
            if kind in (bool, "bool"):
                p.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=text)
            else:
                number = kind in (int, "int")
                p.add_argument(f"--{name}", type=_number if number else str,
                               metavar="N" if number else "WORD", help=text)
        p.add_argument("--config", type=Path, metavar="FILE",
                       help="JSON with any of the above and formats (fmt); flags go first")
        p.add_argument("-o", "--output", type=Path, metavar="FILE",
                       help="Verilog here, not on stdout")
        p.add_argument("--manifest", type=Path, metavar="FILE",
                       help="ports, streams, fields and configuration as JSON")
        return p

    def configuration(self, arguments: argparse.Namespace):
        """The configuration of a command line; raises ConfigError or OSError."""
        data = {}
        if arguments.config:
            try:
                text = arguments.config.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise ConfigError(f"{arguments.config} is not JSON: {error}") from None
            data = json_object(text, str(arguments.config))
        data |= {name: value for name in self.parameters
                 if (value := getattr(arguments, name)) is not None}
        return self.config.from_dict(data)

    def line(self, cfg) -> str:
        """The command that emits this configuration: what is always shown, and what differs
        from what these alone would give."""
        shown = {name: getattr(cfg, name) for name in self.always}
        base = self.config(**shown)
        words = [self.program]
        for name in self.parameters:
            value = getattr(cfg, name)
            if name in shown or value != getattr(base, name):
                words.append((f"--{name}" if value else f"--no-{name}") if isinstance(value, bool)
                             else f"--{name} {value}")
        return " ".join(words) + ("" if cfg.fmt == base.fmt else " --config FORMATS")

    def main(self, argv=None) -> int:
        """Emit; returns the exit status."""
        arguments = self.parser().parse_args(argv)
        try:
            cfg = self.configuration(arguments)
            top = self.component(cfg)
            text = emit(top, digest=cfg.digest, command=self.line(cfg))
            if arguments.manifest:
                tables = {name: [list(f) for f in fields] for name, fields in self.fields.items()}
                data = manifest(top, cfg=cfg.as_dict(), digest=cfg.digest, fields=tables)
                arguments.manifest.write_text(json.dumps(data, indent=2) + "\n")
            if arguments.output:
                arguments.output.write_text(text)
            else:
                sys.stdout.write(text)
        except (ConfigError, OSError) as error:
            print(f"{self.program.removeprefix('python -m ')}: {error}", file=sys.stderr)
            return 2
        return 0
