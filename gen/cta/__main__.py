"""``python -m gen.cta``: the CTA accelerator as Verilog on standard output."""

import argparse
import json
import sys
from pathlib import Path

from gen.cta.top import CTA
from gen.emit import emit, manifest
from model.cta.config import CTAConfig, ConfigError
from model.cta.layout import JOB_FIELDS, LOAD_FIELDS, STATUS_FIELDS, TRACE_FIELDS

PARAMETERS = {
    "b": "SA width in columns: 2, 4, 8, 16, 32 (default 8)",
    "d": "head dimension and SA height: 8, 16, 32, 64, 128 (default 64)",
    "dw": "token dimension, a multiple of d up to 16 d (default d)",
    "l": "hash code length, 1..8 (default 6)",
    "n": "most tokens of a job, 2..2048 (default 512)",
    "k0": "cluster capacity of LSH0, 1..n (default n)",
    "k1": "cluster capacity of LSH1, 1..n (default n)",
    "k2": "cluster capacity of LSH2, 1..n (default n)",
    "pag": "exponentials a cycle, a power of two 2..2b (default 2b)",
    "sets": "weight sets on chip, 1..8 (default 1)",
    "lanes": "elements a beat of the host streams, a power of two 4..d (default 8)",
    "digit": "hash bits a layer of the cluster tree, 1, 2, 4 (default 2)",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m gen.cta", description=__doc__.split(": ")[1])
    for name, text in PARAMETERS.items():
        p.add_argument(f"--{name}", type=int, metavar="N", help=text)
    p.add_argument("--config", type=Path, metavar="FILE",
                   help="JSON with any of the above and formats (fmt); flags go first")
    p.add_argument("-o", "--output", type=Path, metavar="FILE", help="Verilog here, not on stdout")
    p.add_argument("--manifest", type=Path, metavar="FILE",
                   help="ports, streams, fields and configuration as JSON")
    return p


def configuration(arguments: argparse.Namespace) -> CTAConfig:
    """The configuration of a command line; raises ConfigError or OSError."""
    data = {}
    if arguments.config:
        try:
            data = json.loads(arguments.config.read_text())
        except ValueError as error:
            raise ConfigError(f"{arguments.config} is not JSON: {error}") from None
        if not isinstance(data, dict):
            raise ConfigError(f"{arguments.config} holds a {type(data).__name__}, must be an object")
    data |= {name: value for name in PARAMETERS
             if (value := getattr(arguments, name)) is not None}
    return CTAConfig.from_dict(data)


def command(cfg: CTAConfig) -> str:
    """The command that emits this configuration, parameters that differ from the default only."""
    base = CTAConfig(b=cfg.b, d=cfg.d, n=cfg.n)
    flags = [f"--{name} {getattr(cfg, name)}" for name in PARAMETERS
             if name in ("b", "d", "l", "n") or getattr(cfg, name) != getattr(base, name)]
    extra = "" if cfg.fmt == base.fmt else " --config FORMATS"
    return f"python -m gen.cta {' '.join(flags)}{extra}"


def main(argv=None) -> int:
    """Emit; returns the exit status."""
    arguments = parser().parse_args(argv)
    try:
        cfg = configuration(arguments)
        top = CTA(cfg)
        text = emit(top, digest=cfg.digest, command=command(cfg))
        if arguments.manifest:
            tables = {name: [list(f) for f in fields] for name, fields in
                      (("load", LOAD_FIELDS), ("job", JOB_FIELDS), ("status", STATUS_FIELDS),
                       ("activity", TRACE_FIELDS))}
            data = manifest(top, cfg=cfg.as_dict(), digest=cfg.digest, fields=tables)
            arguments.manifest.write_text(json.dumps(data, indent=2) + "\n")
        if arguments.output:
            arguments.output.write_text(text)
        else:
            sys.stdout.write(text)
    except (ConfigError, OSError) as error:
        print(f"gen.cta: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
