"""The tables of docs/results/cpu.md from the JSON of ``hashlayer bench cpu``.

``hashlayer bench cpu --tables FILE`` prints, of each size and number of threads in the file,
microseconds of process time a token as a table in Markdown, the paper's rivals where they were measured, and
what was asked for beside what was found; of several threads also how they scale.
"""

import json

from sw.io.errors import InputError
from sw.studies.bench.cpu_rivals.registry import PAPER, USERS

__all__ = ["MUSTS", "musts", "scaling", "show", "table"]

OURS = ("kernel fp32", "kernel bf16", "kernel int8", "integers")

MUSTS = (("integers", "torch fp32", 1, 2.5), ("kernel fp32", "torch fp32", 1, 1.8),
         ("integers", "torch fp32", 2048, 4.8), ("kernel fp32", "torch fp32", 2048, 4.0),
         ("integers", "torch int8", 2048, 3.4))
"""What was asked for: a kernel, what it is compared with, from how many tokens on, how many times as fast."""


def _by_tokens(rows: list[dict]) -> dict[int, dict[str, dict]]:
    found: dict[int, dict[str, dict]] = {}
    for row in rows:
        found.setdefault(row["tokens"], {})[row["variant"]] = row
    return found


def _ratio(by: dict[str, dict], ours: str, other: str) -> float:
    return by[other]["seconds_cpu"] / by[ours]["seconds_cpu"]


def table(rows: list[dict], names) -> str:
    """Microseconds a token of those ``names`` that were measured; of ours also how many times as fast."""
    sizes = _by_tokens(rows)
    names = [name for name in names if any(name in by for by in sizes.values())]
    ratios = [(ours, other) for ours, other in (("integers", "torch fp32"), ("integers", "torch int8"),
                                                ("kernel fp32", "torch fp32"))
              if ours in names and other in names]
    lines = [["tokens", *names, *(f"{ours}, of {other}" for ours, other in ratios)]]
    lines.append(["---"] * len(lines[0]))
    for tokens, by in sizes.items():
        lines.append([f"{tokens:,}", *(f"{by[name]['seconds_cpu'] / tokens * 1e6:,.1f}" if name in by else "-"
                                       for name in names),
                      *(f"{_ratio(by, *pair):.2f}" for pair in ratios)])
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)


def musts(rows: list[dict]) -> str:
    """Each of :data:`MUSTS` that the rows can answer: the least found, where, and whether it is enough."""
    lines = ["| asked for | least found | |", "|---|---|---|"]
    for ours, other, first, factor in MUSTS:
        found = [(_ratio(by, ours, other), tokens) for tokens, by in _by_tokens(rows).items()
                 if tokens >= first and ours in by and other in by]
        if found:
            least, tokens = min(found)
            lines.append(f"| {ours}, from {first:,} tokens on: {factor} of {other} "
                         f"| {least:.2f} at {tokens:,} | {'holds' if least >= factor else '**missed**'} |")
    return "\n".join(lines)


def scaling(rows: list[dict], threads: int) -> str:
    """Each kernel of ours with so many threads, of linear scaling: by process time, which other load does not
    change, and by the clock."""
    by = {(row["tokens"], row["variant"], row["threads"]): row for row in rows}
    lines = [f"| tokens | kernel | {threads} threads, process time | by the clock |", "|---|---|---|---|"]
    for tokens, variant, number in by:
        if number == threads and variant in OURS and (tokens, variant, 1) in by:
            one, more = by[tokens, variant, 1], by[tokens, variant, threads]
            lines.append(f"| {tokens:,} | {variant} | {one['seconds_cpu'] / more['seconds_cpu']:.2f} "
                         f"| {one['seconds_wall'] / more['seconds_wall'] / threads:.2f} |")
    return "\n".join(lines)


def show(path) -> None:
    """Print the tables of a file; raises InputError where it is not one of the bench."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        for d, threads in dict.fromkeys((row["config"]["d"], row["threads"]) for row in data):
            rows = [row for row in data if (row["config"]["d"], row["threads"]) == (d, threads)]
            print(f"d {d}, threads {threads}\n\n{table(rows, (*USERS, *OURS))}\n")
            if any(row["variant"] in PAPER for row in rows):
                print(f"{table(rows, ('torch fp32', *PAPER))}\n")
            print(f"{musts(rows)}\n")
            if threads > 1:
                print(f"{scaling([row for row in data if row['config']['d'] == d], threads)}\n")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} is not what `hashlayer bench cpu --json` writes") from None
