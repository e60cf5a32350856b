"""The command ``hashlayer``: every command of the project, from any folder.

    hashlayer emit cta --b 8 --l 6 -o cta.v
    hashlayer run cta head.npz --backend rtl -o out.npz
    hashlayer run --help

The first word stands for a module that ``python -m`` runs as well; here nothing is looked for in the
current folder, so files of the user's own cannot get in the way. A module is imported when its
word is asked for.
"""

import sys
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version

from model.start import as_command

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "emit": ("gen.__main__", "Verilog of an engine, with a manifest of its ports and memories"),
    "synth": ("synth.__main__", "area of an engine, block by block, in a technology"),
    "area": ("synth.fit", "the model of area, held to mapped shapes, and fitted"),
    "energy": ("synth.energy_fit", "the linear model of energy, held to replayed jobs, and fitted"),
    "equal": ("synth.equal_command", "mapped blocks of an engine, proved equal to their Verilog"),
    "record": ("sw.run.record", "what blocks of an engine see in a job, for its energy"),
    "cells": ("synth.compact", "a compact cell library, fitted to a full one"),
    "run": ("sw.run.__main__", "a head, a layer or an exported model on float, golden or Verilog"),
    "doctor": ("sw.sim.doctor", "what is installed, and what each missing tool would give"),
    "demo": ("sw.demo.__main__", "what the project does, in minutes, with pictures"),
    "bench": ("sw.studies.bench.__main__", "cycles, utilisation and simulation speed on the Verilog"),
    "rivals": ("sw.rivals.__main__", "other accelerators of attention on a layer: cycles, accesses"),
    "explore": ("sw.explore.__main__", "search of a space of designs, on this machine or a cluster"),
    "advise": ("sw.explore.advise", "which engine for a network, and which compression a layer"),
    "reproduce": ("sw.reproduce.__main__", "figures of both papers beside what is computed here"),
    "sim": ("verif.runner", "cocotb benches of the blocks and engines"),
    "lint": ("sw.sim.lint", "Verilator's warnings on an engine as it is emitted"),
    "train": ("sw.lm.train", "a masked language model with these layers"),
    "evaluate": ("sw.studies.evaluate", "what the methods cost on a trained model"),
    "export": ("sw.quant.export", "the layers of a checkpoint as the engines load them"),
    "quantise": ("sw.quant.train", "quantisation-aware training of a checkpoint"),
    "memories": ("sw.studies.memories", "where the bits of a CTA engine are, bank by bank"),
    "budget": ("sw.studies.budget", "what each format costs"),
    "rules": ("sw.studies.rules", "rules that place the binary points, compared"),
    "pretrained": ("sw.studies.pretrained.__main__", "an encoder on disk: policy, distillation"),
    "accounting": ("sw.studies.accounting", "operations and bytes of a LookupFFN layer"),
    "toy": ("sw.studies.toy", "Fig. 4 of the LookupFFN paper"),
    "numerics": ("sw.studies.numerics", "what each format of an engine costs"),
}
"""Word of a command: the module that has its ``main``, and what it is."""


def _usage() -> str:
    lines = [f"usage: hashlayer COMMAND ... (version {version('hashlayer')})", ""]
    lines += [f"  {word:16} {what}" for word, (_, what) in COMMANDS.items()]
    return "\n".join([*lines, "", "hashlayer COMMAND --help tells what a command takes."])


def main(argv=None) -> int:
    """Run a command; gives its exit status. 2 where there is none of this name."""
    as_command()
    argv = sys.argv[1:] if argv is None else list(argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(_usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(version("hashlayer"))
        return 0
    word, *rest = argv
    if word not in COMMANDS:
        near = get_close_matches(word, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "must be one of " + ", ".join(COMMANDS)
        print(f"hashlayer: {word!r} is no command, {hint}", file=sys.stderr)
        return 2
    # What its module sees when `python -m` runs it.
    sys.argv = [f"hashlayer {word}", *rest]
    try:
        found = import_module(COMMANDS[word][0])
    except ModuleNotFoundError as error:
        print(f"hashlayer {word}: needs {error.name}, which is not installed; `make setup` "
              "installs all, or see the extras of hashlayer", file=sys.stderr)
        return 2
    return found.main(rest) or 0
