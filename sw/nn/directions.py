"""Hash directions of a CTA layer: random ones as in the paper, and others that fit better.

One A of l directions per LSH and layer, over whole tokens; the heads share it.
"""

import numpy as np
import torch
from torch import Tensor

__all__ = ["DIRECTIONS", "random_directions"]

DIRECTIONS = ("random", "projection", "learned")


def random_directions(dim: int, l: int, seed: int, shared: bool = True  # noqa: E741
                      ) -> tuple[Tensor, Tensor]:
    """``a`` (3, l, dim) ~ N(0, 1), one for all LSHs if ``shared``; ``offset`` (3, l) ~ U(0, 1).

    float64, and the very numbers of ``sw.calibrate.draw``. The offset is in buckets: b / w.
    """
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(3, l, dim))
    if shared:
        a = np.stack([a[0]] * 3)
    return torch.from_numpy(a), torch.from_numpy(rng.uniform(size=(3, l)))
