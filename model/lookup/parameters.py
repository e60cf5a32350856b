"""What a user sets of the LookupFFN engine: formats, parameters and constants, each declared once.

:class:`model.lookup.config.LookupConfig` has them as fields and checks them; what follows from them is there.
"""

from dataclasses import dataclass

from model.config import Constant, Parameter
from model.fixed import Format

__all__ = ["PROJECTIONS", "PLACES", "INTERNAL_BYTES", "STAGES", "LookupFormats", "PARAMETERS", "BUILDABLE",
           "CONSTANTS"]

PROJECTIONS = ("bh4", "dense")
PLACES = ("external", "internal")
INTERNAL_BYTES = 1 << 24     # largest set of tables that an engine keeps in its own SRAM
STAGES = 4                   # block-diagonal products of a copy, each before a Hadamard transform


@dataclass(frozen=True)
class LookupFormats:
    """The chosen formats. ``docs/lookup.md`` gives the reason for each; the paper states none.

    Binary points are nominal: tensors whose point is their own are moved by shifts.
    """

    x: Format = Format(True, 12, 7)         # tokens; the point is the tensor's own
    weight: Format = Format(True, 10, 9)    # blocks or dense projection; own point
    stage: Format = Format(True, 14, 9)     # after a block product, after a Hadamard; own point
    mix: Format = Format(False, 9, 8)       # the two coefficients of the fixed skip, 0 to 2
    z_bias: Format = Format(True, 16, 11)   # z bias, and the grid on which z is summed
    z: Format = Format(True, 12, 7)         # soft hash code; Q5.7
    score: Format = Format(False, 12, 6)    # magnitude of s; a point for each table
    table: Format = Format(True, 8, 7)      # table entries; a point for each table
    out_bias: Format = Format(True, 24, 14)  # in accumulator units
    output: Format = Format(True, 16, 8)    # y, and the residual added to it; own point


PARAMETERS: dict[str, Parameter] = {
    "d": Parameter("token dimension", "a multiple of 8 in 8..2048", "512",
                   "BH4 pads it to n = 2**ceil(log2 d)."),
    "h": Parameter("hash tables", "1..1024", "128"),
    "tau": Parameter("bits of a hash code", "1..16", "8", "A table has 2**tau rows."),
    "block": Parameter("block size of BH4", "a power of two in 4..256", "64",
                       "It is at most n, which is then the default."),
    "projection": Parameter("of tokens to hash codes", " or ".join(PROJECTIONS), "bh4",
                            "dense is one matrix (h*tau, d), without copies and skip."),
    "neighbours": Parameter("read the rows at one sign flip as well", "True or False", "no",
                            "N(z) is then tau + 1 rows and not only the heaviest."),
    "gelu_scaled": Parameter("the weight carries <z, S>", "True or False", "yes",
                             "This is Sec. 4 of the paper; without, plain equation 7."),
    "residual": Parameter("add a residual tensor to the output", "True or False", "no",
                          "The tensor comes with the tokens."),
    "multipliers": Parameter("multipliers of the projection", "a power of two in 1..4096",
                             "256", "They are at most block squared, which is then the default."),
    "lanes": Parameter("table bytes a beat", "a power of two in 1..n", "64",
                       "The gather has as many multipliers. A row is padded to whole beats. "
                       "The default is n where that is less."),
    "batch": Parameter("tokens that share a table tile", "1..256", "64",
                       "It holds for the table-major order. Without a tile it is 1."),
    "tile": Parameter("memory of two tables, for the table-major order", "True or False", "yes",
                      "Without it, table-major jobs are refused, and rows and sums of a token at a time are "
                      "kept."),
    "tables": Parameter("where the tables are", " or ".join(PLACES), "external",
                        "external is behind a read port; internal is SRAM, at most 16 MiB."),
    "outstanding": Parameter("table beats in flight", "a power of two in 1..4096", "256")}
"""Structural parameters, in the order of the fields."""

BUILDABLE: dict[str, tuple[int, int]] = {
    "x": (4, 16), "weight": (4, 16), "stage": (4, 18), "mix": (2, 16), "z_bias": (4, 32),
    "z": (4, 16), "score": (4, 16), "table": (8, 8), "out_bias": (4, 32), "output": (4, 16)}
"""Least and largest width of each format that the words of the RTL have room for."""

CONSTANTS: dict[str, Constant] = {
    "log_index": Constant(2, 10, "index bits of the table of log2(1 + exp(-2|z|))"),
    "log_reach": Constant(1, 4, "that table covers |z| below 2**log_reach"),
    "log_mantissa": Constant(4, 14, "bits of one of its entries"),
    "exp_index": Constant(2, 10, "index bits of the table of 2**f, at most log_mantissa"),
    "exp_mantissa": Constant(4, 16, "bits of one of its entries"),
    "flip_frac": Constant(2, 12, "fraction bits of 2 log2(e)")}
"""Fields that shape a table or a guard."""
