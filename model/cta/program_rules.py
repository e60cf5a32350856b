"""What makes a program legal: the rules of the blocks that a schedule has to keep.

Each rule is one of the hardware, and its message says which: the shortcut writes Q into the value
registers, so its scores come next; K and V share one load; residuals need C1; scores have two
buffers, which suffice since O works on the batch counted or on the one before. Where weights stay,
every linear loads its own, and scores load Q from its bank, where O of the batch takes its place. Fast
linears are those of weights that stay, all or none, behind an ALPHA of the keys and one of the queries.
"""

from model.config import shown
from model.cta.job import LSH, Mode
from model.cta.schedule import PHASES, Loop, Op, Row, Sizes, Step, Wait
from model.errors import ConfigError

__all__ = ["require_structure", "follow", "follow_linear"]

LOADS = (Op.HASH, Op.K, Op.Q)
"""Operations in front of which the value registers are loaded: V takes what K has loaded, a score
what the shortcut has written, and O takes probabilities from below."""

LOADS_WEIGHTS = (Op.HASH, Op.ALPHA, Op.K, Op.V, Op.Q, Op.SCORE)
"""The same where weights stay: O alone loads nothing, and ALPHA zeros."""

WAITS = {Op.HASH: Wait.NONE, Op.ALPHA: Wait.CENTROIDS, Op.K: Wait.CENTROIDS, Op.V: Wait.NONE, Op.Q: Wait.NONE,
         Op.SCORE: Wait.NONE, Op.OUT: Wait.PROBABILITY | Wait.DRAIN}
"""What an operation has to wait for. LSH2 also waits for C1."""


def _refuse(row: Row, what: str, legal: str):
    raise ConfigError(f"program.rows[{row.name!r}] is {what}, must be {legal}")


def require_structure(program) -> None:
    """Raise ConfigError unless all names resolve and every row has the fields of its operation."""
    def field(name, value, good, legal):
        if not good:
            raise ConfigError(f"program.{name} is {shown(value)}, must be {legal}")

    rows = program.rows
    field("name", program.name, isinstance(program.name, str) and program.name, "a text")
    field("rows", rows, isinstance(rows, tuple) and rows and all(isinstance(r, Row) for r in rows),
          "a tuple of rows")
    names = [row.name for row in rows]
    for at, name in enumerate(names):
        field(f"rows[{at}].name", name, isinstance(name, str) and names.count(name) == 1,
              "a text that no other row has")
    field("entry", program.entry, isinstance(program.entry, tuple)
          and len(program.entry) == len(Mode) and all(one in names for one in program.entry),
          f"a row for each of {len(Mode)} modes, of {names}")
    field("phases", program.phases, isinstance(program.phases, tuple)
          and len(program.phases) == len(PHASES) - 1
          and all(isinstance(op, Op) for op in program.phases),
          f"an operation that begins each of {PHASES[1:]}")
    stay = program.weights_stay
    field("linear", program.linear, program.linear is None or stay and program.linear in names,
          "None" + (f" or one of {names}" if stay else " where centroids stay"))
    for row in rows:
        where, linear = f"rows[{row.name!r}]", row.op in (Op.K, Op.V, Op.Q)
        for name, kind in (("op", Op), ("wait", Wait), ("loop", Loop), ("load", bool),
                           ("kept", bool), ("previous", bool), ("turns", bool), ("fast", bool)):
            value = getattr(row, name)
            field(f"{where}.{name}", value, isinstance(value, kind), f"of {kind.__name__}")
        for name in ("next", "slices", "again"):
            value = getattr(row, name)
            field(f"{where}.{name}", value, value is None or value in names,
                  f"None or one of {names}")
        field(f"{where}.again", row.again, (row.again is None) == (row.loop is Loop.NONE),
              "a row where the row closes a loop, and None where not")
        hashes, alpha = row.op is Op.HASH, row.op is Op.ALPHA
        field(f"{where}.lsh", row.lsh, isinstance(row.lsh, LSH) if hashes else
              row.lsh in (LSH.KEY, LSH.QUERY) if alpha else row.lsh is None,
              "the clustering of a HASH, KEY or QUERY of an ALPHA, and None for another operation")
        field(f"{where}.fast", row.fast, row.fast == (alpha or linear and program.fast),
              "True for ALPHA and, where one is, for all linears; False for another operation")
        field(f"{where}.op", row.op, stay or not row.fast,
              "no ALPHA, and linears not fast, where centroids stay")
        if alpha:
            field(f"{where}.slices", row.slices, row.slices == row.name and row.loop is Loop.NONE,
                  "the row itself, without another loop")
        loads = row.op in (LOADS_WEIGHTS if stay else LOADS)
        field(f"{where}.load", row.load, row.load == loads, f"{loads} for {row.op.name}")
        if stay and linear:
            field(f"{where}.loop", row.loop, row.loop is Loop.GROUP and row.again == row.name
                  and row.slices == row.name, "GROUP, with slices and again the row itself, since "
                  "the weights of every linear stay")
        field(f"{where}.turns", row.turns, (stay and linear) or not row.turns,
              "False but for a linear whose weights stay")
        field(f"{where}.loop", row.loop, linear or row.loop is not Loop.GROUP,
              "one of a linear, or another loop")
        field(f"{where}.kept", row.kept, hashes or not row.kept, "False but for HASH")
        field(f"{where}.previous", row.previous, row.op is Op.OUT or not row.previous,
              "False but for OUT")
        wait = WAITS[row.op] | (Wait.C1 if row.lsh is LSH.RESIDUAL else Wait.NONE)
        wait |= {Op.SCORE: Wait.QUERIES, Op.OUT: Wait.VALUES}.get(row.op, Wait.NONE) if stay else Wait.NONE
        field(f"{where}.wait", row.wait, row.wait == wait, f"{wait!r} for {row.op.name}"
              + (f" of LSH{int(row.lsh)}" if hashes else ""))


