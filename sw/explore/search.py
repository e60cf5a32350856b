"""Which points are evaluated: all, some at random, or those that a search of Optuna's asks for."""

import random
from collections.abc import Callable, Iterator

from sw.explore.cluster import Evaluator
from sw.explore.evaluation import Row, beyond
from sw.explore.space import Point, Space, digest
from sw.explore.store import Store
from sw.io.errors import InputError

__all__ = ["METHODS", "Found", "grid", "sampled", "searched"]

METHODS = ("grid", "random", "nsga2", "tpe")
MOST = 2_000_000
"""Points of a run: their rows are held in memory."""

ROUND = 80
"""Trials that are asked for before any of them is told, so that workers have something to do; the same for
any number of workers, so that a seed gives the same search on all of them."""

Found = tuple[Point, Row]


def evaluated(points: list[Point], store: Store, evaluator: Evaluator) -> Iterator[Found]:
    """The rows of points, from disk where they are there, and kept where not."""
    missing = []
    for point in points:
        row = store.get(point)
        if row is None:
            missing.append(point)
        else:
            yield point, row
    for chunk, rows in evaluator(missing):
        yield from zip(chunk, store.add(chunk, rows))


def grid(space: Space) -> list[Point]:
    """All points. Raises InputError where they are too many."""
    if space.size > MOST:
        raise InputError(f"the grid has {space.size:,} points, must have at most {MOST:,}: "
                         "--method random or nsga2 takes some of them")
    return [space.at(number) for number in range(space.size)]


def sampled(space: Space, count: int, seed: int) -> list[Point]:
    """``count`` different points, or all where there are no more."""
    if count >= space.size:
        return grid(space)
    return [space.at(number) for number in random.Random(seed).sample(range(space.size), count)]


def searched(space: Space, count: int, seed: int, method: str, store: Store, evaluator: Evaluator,
             show: Callable[[int], None] = lambda _: None) -> Iterator[Found]:
    """``count`` trials of NSGA-II or TPE; points that come again are given once.

    What fails is told as failed, what breaks a constraint as so far beyond it. A trial whose objective is not
    known is failed for the search, and a row all the same. ``show`` is called with the trials of each round.
    """
    try:
        import optuna
    except ImportError:
        raise InputError(f"method {method} needs optuna, which `make setup` installs (extra explore)"
                         ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["minimize"] * len(space.minimise),
                                sampler=_sampler(optuna, method, seed))
    seen = set()
    for first in range(0, count, ROUND):
        trials = [study.ask() for _ in range(min(ROUND, count - first))]
        points = [space.point(_chosen(trial, space)) for trial in trials]
        unique = {digest(point): point for point in points}
        rows = {digest(point): row for point, row in evaluated(list(unique.values()), store, evaluator)}
        for trial, point in zip(trials, points):
            row = rows[digest(point)]
            values = [row.get(name) for name in space.minimise]
            if row["status"] == "failed" or None in values:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            far = beyond(row, space.constraints)
            for name in space.constraints:
                trial.set_constraint(name, min(far.get(name, 0.0), 1e9))
            study.tell(trial, values)
        for name, point in unique.items():
            if name not in seen:
                seen.add(name)
                yield point, rows[name]
        show(len(trials))


def _chosen(trial, space: Space) -> dict:
    """Values of a trial. What is a number and rises is an axis; words are only different."""
    chosen = {}
    for name, values in space.dimensions.items():
        rises = all(isinstance(value, int) and not isinstance(value, bool) for value in values) \
            and values == sorted(values)
        at = trial.suggest_int(name, 0, len(values) - 1) if rises else \
            trial.suggest_categorical(name, list(range(len(values))))
        chosen[name] = values[at]
    return chosen


def _sampler(optuna, method: str, seed: int):
    if method == "nsga2":
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=ROUND)
    return optuna.samplers.TPESampler(seed=seed)
