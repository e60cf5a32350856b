"""``hashlayer energy``: the linear model of energy held to replayed jobs, and with ``--fit`` fitted to some.

    hashlayer synth cta --activity build/cta-0.npz --json build/cta-0.json     # a job, replayed
    hashlayer energy build/cta-1.json ...                                      # as replayed and as modelled
    hashlayer energy build/cta-1.json ... --fit build/cta-0.json ...           # fitted to others first

A phase takes as many pJ a cycle in one job as in another, about: that is the model, and the error says how
far it is from true. What a phase takes a cycle is its energy over all jobs of the fit, by their cycles.
"""

import json
import sys
from datetime import date
from pathlib import Path

from model.command import Parser, refusing
from model.errors import ConfigError
from model.files import write_json
from synth.tables import rows

__all__ = ["compared", "fitted", "main"]

DATA = Path(__file__).resolve().parents[1] / "model" / "data" / "energy.json"


def _read(path) -> dict:
    try:
        data = json.loads(Path(path).read_text("utf-8"))
        return {"name": Path(path).stem, "hash": data["config_hash"], "engine": data["engine"],
                "technology": data["technology"]["name"], **data["energy"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no report of `hashlayer synth --activity`: {error!r}") from None


def _phases(job: dict) -> list[dict]:
    return [phase for phase in job["phases"] if phase["name"] not in ("before", "after") and phase["cycles"]]


def fitted(jobs: list[dict]) -> dict[str, float]:
    """pJ a cycle of each phase of the job, over all jobs."""
    spent: dict[str, list[float]] = {}
    for job in jobs:
        for phase in _phases(job):
            one = spent.setdefault(phase["name"], [0.0, 0.0])
            one[0] += phase["pj"]
            one[1] += phase["cycles"]
    return {name: float(f"{pj / cycles:.6g}") for name, (pj, cycles) in sorted(spent.items())}


def compared(jobs: list[dict], figures: dict[str, float]) -> list[tuple[str, int, float, float]]:
    """Of each job its name, cycles, pJ as replayed and as modelled. Raises ConfigError for a phase that the
    fit has not seen."""
    found = []
    for job in jobs:
        unknown = [phase["name"] for phase in _phases(job) if phase["name"] not in figures]
        if unknown:
            raise ConfigError(f"{job['name']} has phase {unknown[0]!r}, which no job of the fit has")
        found.append((job["name"], job["job_cycles"], job["job_pj"],
                      sum(figures[phase["name"]] * phase["cycles"] for phase in _phases(job))))
    return found


@refusing("energy", ConfigError, OSError)
def main(argv=None) -> int:
    """Compare, or fit and compare; gives the exit status."""
    parser = Parser(prog="energy", description="The linear model of energy, held to replayed jobs.")
    parser.add_argument("jobs", nargs="+", metavar="FILE", help="reports of `hashlayer synth --activity`")
    parser.add_argument("--fit", nargs="+", metavar="FILE", help="reports to fit to first, in a checkout")
    args = parser.parse_args(argv)
    jobs, others = [_read(path) for path in args.jobs], [_read(path) for path in args.fit or ()]
    first = (others or jobs)[0]
    for job in (*jobs, *others):
        if (job["hash"], job["technology"]) != (first["hash"], first["technology"]):
            raise ConfigError(f"{job['name']} is of {job['hash']} in {job['technology']}, must be of "
                              f"{first['hash']} in {first['technology']}")
    if others:
        if first["technology"] != "45nm":
            raise ConfigError(f"technology is {first['technology']}, must be 45nm for a fit")
        write_json(DATA, {"command": "hashlayer energy --fit", "date": date.today().isoformat(),
                          "config_hash": first["hash"], "technology": first["technology"],
                          "jobs": [job["name"] for job in others], "pj_a_cycle": fitted(others)})
    known = json.loads(DATA.read_text("utf-8"))
    if known["config_hash"] != first["hash"]:
        raise ConfigError(f"{first['name']} is of {first['hash']}, must be of {known['config_hash']}, which "
                          "the model is fitted to")
    table = compared(jobs, known["pj_a_cycle"])
    width = max(len(name) for name, *_ in table)
    print("\n".join(rows((("job", width), ("cycles", 8), ("replayed, nJ", 12), ("modelled, nJ", 12),
                          ("error", 7)),
                         [(name, f"{cycles:,}", f"{pj / 1e3:,.1f}", f"{model / 1e3:,.1f}",
                           f"{model / pj - 1:+.1%}") for name, cycles, pj, model in table])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