class _Array:
    """What the blocks hold while a program is walked."""

    def __init__(self, mode: Mode, sizes: Sizes):
        self.exact = mode is Mode.EXACT
        self.slices, self.passes, self.keys, self.queries = (sizes.slices, sizes.passes, sizes.keys,
                                                             sizes.queries)
        self.hashed: list[LSH] = []       # clusterings that are complete
        self.units = 0                    # slices of the passes or batches of what is under way
        self.values = 0                   # slices of all batches of V that are done
        self.scored = self.sent = 0       # batches of queries
        self.before: Step | None = None
        self.seen: list[Op] = []

        self.alphas: list[LSH] = []       # what ALPHA has formed

    def take(self, step: Step) -> None:
        getattr(self, f"_{step.row.op.name.lower()}")(step, step.row)
        self.before = step
        if step.row.op not in self.seen:
            self.seen.append(step.row.op)

    def _in_order(self, step, turn, done):
        if (turn, step.part) != divmod(done, self.slices):
            _refuse(step.row, f"at pass or batch {turn}, slice {step.part}",
                    "at {}, slice {}".format(*divmod(done, self.slices))
                    + " there: see its slices, loop and again")

    def _hash(self, step, row):
        if self.exact:
            _refuse(row, "reached in exact mode", "left out of it, which clusters nothing")
        if Op.K in self.seen:
            _refuse(row, "a HASH behind K", "before it, since K takes the place of the tokens")
        if row.lsh in self.hashed:
            _refuse(row, f"a second walk of LSH{int(row.lsh)}", "the only one")
        if self.units and self.before.row.lsh is not row.lsh:
            _refuse(row, "reached before a clustering is complete", "behind its last pass")
        if row.lsh is LSH.RESIDUAL and LSH.KEY not in self.hashed:
            _refuse(row, "LSH2 before LSH1", "behind it, since residuals need C1")
        if row.kept and not self.hashed and not self.units:
            _refuse(row, "the first HASH and kept", "a row that loads A")
        self._in_order(step, step.hpass, self.units)
        self.units += 1
        if self.units == self.slices * self.passes:
            self.hashed.append(row.lsh)
            self.units = 0

    def _k(self, step, row):
        if not self.exact and len(self.hashed) < len(LSH):
            _refuse(row, "a K before all clusterings", "behind LSH0, LSH1 and LSH2")
        if Op.Q in self.seen:
            _refuse(row, "a K behind Q", "before it, since scores need all keys")
        if self.before and self.before.row.op is Op.K:
            _refuse(row, "a K behind K", "behind V of the centroids before")
        self._in_order(step, step.batch, self.values)

    def _v(self, step, row):
        before = self.before
        if before is None or before.row.op is not Op.K or (
                before.part, before.batch) != (step.part, step.batch):
            _refuse(row, "a V without its K", "next to K, whose centroids are in the registers")
        self.values += 1

    def _q(self, step, row):
        if self.values < self.slices * self.keys:
            _refuse(row, "a Q before all keys", "behind the last batch of K and V")
        if self.before.row.op is not Op.Q:
            self.units = 0
        if step.batch != self.scored:
            _refuse(row, f"at batch {step.batch}", f"at batch {self.scored} there")
        self._in_order(step, 0, self.units)
        self.units += 1

    def _score(self, step, row):
        before = self.before
        if (before is None or before.row.op is not Op.Q or self.units < self.slices
                or step.batch != self.scored):
            _refuse(row, "a SCORE without its Q", "next to the last slice of Q of the batch, which "
                    "the shortcut has written into the registers")
        self.scored += 1

    def _out(self, step, row):
        if step.batch != self.sent or self.sent >= self.scored:
            _refuse(row, f"O of batch {step.batch}", f"of batch {self.sent}, behind its scores")
        self.sent += 1


