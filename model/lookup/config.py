"""The one configuration of the LookupFFN engine: structure, formats, limits and tables.

:class:`LookupConfig` is the single source of every width and size, as
:class:`model.cta.config.CTAConfig` is for the other engine.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from model.config import EngineConfig, exp2_table
from model.errors import ConfigError
from model.fixed import Format, bits_for_range, clog2
from model.lookup import parameters
from model.lookup.parameters import INTERNAL_BYTES, PLACES, PROJECTIONS, STAGES, LookupFormats

__all__ = ["LookupConfig", "LookupFormats", "ConfigError"]

def _is_power(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@dataclass(frozen=True)
class LookupConfig(EngineConfig):
    """One LookupFFN engine.

    ``PARAMETERS`` and ``CONSTANTS`` below say what each field is; ``fmt`` holds the formats.
    """

    d: int = 512
    h: int = 128
    tau: int = 8
    block: int = 0
    projection: str = "bh4"
    neighbours: bool = False
    gelu_scaled: bool = True
    residual: bool = False
    multipliers: int = 0
    lanes: int = 0
    batch: int = 0
    tile: bool = True
    tables: str = "external"
    outstanding: int = 256
    log_index: int = 7
    log_reach: int = 2
    log_mantissa: int = 10
    exp_index: int = 6
    exp_mantissa: int = 12
    flip_frac: int = 8
    fmt: LookupFormats = field(default_factory=LookupFormats)

    PARAMETERS: ClassVar = parameters.PARAMETERS
    FORMATS: ClassVar = LookupFormats
    BUILDABLE: ClassVar = parameters.BUILDABLE
    CONSTANTS: ClassVar = parameters.CONSTANTS
    WORDS: ClassVar = ("block_acc", "hadamard", "z_sum", "log_sum", "gather_acc", "score_word")

    def __post_init__(self):
        self._check_integers("d", "h", "tau", "block", "multipliers", "lanes", "batch",
                             "outstanding")
        self._check_constants()
        for name in ("neighbours", "gelu_scaled", "residual", "tile"):
            self._check(name, isinstance(getattr(self, name), bool), "True or False")
        self._check("d", self.d % 8 == 0 and 8 <= self.d <= 2048, "a multiple of 8 in 8..2048")
        self._check("h", 1 <= self.h <= 1024, "in 1..1024")
        self._check("tau", 1 <= self.tau <= 16, "in 1..16")
        self._default("block", min(64, self.n))
        most = min(self.n, 256)
        self._check("block", _is_power(self.block) and 4 <= self.block <= most,
                    f"a power of two in 4..{most}, at most n = {self.n}")
        self._default("multipliers", min(256, self.block ** 2))
        most = min(self.block ** 2, 4096)
        self._check("multipliers", _is_power(self.multipliers) and self.multipliers <= most,
                    f"a power of two in 1..{most}, at most block squared")
        self._default("lanes", min(64, self.n))
        self._check("lanes", _is_power(self.lanes) and self.lanes <= self.n,
                    f"a power of two in 1..n = {self.n}")
        self._check("projection", self.projection in PROJECTIONS, f"one of {PROJECTIONS}")
        self._default("batch", 64 if self.tile else 1)
        self._check("batch", 1 <= self.batch <= 256, "in 1..256")
        self._check("batch", self.tile or self.batch == 1, "1 without a tile")
        self._check("outstanding", _is_power(self.outstanding) and self.outstanding <= 4096,
                    "a power of two in 1..4096")
        self._check("tables", self.tables in PLACES, f"one of {PLACES}")
        self._check("tables", self.tables == "external" or self.table_bytes <= INTERNAL_BYTES,
                    f"'external' for {self.table_bytes} bytes of tables; 'internal' holds "
                    f"at most {INTERNAL_BYTES}")
        self._check_formats()
        self._check_words()

    def _check_formats(self):
        """Refuse formats that neither the golden model nor the generator means."""
        super()._check_formats()
        fmt = self.fmt
        if self.log_step < 0:
            raise ConfigError(f"fmt.z.frac is {fmt.z.frac}, must be at least "
                              f"{self.log_index - self.log_reach}")
        self._check("exp_index", self.exp_index <= self.log_mantissa,
                    f"at most log_mantissa = {self.log_mantissa}")
        self._check("flip_frac", self.flip_shift >= 0,
                    f"at least log_mantissa - fmt.z.frac = {self.log_mantissa - fmt.z.frac}")
        if self.z_shift < 0:
            raise ConfigError(f"fmt.z_bias.frac is {fmt.z_bias.frac}, must be at least "
                              f"fmt.z.frac = {fmt.z.frac}")

    # -- structure ----------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Padded dimension: the order of the Hadamard transform."""
        return 1 << clog2(self.d)

    @property
    def levels(self) -> int:
        """Butterfly levels of a Hadamard transform."""
        return clog2(self.n)

    @property
    def codes(self) -> int:
        """h*tau: elements of z."""
        return self.h * self.tau

    @property
    def copies(self) -> int:
        """r: independent BH4 projections side by side; 1 for a dense one."""
        return 1 if self.projection == "dense" else -(-self.codes // self.n)

    @property
    def blocks(self) -> int:
        """Blocks on the diagonal of one stage."""
        return self.n // self.block

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the projection: (r, 4, n/bs, bs out, bs in), or dense (h*tau, d)."""
        if self.projection == "dense":
            return self.codes, self.d
        return self.copies, STAGES, self.blocks, self.block, self.block

    @property
    def entries(self) -> int:
        """Rows a token takes from each table: N(z)."""
        return 1 + self.tau if self.neighbours else 1

    @property
    def rows(self) -> int:
        """Rows of all tables; the number of a row is ``table * 2**tau + code``."""
        return self.h << self.tau

    @property
    def row_beats(self) -> int:
        """Beats of a row."""
        return -(-self.d // self.lanes)

    @property
    def row_bytes(self) -> int:
        """Bytes from one row to the next; those beyond d are padding."""
        return self.row_beats * self.lanes

    @property
    def table_bytes(self) -> int:
        """Bytes of all tables."""
        return self.rows * self.row_bytes

    # -- widths -------------------------------------------------------------------------------

    @property
    def operand(self) -> Format:
        """Multiplicand of the projection: a token in the first stage, a stage value later."""
        return Format(True, max(self.fmt.x.width, self.fmt.stage.width))

    @property
    def block_acc(self) -> Format:
        """Sum of a block product, or of a dense row, exact."""
        length = self.d if self.projection == "dense" else self.block
        operand = self.fmt.x if self.projection == "dense" else self.operand
        worst = operand.min * self.fmt.weight.min * length
        return Format(True, bits_for_range(-worst, worst))

    @property
    def hadamard(self) -> Format:
        """Last level of the Hadamard transform, exact: one more bit a level."""
        return Format(True, self.fmt.stage.width + self.levels)

    @property
    def z_shift(self) -> int:
        """Fraction bits that z drops when its sum is complete."""
        return self.fmt.z_bias.frac - self.fmt.z.frac

    @property
    def z_sum(self) -> Format:
        """Sum of projection, skip and bias on the grid of the z bias, exact."""
        if self.projection == "dense":
            worst = -self.block_acc.min
        else:
            worst = self.fmt.mix.max * (-self.fmt.stage.min - self.fmt.x.min)
        worst -= self.fmt.z_bias.min
        return Format(True, bits_for_range(-worst, worst), self.fmt.z_bias.frac)

    @property
    def magnitude(self) -> Format:
        """|z|: one value more than a positive z has."""
        return Format(False, self.fmt.z.width, self.fmt.z.frac)

    @property
    def magnitude_sum(self) -> Format:
        """sum|z| of a table, exact."""
        return Format(False, (self.tau * -self.fmt.z.min).bit_length(), self.fmt.z.frac)

    @property
    def inner(self) -> Format:
        """<z, S_i>: sum|z|, or sum|z| - 2|z_j| of a neighbour, exact."""
        worst = self.tau * -self.fmt.z.min
        return Format(True, bits_for_range(self.fmt.z.min, worst), self.fmt.z.frac)

    @property
    def log_sum(self) -> Format:
        """-log2 of a weight: tau table entries, and the flip of a neighbour."""
        worst = self.tau * int(self.log_table.max())
        if self.neighbours:
            worst += self.flip_cost(-self.fmt.z.min)
        # A coarse table that covers much may have nothing but zeros.
        return Format(False, max(1, worst.bit_length()), self.log_mantissa)

    @property
    def score(self) -> Format:
        """s as it meets a table entry; signed where <z, S_i> may be negative."""
        signed = self.neighbours and self.gelu_scaled
        return Format(signed, self.fmt.score.width + signed, self.fmt.score.frac)

    @property
    def gather_acc(self) -> Format:
        """Sum of weighted rows and the output bias, exact."""
        largest = max(self.score.max, -self.score.min)
        worst = self.h * self.entries * largest * -self.fmt.table.min - self.fmt.out_bias.min
        return Format(True, bits_for_range(-worst, worst))

    @property
    def score_word(self) -> Format:
        """<z, S_i> times an exponential, before its shift."""
        return Format(True, self.inner.width + self.exp_mantissa + 1)

    @property
    def row_width(self) -> int:
        """Bits of a row number."""
        return max(1, clog2(self.rows))

    @property
    def address_width(self) -> int:
        """Bits of a beat number on the table port: row * row_beats + beat."""
        return max(1, clog2(self.rows * self.row_beats))

    # -- tables of the score ------------------------------------------------------------------

    @property
    def log_step(self) -> int:
        """Bits of |z| below the index of the log table."""
        return self.fmt.z.frac + self.log_reach - self.log_index

    @cached_property
    def log_table(self) -> np.ndarray:
        """log2(1 + exp(-2|z|)) in the middle of 128 steps of |z| in [0, 4), unsigned 0.10."""
        index = np.arange(1 << self.log_index)
        middle = (index << self.log_step) + ((1 << self.log_step) - 1) / 2
        middle = np.ldexp(middle, -self.fmt.z.frac)
        real = np.log2(1 + np.exp(-2 * middle)) * (1 << self.log_mantissa)
        return np.minimum(np.floor(real + 0.5), (1 << self.log_mantissa) - 1).astype(np.int64)

    @cached_property
    def exp_table(self) -> np.ndarray:
        """2**(i/64) for i in 0..63, unsigned 1.11, below 2."""
        return exp2_table(self.exp_index, self.exp_mantissa)

    @property
    def flip_factor(self) -> int:
        """2*log2(e), unsigned 2.8: what a unit of |z_j| takes from the log2 of a flipped weight."""
        return round(2 * math.log2(math.e) * (1 << self.flip_frac))

    @property
    def flip_shift(self) -> int:
        """Fraction bits that the product of |z| and the flip factor has beyond a log."""
        return self.fmt.z.frac + self.flip_frac - self.log_mantissa

    def flip_cost(self, magnitude: int) -> int:
        """Largest -log2 that the flip of a bit with ``|z|`` up to ``magnitude`` can add."""
        return (magnitude * self.flip_factor >> self.flip_shift) + 1

    @property
    def score_point(self) -> int:
        """Fraction bits of a score before its shift: those of <z, S_i> and of the exponential."""
        return self.fmt.z.frac + self.exp_mantissa - 1
