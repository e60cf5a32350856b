"""What follows from the rows of a search: its front, and what each dimension does to each figure."""

import numpy as np

from sw.explore.evaluation import beyond
from sw.explore.search import Found
from sw.explore.space import Space

__all__ = ["failures", "feasible", "front", "sensitivity"]


def feasible(found: list[Found], space: Space) -> list[Found]:
    """Points that did not fail, have all that is minimised, and meet all constraints."""
    return [(point, row) for point, row in found
            if row["status"] == "ok" and not beyond(row, space.constraints)
            and all(row.get(name) is not None for name in space.minimise)]


def front(found: list[Found], space: Space) -> list[Found]:
    """The feasible points that no other beats: by the first figure, of equals the first alone."""
    good = feasible(found, space)
    if not good:
        return []
    values = np.array([[row[name] for name in space.minimise] for _, row in good], float)
    order = np.lexsort(values.T[::-1])
    kept: list[int] = []
    best = np.empty((0, values.shape[1]))
    for at in order:
        # Earlier points are not worse in the first figure; those that are kept beat all that was not.
        if not (best <= values[at]).all(axis=1).any():
            kept.append(int(at))
            best = values[kept]
    return [good[at] for at in kept]


def sensitivity(found: list[Found], space: Space, figure: str) -> dict[str, float]:
    """By dimension the share of a figure's variance that its value alone explains, over rows that have it.

    In logarithms, as factors count and not differences. 1: nothing else matters; 0: it does nothing on
    average.
    Where not the whole grid was evaluated, a dimension has a share by chance as well.
    """
    rows = [row for _, row in found if row["status"] == "ok" and (row.get(figure) or 0) > 0]
    if len(rows) < 2:
        return {}
    values = np.log([row[figure] for row in rows])
    whole = values.var()
    shares = {}
    for name, choices in space.dimensions.items():
        if len(choices) < 2 or whole == 0:
            continue
        places = np.array([choices.index(row[name]) for row in rows])
        groups = [values[places == at] for at in range(len(choices))]
        between = sum(len(group) * (group.mean() - values.mean()) ** 2 for group in groups if len(group))
        shares[name] = float(between / len(values) / whole)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def failures(found: list[Found], space: Space) -> list[tuple[str, int]]:
    """Reasons why points are not in question, the most frequent first."""
    counts: dict[str, int] = {}
    for _, row in found:
        if row["status"] == "failed":
            reasons = [row["reason"]]
        else:
            reasons = [f"{name} is beyond {space.constraints[name]:g}" if row.get(name) is not None else
                       f"{name} is bounded and not known: {row.get(_why(name), 'no clock_mhz is given')}"
                       for name in beyond(row, space.constraints)]
            reasons += [f"{name} is minimised and not known: {row.get(_why(name), 'no clock_mhz is given')}"
                        for name in space.minimise
                        if row.get(name) is None and name not in space.constraints]
        for reason in reasons:
            counts[reason] = counts.get(reason, 0) + 1
    return sorted(counts.items(), key=lambda item: -item[1])


def _why(name: str) -> str:
    return f"{name.partition('_')[0]}_why"
