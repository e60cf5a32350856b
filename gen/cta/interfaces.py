"""What travels between the assemblies of the CTA engine: a signature for each way.

Directions are those of the side that asks or sends; the other side has the signature flipped. The
commands that one block obeys, a cycle each, are structs beside that block.
"""

from amaranth.hdl import signed
from amaranth.lib.wiring import In, Out, Signature

from gen.blocks.memory import address_width
from gen.cta.pe import PEControl
from gen.fixed import shape
from model.cta.config import CTAConfig
from model.cta.job import LSH_WIDTH, SHIFT_O
from model.fixed import SHIFT

__all__ = ["BorrowedColumns", "ClusterCounts", "HashFlags", "LSHParameters", "LeftEdge",
           "PPEEvents", "PPESettings", "PairLookup", "ResidualLookup", "RowRead",
           "ScoreFlags", "TokenLookup"]


class LeftEdge(Signature):
    """What enters the array from the left, row i a cycle after row i-1.

    Members
    -------
    x[d] : Operand of row i. Format ``cfg.left``.
    y[d] : Operand of the second slice, with it. Format ``cfg.value``. Only with fast products.
    ctl[d] : Control that goes right with the operand.
    push[d] : The second value registers of row i shift to the right.
    shadow[d] : Value that enters them. Format ``cfg.value``.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"x": Out(shape(cfg.left)).array(cfg.d),
                          "ctl": Out(PEControl(cfg)).array(cfg.d), "push": Out(1).array(cfg.d),
                          "shadow": Out(shape(cfg.value)).array(cfg.d),
                          **({"y": Out(shape(cfg.value)).array(cfg.d)} if cfg.program.fast else {})})


class BorrowedColumns(Signature):
    """What CAG has two borrowed columns do: one adds, one multiplies, all rows at once.

    The operand of the adders is the row that CAG asks the lanes for and so comes from there.

    Members
    -------
    cacc_next : The adders are borrowed in the next cycle, in which their operand comes.
    cacc_acc[d] : The other operand of adder i, two cycles after it. Format ``cfg.csum``.
    cacc_sum[d] : Sum of row i, three cycles after it. Format ``cfg.csum``.
    cavg_next : The multipliers are borrowed in the next cycle, in which both operands come.
    cavg_x[d] : Operand of multiplier i. Format ``cfg.left``.
    cavg_value : The other operand of all multipliers, the reciprocal. Format ``cfg.value``.
    cavg_sum[d] : Product of row i, three cycles after them.
    """

    def __init__(self, cfg: CTAConfig):
        d, csum = cfg.d, shape(cfg.csum)
        super().__init__({
            "cacc_next": Out(1), "cacc_acc": Out(csum).array(d), "cacc_sum": In(csum).array(d),
            "cavg_next": Out(1), "cavg_x": Out(shape(cfg.left)).array(d),
            "cavg_value": Out(shape(cfg.value)),
            "cavg_sum": In(signed(cfg.left.width + cfg.value.width)).array(d)})


class HashFlags(Signature):
    """What goes with the hash value of column 0; column j has its value j cycles later.

    Members
    -------
    valid : Column 0 has the hash value of a token.
    first : The token is the first of the pass.
    last : The token is the last of the pass.
    lsh : Clustering of the token.
    hpass : Pass over the tokens.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"valid": Out(1), "first": Out(1), "last": Out(1), "lsh": Out(LSH_WIDTH),
                          "hpass": Out(cfg.pass_width)})


class ScoreFlags(Signature):
    """What goes with the score of column 0; column j has its score j cycles later.

    Members
    -------
    valid : Column 0 has a score.
    first : The score is the first of the batch.
    level2 : The score is of level 2.
    last : The score is the last of the batch.
    """

    def __init__(self):
        super().__init__({"valid": Out(1), "first": Out(1), "level2": Out(1), "last": Out(1)})


class ClusterCounts(Signature):
    """How many clusters a job has, valid from the last index of each clustering on.

    Members
    -------
    k0 : Clusters of LSH0, which are the compressed queries.
    k1 : Clusters of LSH1, the keys of level 1.
    k2 : Clusters of LSH2, the keys of level 2. Zero in exact mode, which has one level.
    k : Rows of K and of V, which is k1 + k2.
    """

    def __init__(self, cfg: CTAConfig):
        count = cfg.count_width
        super().__init__({"k0": Out(count), "k1": Out(count), "k2": Out(count),
                          "k": Out(range(cfg.keys + 1))})


