"""Cluster indices: codes to first-seen cluster numbers through the cluster tree (CTA, Fig. 4a).

The tree is walked as the hardware walks it, layer by layer, because the outcome of an overflow
depends on it: a layer that has all its nodes sends every newcomer to its last node.
"""

import numpy as np

from model.cta.config import CTAConfig

__all__ = ["digits", "cluster_table"]


def digits(cfg: CTAConfig, codes: np.ndarray) -> np.ndarray:
    """Spelling (n, l*D) of the codes (n, l) in base ``2**digit``.

    First hash value first, the most significant digit of its two's complement bits first.
    """
    shifts = np.arange(cfg.hash_digits - 1, -1, -1, dtype=np.int64) * cfg.digit
    split = (np.asarray(codes, dtype=np.int64)[:, :, None] >> shifts) & ((1 << cfg.digit) - 1)
    return split.reshape(len(codes), cfg.tree_digits)


def cluster_table(cfg: CTAConfig, codes: np.ndarray, capacity: int) -> tuple[np.ndarray, int, int]:
    """Cluster of each token ``ct`` (n,), clusters ``k``, and the number of overflowed tokens.

    Every layer holds up to ``capacity`` nodes. A child that is missing gets the next number of
    its layer; in a full layer it becomes an alias of the last node, for good: the slot is
    written, and only the token that wrote it counts as overflowed (once, at however many
    layers). While no layer is full, equal codes and only they share a cluster, and clusters are
    numbered in the order in which they are first seen. A layer never has more nodes than there
    are distinct codes, so up to ``capacity`` distinct codes overflow nothing.
    """
    layers = [{} for _ in range(cfg.tree_digits)]   # (node, digit) -> child
    counts = [0] * cfg.tree_digits
    ct = np.zeros(len(codes), dtype=np.int64)
    overflow = 0
    for token, spelling in enumerate(digits(cfg, codes).tolist()):
        node, overflowed = 0, False
        for layer, digit in enumerate(spelling):
            slots = layers[layer]
            child = slots.get((node, digit))
            if child is None:
                if counts[layer] < capacity:
                    child = counts[layer]
                    counts[layer] += 1
                else:
                    child = capacity - 1
                    overflowed = True
                slots[node, digit] = child
            node = child
        ct[token] = node
        overflow += overflowed
    return ct, counts[-1], overflow
