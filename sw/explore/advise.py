"""Which engine for a network: ``python -m sw.explore.advise minilm --area 3mm2 --error 0.01``.

The shape, the compression a layer, what a sequence costs on it and how that is known, and the commands that
emit, verify and export it.
"""

import json
import re
import shlex
import sys
from pathlib import Path

from gen.progress import progress
from model.command import Parser, refusing
from model.technology import TECHNOLOGIES
from sw.explore.advice import Advice, Limits, advise
from sw.explore.evaluation import command
from sw.explore.networks import KNOWN, Network, network, with_policy
from sw.io.errors import InputError
from sw.io.writing import make_folder, write_json, write_text

__all__ = ["main", "space_text"]

UNITS = {"area": {"mm2": 1.0, "um2": 1e-6}, "time": {"us": 1.0, "ms": 1e3, "s": 1e6},
         "clock": {"MHz": 1.0, "GHz": 1e3}}
CLOCK = 800.0
"""MHz: what the default engine is timed at in 45 nm before layout, rounded down (docs/synthesis.md)."""


def _quantity(name: str, text: str) -> float:
    """A number with a unit, which may be left out for the first of its kind."""
    found = re.fullmatch(r"([0-9.]+(?:e[+-]?[0-9]+)?)\s*([A-Za-z0-9]*)", text)
    units = UNITS[name]
    try:
        value = float(found[1]) * units[found[2] or next(iter(units))]
    except (TypeError, ValueError, KeyError):
        raise InputError(f"{name} is {text!r}, must be a number and one of {', '.join(units)}") from None
    if not 0 < value < 1e12:
        raise InputError(f"{name} is {text!r}, must be above 0")
    return value


def space_text(advice: Advice) -> str:
    """The design as a space of one point, for ``hashlayer explore``."""
    point = advice.point
    lines = ['engine = "cta"', f"clock_mhz = {point['clock_mhz']:g}", "", "[hardware]",
             *(f"{name} = {json.dumps(value)}" for name, value in point["hardware"].items()), "", "[choices]",
             *(f"{name} = {json.dumps(value)}" for name, value in point["choices"].items())]
    for workload in point["workloads"]:
        lines += ["", "[[workloads]]", *(f"{name} = {json.dumps(value)}" for name, value in workload.items()
                                         if value is not None)]
    return "\n".join(lines) + "\n"


def _text(net: Network, advice: Advice, n: int, folder: Path | None, text: str) -> list[str]:
    row, hardware = advice.row, advice.point["hardware"]
    shape = f"{net.name}: {net.layers} layers of {net.heads} heads of {net.d}, tokens of {net.dw}, n = {n}"
    lines = [shape, "", "engine   b = {b}, pag = {pag}, program {program}, room for {k0}, {k1}, {k2} "
             "clusters and {exact} exact tokens".format(**hardware),
             f"cycles   {row['cycles']:,} of attention a sequence, "
             f"{row['cycles'] / advice.exact_cycles:.3f} of exact attention on this shape; "
             f"{row['time_us']:,.0f} µs at {advice.point['clock_mhz']:g} MHz",
             f"useful   {row['useful']:.1%} of the multiplier slots",
             f"area     {row['area_mm2']:.2f} mm2 in {advice.point['choices']['technology']} before layout, "
             f"{row['memory_mbit']:.2f} Mbit of it memories; by the model of area",
             _energy(row), f"streams  {row['elements_a_cycle']:.2f} elements a cycle on average",
             f"error    {advice.error:.4f}, {net.measure}", f"         {net.basis}", "",
             "policy   layer  compression"]
    lines += [f"         {at:5}  {candidate.name}" for at, candidate in enumerate(advice.policy)]
    where = folder or Path("advice")
    lines += ["", "emit     " + command(row, advice.point)]
    if folder is None:
        lines.append("verify   with -o FOLDER: hashlayer explore FOLDER/advice.toml --verify 1")
    else:
        lines.append(f"verify   hashlayer explore {shlex.quote(str(where / 'advice.toml'))} --verify 1")
    model = "FOLDER" if net.source in KNOWN else shlex.quote(net.source)
    most, out = max(advice.error, 1e-4), shlex.quote(str(where))
    lines += [f"export   hashlayer pretrained {model} --text {text} --max-error {most:.4g} -o {out}",
              "         measures a policy on your text; sw.export then writes the layers "
              "(docs/start/model.md)"]
    return lines


