"""The one configuration of the CTA engine: structure, formats, limits and tables.

:class:`CTAConfig` is the single source of every width and size. ``model`` computes with it,
``gen`` builds from it, ``verif`` and ``sw`` read it. Structural parameters are fields; whatever
follows from them is a property whose derivation can be read here.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from model.config import EngineConfig, exp2_table, require_integer, shown
from model.cta import parameters, tables
from model.cta.memories import Memories
from model.cta.parameters import (
    CAPACITY_SHARES,
    HEAD_DIMS,
    LEAST_CAPACITY,
    MOST_HASHES,
    MOST_SLICES,
    PARAMETER_WIDTH,
    SA_WIDTHS,
    CTAFormats,
)
from model.cta.program import Program
from model.cta.programs import PRODUCTS, PROGRAMS, named
from model.errors import ConfigError
from model.fixed import Format, bits_for_range, clog2

__all__ = ["CTAConfig", "ConfigError", "CTAFormats"]

@dataclass(frozen=True)
class CTAConfig(Memories, EngineConfig):
    """One CTA engine.

    ``PARAMETERS`` and ``CONSTANTS`` below say what each field is; ``fmt`` holds the formats,
    ``program`` is the order of the work.

    The constants and the formats may be wider in the golden model than the RTL can be
    built (``require_buildable``).
    """

    b: int = 8
    d: int = 64
    dw: int = 0
    l: int = 6  # noqa: E741 - the paper's name
    n: int = 512
    tokens: int = 0
    exact: int = 0
    k0: int = 0
    k1: int = 0
    k2: int = 0
    sums: int = 1
    aps: int = 0
    program: Program | str = ""
    products: str = ""
    ahead: bool = True
    pag: int = 0
    sets: int = 1
    lanes: int = 0
    digit: int = 2
    exp_mantissa: int = 12
    recip_index: int = 8
    mean_reciprocal_frac: int = 10
    result_guard: int = 5
    fmt: CTAFormats = field(default_factory=CTAFormats)

    PARAMETERS: ClassVar = parameters.PARAMETERS
    FORMATS: ClassVar = CTAFormats
    BUILDABLE: ClassVar = parameters.BUILDABLE
    CONSTANTS: ClassVar = parameters.CONSTANTS
    WORDS: ClassVar = ("acc", "csum", "ap_bank", "ap_sum", "result_word", "mean_word", "hash_word",
                       "prob_word")

    def __post_init__(self):
        self._check_integers("b", "d", "dw", "l", "n", "tokens", "exact", "k0", "k1", "k2",
                             "sums", "aps", "pag", "sets", "lanes", "digit")
        for name, value in (("dw", self.d), ("tokens", self.n), ("exact", self.n), ("pag", 2 * self.b),
                            ("lanes", 8)):
            self._default(name, value)
        for name, share in CAPACITY_SHARES.items():
            self._default(name, min(self.n, max(LEAST_CAPACITY, -(-self.n * share // 32))))
        self._check_constants()
        self._check_formats()
        self._check("b", self.b in SA_WIDTHS, f"one of {SA_WIDTHS}")
        self._check("d", self.d in HEAD_DIMS, f"one of {HEAD_DIMS}")
        self._check("dw", self.dw % self.d == 0 and 1 <= self.dw // self.d <= MOST_SLICES,
                    f"a multiple T*d of d = {self.d} with T in 1..{MOST_SLICES}")
        self._check("l", 1 <= self.l <= MOST_HASHES, f"in 1..{MOST_HASHES}")
        self._check("n", 2 <= self.n <= 2048, "in 2..2048")
        self._check("tokens", self.n <= self.tokens <= 2 * self.n,
                    f"in n..2n = {self.n}..{2 * self.n}")
        self._check("exact", 1 <= self.exact <= self.n, f"in 1..n = {self.n}")
        for name in CAPACITY_SHARES:
            self._check(name, 1 <= getattr(self, name) <= self.n, f"in 1..n = {self.n}")
        self._check("sums", self.sums in (1, 2), "1 or 2")
        self._check("aps", self.aps in (0, 1, 2), "1 or 2")
        self._choose_program()
        self._default("aps", 2 if self.program.weights_stay else 1)
        self._check("ahead", isinstance(self.ahead, bool), "True or False")
        self._check("pag", 2 <= self.pag <= 2 * self.b and self.pag & (self.pag - 1) == 0,
                    f"a power of two in 2..2b = {2 * self.b}")
        self._check("sets", 1 <= self.sets <= 8, "in 1..8")
        self._check("lanes", 4 <= self.lanes <= self.d and self.lanes & (self.lanes - 1) == 0,
                    f"a power of two in 4..d = {self.d}")
        self._check("digit", self.digit in (1, 2, 4) and self.fmt.hash.width % self.digit == 0,
                    f"1, 2 or 4 and a divisor of the hash width {self.fmt.hash.width}")
        self._check_words()

    def _choose_program(self):
        """Program and products from their words. A program that is given as a value says what its products
        are."""
        self._check("products", self.products in ("", *PRODUCTS), f"one of {[*PRODUCTS]}")
        given = self.program
        if self.program == "":
            object.__setattr__(self, "program", "weights" if self.slices > 1 else "table1")
        if isinstance(self.program, str) and self.program in PROGRAMS:
            object.__setattr__(self, "program", named(self.program, self.products, self.slices))
        self._check("program", isinstance(self.program, Program), f"a Program or one of {[*PROGRAMS]}")
        self._check("products", self.products != "fast" or given is not self.program or given.fast,
                    f"plain with the program {self.program.name!r}")
        object.__setattr__(self, "products", PRODUCTS[self.program.fast])
        if self.program.fast:
            self._check("dw", self.slices % 2 == 0,
                        f"an even multiple of d = {self.d} with fast products, which take two slices at once")
            if self.beta.width > PARAMETER_WIDTH:
                raise ConfigError(f"fmt.weight.width is {self.fmt.weight.width} with fast products at "
                                  f"dw = {self.dw}, must leave the sum of w_a w_b at most {PARAMETER_WIDTH} "
                                  f"bits, not {self.beta.width}")

    def _check_formats(self):
        """Refuse formats that neither the golden model nor the generator means."""
        super()._check_formats()
        fmt = self.fmt
        low = max(0, fmt.token.frac - fmt.token.width)
        if not low <= fmt.centroid.frac <= fmt.token.frac:
            raise ConfigError(f"fmt.centroid.frac is {fmt.centroid.frac}, must be in "
                              f"{low}..fmt.token.frac = {fmt.token.frac}")
        # 2**(s1 + s2) has an integer part, which at least the sign of a score tells.
        require_integer("fmt.score.frac", fmt.score.frac, 1, min(16, fmt.score.width - 1))

    def require_buildable(self):
        """Raise ConfigError for formats that fit the golden model but not the words of the RTL."""
        super().require_buildable()
        require_integer("fmt.score.frac", self.fmt.score.frac, 1,
                        min(10, self.fmt.score.width - 1))

    def as_dict(self) -> dict:
        """Structural parameters, constants, formats and the program as plain data (JSON). The program says
        what the products are."""
        data = super().as_dict() | {"program": self.program.as_dict()}
        del data["products"]
        return data

    @classmethod
    def from_dict(cls, data: dict):
        """As that of the base; the program is an object as :meth:`Program.as_dict` gives it, or a name."""
        if isinstance(data, dict) and data.get("program", "table1") not in [*PROGRAMS]:
            data = data | {"program": Program.from_dict(data["program"])}
        if isinstance(data, dict) and data.get("products", "plain") not in PRODUCTS:
            raise ConfigError(f"products is {shown(data['products'])}, must be one of {[*PRODUCTS]}")
        return super().from_dict(data)

    # -- structure ----------------------------------------------------------------------------

    @property
    def slices(self) -> int:
        """T: slices of d that make up a token."""
        return self.dw // self.d

    @property
    def linear_parts(self) -> int:
        """Parts of a linear's sum: slices, or with fast products pairs of them."""
        return self.slices // (2 if self.program.fast else 1)

    @property
    def passes(self) -> int:
        """Passes over the tokens an LSH needs: hash functions by SA columns, rounded up."""
        return -(-self.l // self.b)

    @property
    def pass_width(self) -> int:
        """Bits of the number of a pass: enough for one hash function a pass."""
        return clog2(MOST_HASHES)

    @property
    def slice_width(self) -> int:
        """Bits of the number of a slice, whatever T is."""
        return clog2(MOST_SLICES)

    @property
    def hash_columns(self) -> int:
        """SA columns that hash at once."""
        return min(self.l, self.b)

    @property
    def cacc_column(self) -> int:
        """SA column whose adders CACC borrows. Columns b and up are spares (see decisions)."""
        return self.hash_columns

    @property
    def cavg_column(self) -> int:
        """SA column whose multipliers CAVG borrows."""
        return self.hash_columns + 1

    @property
    def columns(self) -> int:
        """PE columns built: b, and spares for CAG where the hash leaves fewer than two free."""
        return max(self.b, self.hash_columns + 2)

    @property
    def tiles(self) -> int:
        """PAG tiles; each takes two iterations a cycle."""
        return self.pag // 2

    @property
    def pag_rounds(self) -> int:
        """Rounds in which the tiles serve a full batch of b queries."""
        return self.b // self.tiles

    @property
    def groups(self) -> int:
        """Stream beats that carry one slice of d elements."""
        return self.d // self.lanes

    # -- widths -------------------------------------------------------------------------------

    @property
    def token_id_width(self) -> int:
        """Bits of a token number 0..n-1."""
        return clog2(self.n)

    @property
    def count_width(self) -> int:
        """Bits of a count 0..n (tokens, clusters, members of a cluster)."""
        return clog2(self.n + 1)

    @property
    def left(self) -> Format:
        """PE operand from the left: tokens, weights or centroids, K, V."""
        f = self.fmt
        formats = f.token, f.weight, f.qkv, f.lsh_a, *([f.centroid] if self.program.weights_stay else [])
        return Format(True, max(self.pair_width, *(each.width for each in formats)))

    @property
    def value(self) -> Format:
        """PE value register: A, centroids or weights, Q, AP (unsigned, so one bit more), 1/count."""
        f = self.fmt
        formats = f.lsh_a, f.centroid, f.qkv, *([f.weight] if self.program.weights_stay else [])
        return Format(True, max(f.ap.width + 1, self.mean_reciprocal_frac + 2, self.pair_width,
                                *(each.width for each in formats)))

    @property
    def result_width(self) -> int:
        """Bits of an element of the bank of O, where Q lies as well if weights stay."""
        f = self.fmt
        return max(f.output.width, f.qkv.width) if self.program.weights_stay else f.output.width

    @property
    def pair_width(self) -> int:
        """Bits of the sum of a centroid and a weight, or of the difference of two weights, which fast
        products multiply; 0 without them."""
        return 1 + max(self.fmt.centroid.width, self.fmt.weight.width) if self.program.fast else 0

    @property
    def beta(self) -> Format:
        """Less the sum of w_a w_b over the pairs of slices, for a dimension of the head."""
        low, high = self.fmt.weight.min, self.fmt.weight.max
        pairs = self.dw // 2
        return Format(True, bits_for_range(-(low * low) * pairs, -(low * high) * pairs))

    @property
    def acc(self) -> Format:
        """PE sum and result registers: wide enough that no sum of any phase can overflow."""
        f = self.fmt
        lsh = -f.token.min * -f.lsh_a.min * self.dw
        linear = -f.centroid.min * -f.weight.min * self.dw - f.bias.min
        score = f.qkv.min ** 2 * self.d
        output = -f.qkv.min * f.ap.max * self.keys
        worst = max(lsh, linear, score, output)
        return Format(True, bits_for_range(-worst, worst))

    @property
    def csum(self) -> Format:
        """One lane of a centroid sum: n tokens, exact."""
        return Format(True, self.fmt.token.width + clog2(self.n))

    @property
    def residual_shift(self) -> int:
        """Left shift that aligns a centroid with a token."""
        return self.fmt.token.frac - self.fmt.centroid.frac

    @property
    def ap_bank(self) -> Format:
        """One entry of an AP bank: the sum of ceil(n/2) exponentials, exact."""
        return Format(False, self.fmt.prob.width + clog2(-(-self.n // 2)), self.fmt.prob.frac)

    @property
    def ap_sum(self) -> Format:
        """The softmax denominator as the PPE sums it from normalised AP, exact."""
        return Format(False, self.fmt.ap.width + clog2(self.keys))

    @property
    def result_word(self) -> Format:
        """A result with its guard, before its normalisation."""
        return Format(True, self.acc.width + self.result_guard)

    @property
    def mean_word(self) -> Format:
        """A centroid sum times 1/count."""
        return Format(True, self.csum.width + self.mean_reciprocal_frac + 2)

    @property
    def hash_word(self) -> Format:
        """A PPE operand times a multiplier."""
        return Format(True, self.fmt.ppe.width + self.fmt.multiplier.width)

    @property
    def prob_word(self) -> Format:
        """An entry of the exponent table, shifted as far left as it is in range."""
        return Format(False, self.fmt.prob.width + self.exp_mantissa)

    @property
    def tree_digits(self) -> int:
        """Layers of the cluster tree: l hash values of hash.width/digit digits each."""
        return self.l * self.hash_digits

    @property
    def hash_digits(self) -> int:
        """Tree layers, and so CIM threads, that one hash value takes."""
        return self.fmt.hash.width // self.digit

    # -- tables -------------------------------------------------------------------------------

    @property
    def exp_index(self) -> int:
        """Index bits of the exponent table: every score fraction bit, so no interpolation."""
        return self.fmt.score.frac

    @cached_property
    def exp_table(self) -> np.ndarray:
        """2**(i/64) for i in 0..63, unsigned 1.11 (2**exp_index entries), below 2."""
        return exp2_table(self.exp_index, self.exp_mantissa)

    @cached_property
    def recip_table(self) -> np.ndarray:
        """1/(1+f) for f in [0, 1), unsigned 0.12; see :func:`model.cta.tables.recip_table`."""
        return tables.recip_table(self.recip_index, self.fmt.multiplier.width)

    @cached_property
    def mean_table(self) -> np.ndarray:
        """1/c for counts c in 0..n as a mantissa; see :func:`model.cta.tables.mean_table`."""
        return tables.mean_table(self.n, self.mean_reciprocal_frac)
