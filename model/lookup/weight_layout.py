"""In which order the weights of a projection lie in its SRAM, and so come over the load stream.

An SRAM word is what the multipliers take in a cycle: for each of ``outputs(cfg)`` results the
weights of ``z_lanes(cfg)`` inputs. Words follow in the order of use.
"""

import numpy as np

from model.lookup.config import LookupConfig
from model.lookup.timing import frame_cycles, frames, outputs, steps, z_lanes

__all__ = ["HOST_LANES", "weight_words", "weight_beats", "weight_order"]

HOST_LANES = 8        # elements of a beat of data, x, residual and y


def weight_words(cfg: LookupConfig) -> int:
    """Words of the weight SRAM."""
    return frames(cfg) * frame_cycles(cfg)


def weight_beats(cfg: LookupConfig) -> int:
    """Beats that bring all weights."""
    return -(-weight_words(cfg) * cfg.multipliers // HOST_LANES)


def weight_order(cfg: LookupConfig, w: np.ndarray) -> np.ndarray:
    """The elements of ``w`` (``cfg.weight_shape``) as the load stream brings them.

    BH4: copy, stage, block, group of outputs, step, output, input. Dense: group of outputs, step,
    output, input; outputs beyond h*tau and inputs beyond d are zeros.
    """
    w = np.asarray(w, dtype=np.int64)
    count, lanes = outputs(cfg), z_lanes(cfg)
    if cfg.projection == "dense":
        padded = np.zeros((frames(cfg) * count, steps(cfg) * lanes), dtype=np.int64)
        padded[:cfg.codes, :cfg.d] = w
        w = padded[None]
    rows, columns = w.shape[-2:]
    split = w.reshape(-1, rows // count, count, columns // lanes, lanes)
    return split.transpose(0, 1, 3, 2, 4).reshape(-1)