def _energy(row: dict) -> str:
    if row["energy_uj"] is not None:
        return f"energy   {row['energy_uj']:,.0f} µJ a sequence, before wires"
    if row["energy_scaled_uj"] is None:
        return f"energy   not known: {row['energy_why']}"
    return (f"energy   about {row['energy_scaled_uj']:,.0f} µJ a sequence: that of the default engine, "
            "scaled by gates; not measured")


@refusing("sw.explore.advise", InputError)
def main(argv=None) -> int:
    """Print the advice."""
    parser = Parser(prog="sw.explore.advise",
                    description="Which CTA engine for a network, and which compression.")
    parser.add_argument("model", metavar="MODEL", help=f"{', '.join(KNOWN)}, or a Hugging Face folder")
    parser.add_argument("--error", type=float, default=0.01, metavar="E",
                        help="the most; of what, depends on what is known of the model (default %(default)s)")
    parser.add_argument("--area", metavar="AREA",
                        help="the most, as 3mm2; the fastest design within it is sought")
    parser.add_argument("--time", metavar="TIME", help="the most for a sequence, as 500us or 2ms; without an "
                        "area the smallest design within it is sought")
    parser.add_argument("--bandwidth", type=float, metavar="N",
                        help="the most elements a cycle of the host streams, on average")
    parser.add_argument("--clock", default=f"{CLOCK:g}MHz", metavar="F",
                        help="what times are for (default %(default)s)")
    parser.add_argument("--n", type=int, default=512, metavar="N",
                        help="tokens of a sequence (default %(default)s)")
    parser.add_argument("--technology", choices=[*TECHNOLOGIES], default="45nm", help="(default %(default)s)")
    parser.add_argument("--policy", metavar="FILE", help="a policy that was measured, as `hashlayer "
                        "pretrained` writes it; its error is taken")
    parser.add_argument("--text", default="TEXT", metavar="FILE", help="your text, for the last command")
    parser.add_argument("-o", "--output", metavar="FOLDER", help="advice.toml, a space of this design for "
                        "`hashlayer explore`, and advice.json")
    args = parser.parse_args(argv)
    net = network(args.model)
    if args.policy:
        net = with_policy(net, args.policy)
    if not 2 <= args.n <= 2048:
        raise InputError(f"n is {args.n}, must be in 2..2048")
    if not args.error >= 0:
        raise InputError(f"error is {args.error}, must be 0 or more")
    if args.bandwidth is not None and not args.bandwidth > 0:
        raise InputError(f"bandwidth is {args.bandwidth}, must be above 0")
    limits = Limits(args.error, args.area and _quantity("area", args.area),
                    args.time and _quantity("time", args.time), args.bandwidth)
    folder = make_folder(args.output) if args.output else None
    with progress("advise") as show:
        advice = advise(net, args.n, limits, args.technology, _quantity("clock", args.clock), show)
    if folder:
        write_text(folder / "advice.toml", space_text(advice))
        write_json(folder / "advice.json", {
            "network": net.name, "n": args.n, "error": advice.error, "measure": net.measure,
            "basis": net.basis,
            "policy": [{"candidate": each.name, "fractions": each.fractions} for each in advice.policy],
            "exact_cycles": advice.exact_cycles, "point": advice.point, "row": advice.row,
            "emit": command(advice.row, advice.point)})
    print("\n".join(_text(net, advice, args.n, folder, args.text)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
