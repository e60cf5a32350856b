"""What the host's side of the CTA engine admits: loads, the tokens they leave, and jobs.

The golden counterpart of ``gen.cta.loader`` and ``gen.cta.control`` as far as they decide. The
numbers of an admitted job are those of ``model.cta.head``.
"""

from model.cta.config import CTAConfig
from model.cta.job import ErrorCode, Matrix, Mode
from model.cta.layout import Target, parameter_rows

__all__ = ["Admission", "is_legal", "load_beats"]


def is_legal(cfg: CTAConfig, target: int, set: int, base: int, rows: int) -> bool:
    """Whether a load is written. Rows must lie within the target; a PARAMETER load within one of
    the ranges of ``parameter_rows``."""
    if target > Target.PARAMETER or set >= cfg.sets:
        return False
    if target == Target.PARAMETER:
        return any(first <= base and base + rows <= last for first, last in parameter_rows(cfg))
    limits = {Target.TOKEN: cfg.tokens, **{
        Target[matrix.name]: cfg.matrix_rows(matrix) for matrix in Matrix}}
    return target in limits and base + rows <= limits[target]


def load_beats(cfg: CTAConfig, target: int, rows: int) -> int:
    """Beats of ``data`` that a load takes, legal or not: one a PARAMETER row, else those of a
    vector of dw elements a row, also where the target is unknown."""
    return rows * (1 if target == Target.PARAMETER else cfg.slices * cfg.groups)


class Admission:
    """The state that decides on jobs: rows of tokens that are there, and an illegal load.

    ``rows`` counts the tokens that loads have brought since the last job that started, or the reset,
    without a gap from row 0 on in ascending order. A load may begin below the count and overwrite;
    one that begins above it leaves the count, for it leaves a gap.
    ``clusters`` tells whose clusters are there: mode, n, m, cross and linear of the last job that started.
    """

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        self.reset()

    def reset(self) -> None:
        """Tokens, clusters, and an error not yet reported are forgotten; weights are not."""
        self.error, self.rows, self.clusters = False, 0, None

    def load(self, target: int, set: int = 0, base: int = 0, rows: int = 0) -> bool:
        """Note a load; gives whether it was legal."""
        if not is_legal(self.cfg, target, set, base, rows):
            self.error = True
            return False
        if target == Target.TOKEN:
            if rows and self.clusters and self.clusters[0] == Mode.EXACT:
                self.clusters = None          # they were the tokens
            if base <= self.rows < base + rows:
                self.rows = base + rows
        return True

    def job(self, *, n: int, m: int, mode: int = Mode.CTA, cross: int = 0, set: int = 0,
            reuse: int = 0, linear: int = 0, **shifts) -> ErrorCode:
        """The answer to a job word, by its fields. A job that starts leaves its clusters and uses the
        tokens up, unless it reuses clusters; a refused one leaves both as they are, and clears the error
        of a load."""
        cfg, error = self.cfg, self.error
        self.error = False
        exact, most = mode == Mode.EXACT, cfg.queries if linear else cfg.exact
        for code, wrong in ((ErrorCode.LOAD, error),
                            (ErrorCode.TOKENS, not (1 <= n <= cfg.n and 1 <= m <= cfg.n)
                             or (cross and n + m > cfg.tokens)),
                            (ErrorCode.CAPACITY, exact and max(n, m) > most),
                            (ErrorCode.WEIGHT_SET, set >= cfg.sets),
                            (ErrorCode.SELF, not cross and n != m),
                            (ErrorCode.REUSE, reuse and self.clusters != (mode, n, m, cross, linear)),
                            (ErrorCode.LINEAR, linear and (not exact or cross or cfg.program.linear is None)),
                            (ErrorCode.LOAD, not reuse and n + (m if cross else 0) > self.rows)):
            if wrong:
                return code
        self.clusters = mode, n, m, cross, linear
        if not reuse:
            self.rows = 0
        return ErrorCode.NONE
