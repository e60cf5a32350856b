"""What the memories of the CTA engine hold, and how deep they are: a part of its configuration.

Every vector memory is one bank a lane, i.e. ``lane_rows`` rows of the array. Which lies where, and why:
docs/decisions/0022-memories.md, docs/decisions/0026-ports.md.
"""

from model.cta.job import Matrix

__all__ = ["Memories"]


class Memories:
    """Depths of the banks and rows within them, from the parameters that
    :class:`model.cta.config.CTAConfig` has as fields."""

    @property
    def lane_rows(self) -> int:
        """Rows of the array, i.e. dimensions, whose elements lie side by side in the words of a lane's
        banks: a memory of 12 columns would be a quarter wires, and its rows as many as of a wide one.
        Where weights stay the columns that stand side by side write a word, so no more than b."""
        return min(4, self.b) if self.program.weights_stay else 4

    @property
    def k12(self) -> int:
        """Capacity of both levels of clusters together."""
        return self.k1 + self.k2

    @property
    def keys(self) -> int:
        """Most rows of K and of V: the clusters of both levels, or the keys of an exact job."""
        return max(self.k12, self.exact)

    @property
    def queries(self) -> int:
        """Most rows of Q and of O: the clusters of LSH0, or the queries of an exact job."""
        return max(self.k0, self.exact)

    @property
    def entries(self) -> int:
        """Most entries of level 1 of a batch: clusters, or the keys of an exact job."""
        return max(self.k1, self.exact)

    @property
    def entry_rows(self) -> int:
        """Rows of a memory of CS and of AP at level 1. Even and odd tokens have one each: in CTA mode
        both hold all clusters, in exact mode, where a token is its own cluster, each holds its own."""
        return max(self.k1, -(-self.exact // 2))

    @property
    def token_stride(self) -> int:
        """Rows from a slice to the next: as many as there are tokens, and even, so that the parity of a
        row is that of its token. With fast products it is that of token and slice together: row t of the
        slices 2p and 2p + 1 is at p * 2 * token_stride + 2 t, in the other order if t is odd."""
        return self.tokens + self.tokens % 2

    @property
    def row_banks(self) -> int:
        """Banks of keys, and of values: with fast products one for even rows and one for odd ones, so that
        two slices of a centroid are read at once."""
        return 2 if self.program.fast else 1

    def row_of(self, part: int, row: int, rows: int) -> int:
        """Where slice ``part`` of row ``row`` of ``rows`` centroids lies, from that of the first slice of
        the first one on: slice behind slice, or with fast products two slices side by side."""
        if not self.program.fast:
            return part * rows + row
        return part // 2 * 2 * rows + 2 * row + part % 2

    def token_row(self, part: int, token: int) -> int:
        """Where slice ``part`` of a token lies."""
        if not self.program.fast:
            return part * self.token_stride + token
        return part // 2 * 2 * self.token_stride + 2 * token + (part + token) % 2

    @property
    def token_depth(self) -> int:
        """Rows of the tokens, slice by slice: the keys, and behind them the queries of a cross job. Even
        and odd ones lie in two banks."""
        return self.token_stride * self.slices

    def matrix_rows(self, matrix: Matrix) -> int:
        """Rows of one slice of a matrix: one a dimension of the head, or a hash function."""
        return self.l if matrix.lsh is not None else self.d

    def weight_base(self, matrix: Matrix) -> int:
        """First row of a matrix within a weight set, in which each lies slice by slice."""
        return self.slices * sum(self.matrix_rows(other) for other in Matrix if other < matrix)

    @property
    def weight_rows(self) -> int:
        """Rows of a weight bank that one weight set takes: all six matrices."""
        return self.slices * sum(self.matrix_rows(matrix) for matrix in Matrix)

    @property
    def weight_depth(self) -> int:
        """Rows of a weight bank."""
        return self.sets * self.weight_rows

    @property
    def key_base(self) -> int:
        """First row of K in the key bank, behind C0; those of an exact job begin at 0. Until K is there
        the first slice of C1 is, a second time."""
        return self.k0 * self.slices

    @property
    def key_depth(self) -> int:
        """Rows of a key bank: C0 and K."""
        return max(self.key_base + self.k12, self.exact)

    @property
    def c2_base(self) -> int:
        """First row of C2 in the value bank, behind C1."""
        return self.k1 * self.slices

    @property
    def value_base(self) -> int:
        """First row of V in the value bank, behind C1 and C2; those of an exact job begin at 0."""
        return self.k12 * self.slices

    @property
    def value_depth(self) -> int:
        """Rows of a value bank: C1, C2 and V."""
        return max(self.value_base + self.k12, self.exact)

    @property
    def row_depth(self) -> int:
        """Rows of the deeper of the banks of keys and values."""
        return max(self.key_depth, self.value_depth)

    @property
    def sum_rows(self) -> int:
        """Rows of a bank of centroid sums: the clusters of the largest clustering."""
        return max(self.k0, self.k1, self.k2)

    def tree_rows(self, layer: int) -> int:
        """Most nodes that ``layer`` of the cluster tree can have: the largest capacity, or all spellings
        that lead to it. Layer ``tree_digits`` is that of the leaves, i.e. the clusters."""
        return min(self.sum_rows, 1 << (self.digit * layer))

    def partial_depth(self, hashes: bool) -> int:
        """Partial sums of a column: one a token where it hashes, one a dimension of K and of V. Where
        weights stay, one a row of Q, K or V, or of two groups in turn, which have fewer than 2 d."""
        if self.program.weights_stay:
            return max(self.n, self.k12, 4 * self.d)
        return max(self.n, 2 * self.d) if hashes else 2 * self.d

    @property
    def load_queue(self) -> int:
        """Beats that a lane group can hold back while its weight banks are read: with fast products they are
        for more than half of the time, 2 b + lanes cycles of a stream of few rows. A power of two."""
        return 16 if self.program.fast else 0

    @property
    def alpha_rows(self) -> int:
        """Sums of x_a x_b that fast products take off: of the rows of K and V, and behind them of Q."""
        return self.keys + self.queries if self.program.fast else 0

    @property
    def bank_depth(self) -> int:
        """Most rows of a bank that the array reads."""
        return max(self.token_depth, self.weight_depth, self.row_depth)