class _WeightsStay(_Array):
    """The same where weights stay: linears come whole, one behind the other."""

    def _alpha(self, step, row):
        if not self.exact and len(self.hashed) < len(LSH):
            _refuse(row, "an ALPHA before all clusterings", "behind LSH0, LSH1 and LSH2")
        if Op.K in self.seen:
            _refuse(row, "an ALPHA behind K", "before it, which takes it off")
        if row.lsh in self.alphas and self.before.row is not row:
            _refuse(row, "a second ALPHA of the same rows", "the only one")
        self.alphas += [row.lsh] if row.lsh not in self.alphas else []

    def _k(self, step, row):
        if not self.exact and len(self.hashed) < len(LSH):
            _refuse(row, "a K before all clusterings", "behind LSH0, LSH1 and LSH2")
        if row.fast and len(self.alphas) < 2:
            _refuse(row, "a fast K before both ALPHA", "behind that of the keys and that of the queries")
        self._once(row, Op.K)

    def _v(self, step, row):
        if Op.K not in self.seen:
            _refuse(row, "a V before K", "behind it, which waits for the centroids")
        if Op.OUT in self.seen:
            _refuse(row, "a V behind O", "before it, since O needs all values")
        self._once(row, Op.V)

    def _q(self, step, row):
        if Op.K not in self.seen:
            _refuse(row, "a Q before K", "behind it, since it takes the place of O of the job before")
        self._once(row, Op.Q)

    def _once(self, row, op):
        if op in self.seen and self.before.row is not row:
            _refuse(row, f"a second {op.name}", f"the only one, with all groups of {op.name}")

    def _score(self, step, row):
        if Op.Q not in self.seen:
            _refuse(row, "a SCORE before Q", "behind all of Q")
        if step.batch != self.scored:
            _refuse(row, f"at batch {step.batch}", f"at batch {self.scored} there")
        if self.scored - self.sent > 1:
            _refuse(row, f"a third batch of scores, {step.batch}", "behind O of the batch before the last, "
                    "since scores have two buffers")
        self.scored += 1

    def _out(self, step, row):
        if Op.V not in self.seen:
            _refuse(row, "an O before V", "behind all of V")
        super()._out(step, row)


def follow(program, mode: Mode, sizes: Sizes) -> None:
    """Raise ConfigError unless the blocks can run the program for so many slices, passes, batches."""
    array = (_WeightsStay if program.weights_stay else _Array)(mode, sizes)
    slices, passes, keys, queries = sizes.slices, sizes.passes, sizes.keys, sizes.queries
    most = (len(LSH) * passes * slices + 2 * keys * slices + queries * (slices + 2)
            + 3 * sizes.groups * slices + 2 * slices)
    for at, step in enumerate(program.walk(mode, sizes)):
        if at == most:
            _refuse(step.row, f"step {at + 1} of {most}", "behind the end of the program")
        array.take(step)
    if array.sent != queries:
        _refuse(array.before.row, f"the end behind {array.sent} batches of O",
                f"behind {queries}")
    begins = [array.seen.index(op) if op in array.seen else -1 for op in program.phases]
    if -1 in begins or begins != sorted(set(begins)):
        raise ConfigError(f"program.phases is {[op.name for op in program.phases]}, must be "
                          f"operations of {mode.name} mode in the order of the program")


class _Linear(_WeightsStay):
    """What a linear job may do: an ALPHA of its rows where products are fast, and all of Q."""

    def __init__(self, sizes: Sizes):
        super().__init__(Mode.EXACT, sizes)

    def _alpha(self, step, row):
        if row.lsh is not LSH.QUERY:
            _refuse(row, "an ALPHA of keys in a linear job", "left out of it, which has queries alone")
        super()._alpha(step, row)

    def _q(self, step, row):
        if row.fast and not self.alphas:
            _refuse(row, "a fast Q before ALPHA of the queries", "behind it, which it takes off")
        self._once(row, Op.Q)

    def _refused(self, step, row):
        _refuse(row, f"{row.op.name} in a linear job", "left out of it, which ends with Q")

    _hash = _k = _v = _score = _out = _refused


def follow_linear(program, sizes: Sizes) -> None:
    """Raise ConfigError unless a linear job of the program is all of Q and nothing else."""
    array = _Linear(sizes)
    most = (1 + sizes.groups) * sizes.slices
    for at, step in enumerate(program.walk(Mode.EXACT, sizes, linear=True)):
        if at == most:
            _refuse(step.row, f"step {at + 1} of {most} of a linear job", "behind its end")
        array.take(step)
    if Op.Q not in array.seen:
        _refuse(array.before.row, "the end of a linear job without Q", "before it")
