"""The report of an energy: a table by phase, one by block, plain data, and a picture."""

import numpy as np

from synth.energy import KINDS, Energy
from synth.picture import bars, figure, save
from synth.tables import rows

__all__ = ["ARRAY", "PAPER_SHARES", "data", "draw", "text"]

PAPER_SHARES = {"cta": {"memory": 0.29, "array": 0.62, "auxiliary": 0.09}}
"""Shares of the energy in the CTA paper, Fig. 14."""

ARRAY = {"cta": "cta_array"}
"""By engine the child of its top that the paper calls the array: PEs, PPEs and their parameters."""

SHOWN = 12
"""Blocks that have a line of their own."""


def text(found: Energy, engine: str) -> str:
    """The tables, in nJ."""
    whole = float(found.total[found.in_job].sum())
    columns = zip(found.phases, found.cycles, *map(found.kind, KINDS), found.tree)
    phases = [(name, f"{cycles:,}", *(f"{value / 1e3:,.1f}" for value in values),
               f"{sum(values) / cycles:,.0f}") for name, cycles, *values in columns if cycles]
    lines = [f"energy of a job: {whole / 1e3:,.1f} nJ in {int(found.cycles[found.in_job].sum()):,} cycles; "
             f"leakage {found.leakage[found.in_job].sum() / 1e3:,.1f} nJ beside it", ""]
    lines += rows((("phase, nJ", 10), ("cycles", 8), *((kind, 10) for kind in KINDS), ("tree", 10),
                   ("pJ a cycle", 10)), phases)
    job = found.in_job
    shown = [(block.name, f"{block.recorded} of {block.instances}",
              *(f"{block.pj[kind][job].sum() / 1e3:,.1f}" for kind in KINDS),
              f"{block.total[job].sum() / whole:.1%}") for block in found.blocks[:SHOWN]]
    rest = found.blocks[SHOWN:]
    if rest:
        shown.append((f"{len(rest)} more", "", *(
            f"{sum(block.pj[kind][job].sum() for block in rest) / 1e3:,.1f}" for kind in KINDS),
            f"{sum(block.total[job].sum() for block in rest) / whole:.1%}"))
    width = max(len(row[0]) for row in shown)
    lines += ["", *rows((("block, nJ", width), ("recorded", 10), *((kind, 10) for kind in KINDS),
                         ("share", 7)), shown)]
    compared = sum(block.compared for block in found.blocks)
    if compared:
        wrong = {block.name: block.wrong for block in found.blocks if block.wrong}
        lines += ["", f"mapped blocks gave {compared:,} bits as recorded" + "".join(
            f", but {count:,} of {name}" for name, count in wrong.items())]
    if engine in ARRAY:
        lines += ["shares: " + ", ".join(
            f"{name} {share:.1%} (paper {PAPER_SHARES[engine][name]:.0%})"
            for name, share in found.shares(ARRAY[engine]).items())]
    return "\n".join([*lines, "not in it: wires, glitches, buffers across blocks; the clock tree is "
                      "estimated"])


def data(found: Energy, engine: str) -> dict:
    """The same as plain data, in pJ."""
    job = found.in_job
    plain = {
        "job": found.job, "job_pj": float(found.total[job].sum()),
        "job_cycles": int(found.cycles[job].sum()), "job_leakage_pj": float(found.leakage[job].sum()),
        "phases": [{"name": name, "cycles": int(found.cycles[at]), "pj": float(found.total[at]),
                    **{f"{kind}_pj": float(found.kind(kind)[at]) for kind in KINDS},
                    "clock_tree_pj": float(found.tree[at]), "leakage_pj": float(found.leakage[at])}
                   for at, name in enumerate(found.phases)],
        "blocks": [{"name": block.name, "instances": block.instances, "recorded": block.recorded,
                    "pj": {name: float(value) for name, value in zip(found.phases, block.total)},
                    **{f"{kind}_pj": float(np.sum(block.pj[kind])) for kind in KINDS},
                    "accesses": float(np.sum(block.accesses)), "bits_wrong": block.wrong,
                    "bits_compared": block.compared} for block in found.blocks]}
    return plain | ({"shares": found.shares(ARRAY[engine])} if engine in ARRAY else {})


def draw(found: Energy, engine: str, path) -> None:
    """Draw the energy of the job by block and by phase, in nJ. Raises ConfigError as
    :func:`synth.picture.draw` does."""
    job = found.in_job
    whole = float(found.total[job].sum())
    drawing = figure(path)
    blocks, phases = drawing.subplots(1, 2)
    tree = float(found.tree[job].sum())
    parts = [*((block.name, float(block.total[job].sum())) for block in found.blocks), ("clock tree", tree)]
    bars(blocks, "by block", "#2F6DB5", whole, sorted(parts, key=lambda part: -part[1]), 1e3, "nJ")
    parts = [(name, float(found.total[at])) for at, name in enumerate(found.phases) if job[at]]
    bars(phases, "by phase", "#3A8F5C", whole, sorted(parts, key=lambda part: -part[1]), 1e3, "nJ")
    drawing.suptitle(f"{engine}: {whole / 1e3:,.0f} nJ a job")
    save(drawing, path)
