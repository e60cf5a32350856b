"""Every memory of a CTA engine by the bank it belongs to: the budget of a configuration.

``gen`` builds the memories from the same depths (:class:`model.cta.memories.Memories`) and formats;
``tests/model/cta/test_banks.py`` holds this list to the shapes that the generator emits.
"""

from dataclasses import asdict, dataclass

from model.cta.config import CTAConfig
from model.fixed import clog2

__all__ = ["Bank", "banks", "bits"]


@dataclass(frozen=True)
class Bank:
    """``count`` memories of ``depth`` words of ``width`` bits, which hold ``holds``.

    ``ports`` as in the name of the wrapper: ``1rw`` one port, ``1r1w`` one to write and one to read,
    ``1rw1r`` one for both and one to read.
    """

    name: str
    holds: str
    ports: str
    count: int
    depth: int
    width: int

    @property
    def bits(self) -> int:
        """Bits of all of them."""
        return self.count * self.depth * self.width

    def as_dict(self) -> dict:
        """As plain data (JSON), bits included."""
        return asdict(self) | {"bits": self.bits}


def banks(cfg: CTAConfig) -> tuple[Bank, ...]:
    """All memories of the engine, in the order in which data pass them."""
    return tuple(bank for bank in (*_joined(_lanes(cfg)), *_array(cfg), *_clusters(cfg), *_attention(cfg))
                 if bank.count)


def bits(cfg: CTAConfig) -> int:
    """Bits of all memories."""
    return sum(bank.bits for bank in banks(cfg))


def _lanes(cfg: CTAConfig) -> list[Bank]:
    """The banks of the lanes: vectors of the token dimension."""
    f, each = cfg.fmt, cfg.lane_rows
    beat = 1 + _address(max(cfg.token_depth, cfg.weight_depth)) + cfg.lanes * max(
        f.token.width, f.weight.width, f.lsh_a.width)
    queues = Bank("load queues", "beats while weights are read", "1r1w", cfg.groups if cfg.load_queue else 0,
                  cfg.load_queue, beat)
    weight, row = max(f.weight.width, f.lsh_a.width), max(f.centroid.width, f.qkv.width)
    return [queues, *(Bank(name, holds, ports, cfg.d // each, depth, each * width)
              for name, holds, ports, depth, width in (
        *2 * [("tokens", "tokens, even and odd", "1rw", cfg.token_depth // 2, f.token.width)],
        ("weights", "A, Wq, Wk, Wv of every set", "1rw", cfg.weight_depth, weight),
        *cfg.row_banks * [("keys", "C0, K, C1 once more", "1r1w", -(-cfg.key_depth // cfg.row_banks), row)],
        *cfg.row_banks * [("values", "C1, C2, V", "1r1w", -(-cfg.value_depth // cfg.row_banks), row)],
        ("outputs", "Q, and O in its place", "1r1w", cfg.queries, max(f.output.width, f.qkv.width))
        if cfg.program.weights_stay else ("outputs", "O", "1rw", cfg.queries, f.output.width)))]


def _array(cfg: CTAConfig) -> list[Bank]:
    """What the bottom of the array reads."""
    hashing = cfg.hash_columns if cfg.slices > 1 else 0
    rest = cfg.b - cfg.hash_columns if cfg.slices > 1 else 0
    fast = int(cfg.program.fast)
    return [Bank("biases", "biases of Q and V", "1r1w", 1, 2 * cfg.d * cfg.sets, cfg.fmt.bias.width),
            Bank("betas", "less the sums of w_a w_b of Q, K and V", "1r1w", fast, 3 * cfg.d * cfg.sets,
                 cfg.beta.width),
            Bank("alphas", "sums of x_a x_b of centroids", "1r1w", fast, cfg.alpha_rows, cfg.acc.width),
            Bank("partial sums", "sums of the slices before", "1r1w", hashing,
                 cfg.partial_depth(True), cfg.acc.width),
            Bank("partial sums", "sums of the slices before", "1r1w", rest,
                 cfg.partial_depth(False), cfg.acc.width)]


def _clusters(cfg: CTAConfig) -> list[Bank]:
    """Cluster index, cluster tables and the sums of centroids."""
    found = [Bank("hash buffer", "hash values of earlier passes", "1r1w", cfg.passes - 1, cfg.n,
                  cfg.hash_columns * cfg.fmt.hash.width)]
    for layer in range(cfg.tree_digits):
        rows, children = cfg.tree_rows(layer), cfg.tree_rows(layer + 1)
        if rows > 1:           # the root is a register
            found.append(Bank("tree", "children of the nodes of a layer", "1r1w", 1, rows,
                              (1 + _address(children)) << cfg.digit))
    return [*_joined(found),
            Bank("cluster tables", "CT0, CT1, CT2, twice", "1rw1r", 12, -(-cfg.n // 2),
                 cfg.token_id_width),
            Bank("sums", "sums of a clustering", "1r1w", cfg.sums, cfg.sum_rows,
                 cfg.d * cfg.csum.width),
            Bank("counts", "members of its clusters", "1r1w", cfg.sums, cfg.sum_rows, cfg.count_width)]


def _attention(cfg: CTAConfig) -> list[Bank]:
    """Scores and probabilities, of both levels."""
    found = []
    for level, depth in ((1, cfg.entry_rows), (2, cfg.k2)):
        found += [Bank("CS", f"scores of level {level}, of two batches, twice", "1rw", 4, depth,
                       cfg.b * cfg.fmt.score.width),
                  Bank("AP", f"probabilities of level {level}, even and odd tokens", "1r1w",
                       2 * cfg.aps * cfg.pag_rounds, depth, cfg.tiles * cfg.ap_bank.width)]
    return sorted(found, key=lambda bank: bank.name, reverse=True)


def _joined(found: list[Bank]) -> list[Bank]:
    """Banks of one shape behind each other as one."""
    joined: list[Bank] = []
    for bank in found:
        last = joined[-1] if joined else None
        if last and (last.name, last.depth, last.width) == (bank.name, bank.depth, bank.width):
            joined[-1] = Bank(*(getattr(bank, name) for name in ("name", "holds", "ports")),
                              last.count + bank.count, bank.depth, bank.width)
        else:
            joined.append(bank)
    return joined


def _address(depth: int) -> int:
    """Bits of an address: at least one."""
    return max(1, clog2(depth))
