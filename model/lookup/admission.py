"""What the host's side of the LookupFFN engine admits: loads and jobs.

The golden counterpart of ``gen.lookup.loader`` and ``gen.lookup.control`` as far as they decide. The
numbers of an admitted job are those of ``model.lookup.layer``. Tokens need no admission: their
streams wait until a job takes them, in order.
"""

from model.lookup.config import LookupConfig
from model.lookup.job import ErrorCode, Order
from model.lookup.layout import JOB_FIELDS, Target, shift_rows, table_parts
from model.lookup.weight_layout import weight_beats

__all__ = ["Admission", "is_legal", "fits"]


def is_legal(cfg: LookupConfig, target: int, base: int, beats: int) -> bool:
    """Whether a load is written. Beats must lie within the target, those of SHIFT within one of the
    ranges of ``shift_rows``, those of TABLE make up whole beats of the tables. Legal or not, a load
    takes the beats it announces."""
    if target == Target.SHIFT:
        return any(first <= base and base + beats <= last for first, last in shift_rows(cfg))
    if target == Target.TABLE:
        parts = table_parts(cfg)
        return (cfg.tables == "internal" and base % parts == beats % parts == 0
                and base + beats <= cfg.rows * cfg.row_beats * parts)
    limits = {Target.WEIGHT: weight_beats(cfg), Target.Z_BIAS: cfg.codes, Target.OUT_BIAS: cfg.d,
              Target.SHIFT_S: cfg.h}
    return target in limits and base + beats <= limits[target]


def fits(cfg: LookupConfig, name: str, raw: int) -> bool:
    """Whether ``gain`` or ``skip``, as the 16 bits of its field, is a value of the mix format."""
    width = dict(JOB_FIELDS)[name]
    if cfg.fmt.mix.signed and raw >> (width - 1):
        raw -= 1 << width
    return cfg.fmt.mix.min <= raw <= cfg.fmt.mix.max


class Admission:
    """The state that decides on jobs: whether a load since the last job was illegal."""

    def __init__(self, cfg: LookupConfig):
        self.cfg = cfg
        self.reset()

    def reset(self) -> None:
        """An error not yet reported is forgotten; the layer is not."""
        self.error = False

    def load(self, target: int, base: int = 0, beats: int = 0) -> bool:
        """Note a load; gives whether it was legal."""
        legal = is_legal(self.cfg, target, base, beats)
        self.error |= not legal
        return legal

    def job(self, *, tokens: int, gain: int = 0, skip: int = 0, order: int = 0, **others) -> ErrorCode:
        """The answer to a job word, by its fields; clears the error of a load."""
        error, self.error = self.error, False
        if error:
            return ErrorCode.LOAD
        if tokens == 0:
            return ErrorCode.TOKENS
        if not (fits(self.cfg, "gain", gain) and fits(self.cfg, "skip", skip)):
            return ErrorCode.FIELD
        if order == Order.TABLE_MAJOR and not self.cfg.tile:
            return ErrorCode.ORDER
        return ErrorCode.NONE
