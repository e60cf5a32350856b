"""What a user sets of the CTA engine: formats, parameters and constants, each declared once.

:class:`model.cta.config.CTAConfig` has them as fields and checks them; what follows from them is there.
"""

from dataclasses import dataclass

from model.config import Constant, Parameter
from model.fixed import Format

__all__ = ["SA_WIDTHS", "HEAD_DIMS", "MOST_HASHES", "MOST_SLICES", "PARAMETER_WIDTH",
           "LEAST_CAPACITY", "CAPACITY_SHARES", "CTAFormats", "PARAMETERS", "BUILDABLE", "CONSTANTS"]

SA_WIDTHS = (2, 4, 8, 16, 32)
HEAD_DIMS = (8, 16, 32, 64, 128)
MOST_HASHES = 8
MOST_SLICES = 16
PARAMETER_WIDTH = 32     # bits of a parameter on the host stream
LEAST_CAPACITY = 32
CAPACITY_SHARES = {"k0": 21, "k1": 18, "k2": 2}     # default, in 32nds of n


@dataclass(frozen=True)
class CTAFormats:
    """The chosen formats. ``docs/numerics.md`` gives the reason for each.

    Token, A, weight, centroid and Q/K/V follow Sec. IV-C "Number Quantization"; the others are
    not stated in the paper. Binary points are nominal: a per-tensor power-of-two scale moves
    them by the shifts of the job descriptor.
    """

    token: Format = Format(True, 13, 7)      # X; Q6.7
    lsh_a: Format = Format(True, 12, 9)      # A; Q3.9
    weight: Format = Format(True, 12, 9)     # Wq, Wk, Wv; the point is the tensor's own
    centroid: Format = Format(True, 12, 6)   # C0, C1, C2; Q6.6
    qkv: Format = Format(True, 12, 6)        # compressed Q, K, V; Q6.6
    bias: Format = Format(True, 24, 16)      # LSH b, Q and V bias, in accumulator units
    hash: Format = Format(True, 8, 0)        # one hash value
    score: Format = Format(True, 16, 6)      # log2 units: log2(e)/sqrt(d) is folded into Wq
    prob: Format = Format(False, 24, 12)     # one exponential
    ap: Format = Format(False, 11, 0)        # AP as the array sees it, row-normalised
    output: Format = Format(True, 12, 6)     # O
    ppe: Format = Format(True, 18, 0)        # PPE multiplicand: LSH value or result, shifted
    multiplier: Format = Format(False, 12, 0)    # PPE multiplier: 1/w or 1/sum mantissa


PARAMETERS: dict[str, Parameter] = {
    "b": Parameter("SA width in columns", f"one of {SA_WIDTHS}", "8",
                   "It is also the number of queries in a batch."),
    "d": Parameter("head dimension and SA height in rows", f"one of {HEAD_DIMS}", "64"),
    "dw": Parameter("token dimension", "d to 16 d, a multiple of d", "d",
                    "A token is T = dw / d slices, each of which the array takes in a pass. "
                    "The figures of the paper have one."),
    "l": Parameter("hash code length", f"1..{MOST_HASHES}", "6",
                   "Hash functions beyond b columns run in further passes."),
    "n": Parameter("most tokens of a job", "2..2048", "512",
                   "It holds for keys and for queries, and sizes the memories."),
    "tokens": Parameter("rows of the token memory", "n..2n", "n",
                        "The keys of a job and, in cross-attention, the queries behind them."),
    "exact": Parameter("most keys, and most queries, of an exact job", "1..n", "n",
                       "Exact mode has a row of K, V, O, scores and probabilities a token."),
    "k0": Parameter("cluster capacity of LSH0", "1..n", "21/32 n, at least 32",
                    "The operating points of the paper need .63 n. A token beyond a capacity shares "
                    "the last cluster and is counted."),
    "k1": Parameter("cluster capacity of LSH1", "1..n", "9/16 n, at least 32",
                    "The operating points need .51 n."),
    "k2": Parameter("cluster capacity of LSH2", "1..n", "1/16 n, at least 32",
                    "The operating points need .06 n."),
    "sums": Parameter("banks of centroid sums", "1 or 2", "1",
                      "With two, the sums of a clustering begin while those before are averaged."),
    "aps": Parameter("banks of aggregated probabilities", "1 or 2", "2 where weights stay, else 1",
                     "With two, PAG works on the next batch while outputs take the last one's."),
    "program": Parameter("order of the work", "table1 or weights", "weights for dw > d, else table1",
                         "table1: the paper's, centroids stay in the array. weights: weights stay, and Q "
                         "is kept."),
    "products": Parameter("products of the linears", "plain or fast", "plain",
                          "fast: two slices in one product each, exactly, by fast inner products. It falls "
                          "back to plain where centroids stay or T is odd."),
    "ahead": Parameter("values are loaded while others are in use", "yes, no", "yes",
                       "Without it a load stops the array, as in the paper's Fig. 10."),
    "pag": Parameter("exponentials a cycle", "a power of two in 2..2b", "2b",
                     "The default is the optimum of the paper's Fig. 13."),
    "sets": Parameter("weight sets on chip", "1..8", "1"),
    "lanes": Parameter("elements a beat of the host streams", "a power of two in 4..d", "8"),
    "digit": Parameter("hash bits that a layer of the cluster tree resolves", "1, 2 or 4", "2",
                       "It divides the width of a hash value.")}
"""Structural parameters, in the order of the fields."""

BUILDABLE: dict[str, tuple[int, int]] = {
    "token": (4, 16), "lsh_a": (4, 16), "weight": (4, 16), "centroid": (4, 16), "qkv": (4, 16),
    "bias": (4, 32), "hash": (2, 16), "score": (4, 32), "prob": (4, 32), "ap": (4, 15),
    "output": (4, 16), "ppe": (8, 32), "multiplier": (8, 16)}
"""Least and largest width of each format that the words of the RTL have room for."""

CONSTANTS: dict[str, Constant] = {
    "exp_mantissa": Constant(4, 16, "bits of an entry of the exponent table"),
    "recip_index": Constant(2, 12, "index bits of the table of 1/sum"),
    "mean_reciprocal_frac": Constant(4, 14, "fraction bits of 1/count"),
    "result_guard": Constant(1, 8, "fraction bits a normalised result keeps")}
"""Fields that shape a table or a guard."""
