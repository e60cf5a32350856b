"""What a layer costs: operations as the paper counts them, parameters, bytes, least cycles.

The FLOP formula reproduces every LookupFFN figure of the paper (tests/model/lookup): a transform
counts n log2 n additions, a product counts two, and skip, biases, scores and normalisation count
nothing. Padding is paid for: h*tau below n costs a whole copy.
"""

from dataclasses import dataclass

from model.lookup import gather
from model.lookup.config import STAGES, LookupConfig
from model.lookup.job import Order

__all__ = ["Account", "account", "least_cycles", "vanilla_flop"]


def vanilla_flop(d: int, hidden: int = 0) -> int:
    """FLOP a token of a feed-forward network d -> hidden (4 d by default) -> d."""
    return 4 * d * (hidden or 4 * d)


@dataclass(frozen=True)
class Account:
    """Costs of a configuration; per token where nothing else is said.

    hash_flop, gather_flop : as the paper counts them.
    macs : multiplications of projection and gather, and hadamard_adds.
    weights : elements of the projection.
    table_entries : elements of all tables; fp32_bytes of them; stored_bytes with padded rows.
    weight_bits : of the projection, as the engine stores it.
    token_bytes : x in and y out, 16 bits an element (and the residual in, where there is one).
    gather_bytes : from the tables in token-major order.
    batch_bytes : from the tables for a whole batch in table-major order.
    projection_cycles, gather_cycles : what the multipliers, what the lanes need at the very least.
    """

    hash_flop: int
    gather_flop: int
    macs: int
    hadamard_adds: int
    weights: int
    weight_bits: int
    table_entries: int
    fp32_bytes: int
    stored_bytes: int
    token_bytes: int
    gather_bytes: int
    batch_bytes: int
    projection_cycles: int
    gather_cycles: int

    @property
    def flop(self) -> int:
        """All FLOP of a token."""
        return self.hash_flop + self.gather_flop

    @property
    def bound(self) -> int:
        """Cycles a token that no schedule can beat: the slower of projection and gather."""
        return max(self.projection_cycles, self.gather_cycles)

    @property
    def worthwhile_batch(self) -> float:
        """Tokens a batch from which table-major order moves fewer bytes."""
        return self.stored_bytes / self.gather_bytes


def account(cfg: LookupConfig) -> Account:
    """The costs of ``cfg``."""
    if cfg.projection == "dense":
        weights, products, adds = cfg.codes * cfg.d, cfg.codes * cfg.d, 0
    else:
        weights = products = cfg.copies * STAGES * cfg.n * cfg.block
        adds = cfg.copies * STAGES * cfg.n * cfg.levels
    gathered = cfg.h * cfg.entries * cfg.d
    entries = cfg.rows * cfg.d
    return Account(
        hash_flop=2 * products + adds, gather_flop=2 * gathered, macs=products + gathered,
        hadamard_adds=adds, weights=weights, weight_bits=weights * cfg.fmt.weight.width,
        table_entries=entries, fp32_bytes=4 * entries, stored_bytes=cfg.table_bytes,
        token_bytes=2 * cfg.d * (2 + cfg.residual),
        gather_bytes=gather.table_bytes(cfg, 1, Order.TOKEN_MAJOR),
        batch_bytes=gather.table_bytes(cfg, cfg.batch, Order.TABLE_MAJOR),
        projection_cycles=-(-products // cfg.multipliers),
        gather_cycles=cfg.h * cfg.entries * cfg.row_beats)


def least_cycles(cfg: LookupConfig, tokens: int, order: Order = Order.TOKEN_MAJOR) -> int:
    """Cycles of a job that no schedule of this order, its batches filled in turn, can beat.

    Token-major, those of the slower of projection and gather. Table-major, a table that has gone by serves no
    token whose code is not known yet: a batch's pass over the tables begins behind the projection of its last
    token, and behind the pass before. A pass takes what the port needs for all tables, or the lanes for all
    tokens of the batch. The way through the engine and the beats of y come on top.
    """
    costs = account(cfg)
    if order == Order.TOKEN_MAJOR:
        return tokens * costs.bound
    projected = done = 0
    for first in range(0, tokens, cfg.batch):
        size = min(cfg.batch, tokens - first)
        projected += size * costs.projection_cycles
        done = max(projected, done) + max(cfg.rows * cfg.row_beats, size * costs.gather_cycles)
    return done