class TokenLookup(Signature):
    """Asks the cluster tables of a job that has ended for one token.

    Members
    -------
    en : The tables are asked in this cycle; with ``all`` only while ``ready`` is high.
    all : Of all tables, not CT0 alone.
    addr : Number of the token.
    copy : Copy of the tables that is the job's.
    identity : The job has no clusters: CT0 and CT1 are the token itself, CT2 is 0.
    ready : All tables may be asked.
    ct[3] : Cluster of the token in LSH0, LSH1, LSH2, one cycle later and until the next answer.
    """

    def __init__(self, cfg: CTAConfig):
        index = cfg.token_id_width
        super().__init__({"en": Out(1), "all": Out(1), "addr": Out(index), "copy": Out(1),
                          "identity": Out(1), "ready": In(1), "ct": In(index).array(3)})


class ResidualLookup(Signature):
    """Asks the cluster tables for the cluster whose centroid is taken from a token.

    Members
    -------
    en : The table is asked in this cycle.
    addr : Number of the token.
    ct1 : Cluster of the token in LSH1, one cycle later and until the next answer.
    """

    def __init__(self, cfg: CTAConfig):
        index = cfg.token_id_width
        super().__init__({"en": Out(1), "addr": Out(index), "ct1": In(index)})


class PairLookup(Signature):
    """Asks the cluster tables for both levels of the tokens 2 addr and 2 addr + 1.

    Members
    -------
    en : The tables are asked in this cycle.
    addr : Number of the pair.
    ct1_even : Cluster of the even token in LSH1, one cycle later.
    ct1_odd : Cluster of the odd token in LSH1, one cycle later.
    ct2_even : Cluster of the even token in LSH2, one cycle later.
    ct2_odd : Cluster of the odd token in LSH2, one cycle later.
    """

    def __init__(self, cfg: CTAConfig):
        one, two = address_width(cfg.entry_rows), address_width(cfg.k2)
        super().__init__({"en": Out(1), "addr": Out(address_width(-(-cfg.n // 2))),
                          "ct1_even": In(one), "ct1_odd": In(one), "ct2_even": In(two),
                          "ct2_odd": In(two)})


class RowRead(Signature):
    """Asks the lanes for a row of O.

    Members
    -------
    en : The row is asked for in this cycle.
    addr : Row of the output bank, a cluster of LSH0.
    data[d] : Element i of the row, one cycle later and until the next answer.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"en": Out(1), "addr": Out(address_width(cfg.queries)),
                          "data": In(cfg.result_width).array(cfg.d)})


class LSHParameters(Signature):
    """The parameters of the three LSHs beside their matrices, constant within a job.

    Members
    -------
    bias[3*l] : Bias b of hash function f of LSH c, at c*l + f. Format ``fmt.bias``.
    inv_w[3] : Mantissa of 1/w of LSH c. Format ``fmt.multiplier``.
    pre[3] : Right shift of a hash sum before the product with 1/w, by LSH.
    post[3] : Right shift of that product, by LSH.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"bias": Out(shape(cfg.fmt.bias)).array(3 * cfg.l),
                          "inv_w": Out(shape(cfg.fmt.multiplier)).array(3),
                          "pre": Out(SHIFT.width).array(3), "post": Out(SHIFT.width).array(3)})


class PPESettings(Signature):
    """What of the job word the PPEs work with, constant within a job.

    Members
    -------
    shift_q : Right shift of the sums of Q.
    shift_k : Right shift of the sums of K.
    shift_v : Right shift of the sums of V.
    shift_s : Right shift of a score.
    shift_o : Right shift of an output, beyond what the guard and the reciprocal ask for.
    exact : The job is exact attention: every token is in the sum of probabilities once, not twice.
    """

    def __init__(self):
        shift = Out(SHIFT.width)
        super().__init__({"shift_q": shift, "shift_k": shift, "shift_v": shift, "shift_s": shift,
                          "shift_o": Out(shape(SHIFT_O)), "exact": Out(1)})


class PPEEvents(Signature):
    """What the PPEs have counted in this cycle, of live columns only.

    Members
    -------
    sat_hash : Saturated operands and hash values.
    sat_linear : Saturated elements of Q, K, V.
    sat_score : Saturated scores and score differences.
    sat_output : Saturated operands and outputs.
    zero_rows : Columns whose sum of probabilities is found to be zero.
    """

    def __init__(self, cfg: CTAConfig):
        once, twice = Out(range(cfg.b + 1)), Out(range(2 * cfg.b + 1))
        super().__init__({"sat_hash": twice, "sat_linear": once, "sat_score": twice,
                          "sat_output": twice, "zero_rows": once})
