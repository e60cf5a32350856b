"""The knapsack behind a policy: a candidate a layer, sums of cycles and errors. It needs no torch."""

from collections.abc import Sequence

__all__ = ["plans"]


def plans(cycles: Sequence[Sequence[int]], errors: Sequence[Sequence[float]]
          ) -> list[tuple[int, float, tuple[int, ...]]]:
    """All choices of one candidate a layer that no other beats in both sums: the knapsack's
    Pareto front, exact, as (cycles, error, candidates), cycles rising and errors falling."""
    front = [(0, 0.0, ())]
    for row_cycles, row_errors in zip(cycles, errors, strict=True):
        grown = sorted((c + dc, e + de, names + (i,)) for c, e, names in front
                       for i, (dc, de) in enumerate(zip(row_cycles, row_errors, strict=True)))
        front = []
        for plan in grown:
            if not front or plan[1] < front[-1][1]:
                front.append(plan)
    return front
