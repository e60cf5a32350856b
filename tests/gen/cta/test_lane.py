"""Lane: random reads and writes of all banks at once; residuals and the centroid of a token against
model.cta.centroid."""

import random

import numpy as np
import pytest
from amaranth.hdl import Signal

from gen.cta.lane import Lane
from gen.cta.lane_commands import LaneCommand, ValueRead
from model.cta.centroid import centroids, residuals
from model.cta.config import CTAConfig
from tests.gen.mutants import each_found, edited
from tests.gen.native import simulate

CONFIGS = {"small": dict(b=4, d=8, l=2, n=6, k0=5, k1=6, k2=3),
           "slices": dict(b=2, d=8, dw=16, l=3, n=5, sets=2, program="table1"),
           "smallest": dict(b=2, d=8, l=1, n=2, k0=1, k1=1, k2=1, exact=1),
           "weights": dict(b=4, d=8, dw=16, l=3, n=6, k0=5, k1=6, k2=3),
           "weights, two columns": dict(b=2, d=8, dw=16, l=3, n=6, k0=5, k1=6, k2=3),
           "fast": dict(b=4, d=8, dw=32, l=3, n=6, k0=5, k1=6, k2=3, products="fast")}


class Twin:
    """The lane as dictionaries: what a cycle's inputs do to the banks and show, and when. A row of a bank is
    a list, an element a dimension."""

    def __init__(self, cfg, ctx, dut, rng):
        self.cfg, self.ctx, self.dut, self.rng = cfg, ctx, dut, rng
        f = cfg.fmt
        self.banks = {"token": [None] * cfg.token_depth, "weight": [None] * cfg.weight_depth,
                      "key": [None] * cfg.key_depth, "value": [None] * cfg.value_depth,
                      "output": [None] * cfg.queries}
        self.formats = {"token": f.token, "weight": f.weight, "key": f.centroid, "value": f.centroid}
        self.stay, self.fast = cfg.program.weights_stay, cfg.program.fast
        self.read = [[0] * cfg.lane_rows] * 2      # values of the last two cycles, 0 where none was read
        self.due = {}             # cycle -> {(output, element or None): value}
        self.behind = {}          # cycle -> write-backs that end in it: (bank, row, column, first cycle)
        self.shown = {}           # cycle -> elements at the top of the columns, by port
        self.cycle = 0

    def raw(self, fmt):
        return [self.rng.choice((fmt.min, fmt.max, self.rng.randint(fmt.min, fmt.max)))
                for _ in range(self.cfg.lane_rows)]

    def known(self, bank, avoid=()):
        """A row of a bank that may be read now, or None."""
        rows = [row for row, value in enumerate(self.banks[bank])
                if value is not None and row not in avoid]
        return self.rng.choice(rows) if rows else None

    def residual(self, tokens, c1):
        """Elements, and which of them saturated."""
        each = [residuals(self.cfg, np.array([[token]]), np.array([[centroid]]), np.array([0]))
                for token, centroid in zip(tokens, c1)]
        return [int(value[0, 0]) for value, _ in each], [moved for _, moved in each]

    def centroid(self, tokens):
        each = [centroids(self.cfg, np.array([[token]]), np.array([0]), 1) for token in tokens]
        return [int(value[0, 0]) for value, _ in each], [moved for _, moved in each]

    def expect(self, after, name, values, skew=0):
        """Element i of an output in ``after`` + i * ``skew`` cycles."""
        for i, value in enumerate(values):
            self.due.setdefault(self.cycle + after + i * skew, {})[name, i] = value

    def step(self):
        """Drives one cycle."""
        rng, ctx, dut = self.rng, self.ctx, self.dut
        written = {bank: set() for bank in self.banks}
        stores = [self._written_back(*late) for late in self.behind.pop(self.cycle, [])]

        def chance(p=0.5):
            return rng.random() < p

        # Writes: of the loader, of K or V or O where their write-back ends, else of CAVG.
        load_token = chance()
        load_weight = not load_token and chance()
        row = rng.randrange(len(self.banks["token" if load_token else "weight"]))
        value = self.raw(self.cfg.fmt.token if load_token else self.cfg.fmt.weight)
        ctx.set(dut.load, {"token": load_token, "weight": load_weight, "addr": row})
        ctx.set(dut.load_data, sum((x & 0xFFFF) << 16 * i for i, x in enumerate(value)))
        if load_token or load_weight:
            stores.append(("token" if load_token else "weight", row, value))
        taken = {bank for bank, *_ in stores}
        means = {bank: bank not in taken and chance() for bank in ("key", "value")}
        rows = {bank: rng.randrange(len(self.banks[bank])) for bank in means}
        value = self.raw(self.cfg.fmt.centroid)
        ctx.set(dut.c, {**means, "key_addr": rows["key"], "value_addr": rows["value"]})
        for port, element in zip(dut.c_data, value):
            ctx.set(port, element)
        stores += [(bank, rows[bank], value) for bank, writes in means.items() if writes]
        for bank, row, _ in stores:
            written[bank].add(row)

        self._for_cacc(chance, written, *self._command(chance, written))
        self._write_back(chance)
        for bank, row, value in stores:
            self.banks[bank][row] = value

    def _command(self, chance, written):
        """An operand of one bank, a value of another; a bank with one port is not read where it is written.
        Gives the banks that are read, and the parity of a token."""
        banks, rng, cfg = self.banks, self.rng, self.cfg
        # Tokens of a parity have a bank of their own.
        parities = {row % 2 for row in written["token"]}
        busy = [row for row in range(cfg.token_depth) if row % 2 in parities]

        def pick(kinds, taken=()):
            """What is read, and its row; never of the banks ``taken``."""
            kind = rng.choice(kinds)
            bank = {"residual": "token", "centroid": "token", "query": "output"}.get(kind, kind)
            row = None if kind == "none" else self.known(bank, (*written[bank], *busy * (bank == "token")))
            if row is None or bank in taken or (bank == "weight" and written[bank]) or chance(0.1):
                return "none", 0
            return kind, row

        operands, values = LaneCommand.banks(cfg), ValueRead.banks(cfg)
        kind, row = pick((*operands, "residual", *(["centroid"] if self.stay else []), "none"))
        # Two slices at once: neighbours, of centroids the even one first.
        pair = self.fast and kind in ("centroid", "key", "value") and chance()
        if pair:
            bank, row = {"centroid": "token"}.get(kind, kind), row if kind == "centroid" else row & ~1
            both = row, row ^ 1
            pair = not (written[bank] & set(both) or {at % 2 for at in both} & parities and kind == "centroid"
                        ) and max(both) < len(banks[bank]) and None not in [banks[bank][at] for at in both]
            kind = kind if pair else "none"
        c1_row = self.known("value", written["value"])
        if kind == "residual" and c1_row is None:
            kind = "none"
        read = {"residual": {"token", "value"}, "centroid": {"token"}, "none": set()}.get(kind, {kind})
        load, load_row = pick((*values, "none"), read)
        push = load != "none" or chance()
        # Only a token as a centroid may be counted.
        stays = {"centroid": kind == "centroid", "counted": chance()} if self.stay else {}
        command = {
            **{name: kind == name for name in operands}, **stays,
            "token": kind in ("token", "residual", "centroid"), "residual": kind == "residual",
            "addr": row, "c1_addr": c1_row or 0,
            "pe": {name: rng.getrandbits(1) for name in ("df2", "first", "sc", "swap")}
            | ({"pair": pair} if self.fast else {}),
            "shadow": {"push": push, "addr": load_row, **({"less": chance()} if self.fast else {}), **{
                name: load == name for name in values}}}
        self.ctx.set(self.dut.cmd, command)
        self.ctx.set(self.dut.read_en, 0)
        each = cfg.lane_rows
        self.expect(2, "token_moved", [0] * each)
        second = [0] * each
        if pair:
            rows, second = banks[bank][row ^ 1], [0] * each
            if kind == "centroid":
                rows, moved = self.centroid(rows)
                second = [each_moved and command["counted"] for each_moved in moved]
            self.expect(2, "y", rows, 1)
            self.expect(2, "token_moved", [2 * one for one in second])
        if kind == "residual":
            self.expect(2, "x", self.residual(banks["token"][row], banks["value"][c1_row])[0], 1)
        elif kind == "centroid":
            values, moved = self.centroid(banks["token"][row])
            self.expect(2, "x", values, 1)
            self.expect(2, "token_moved", [int(each_moved and command["counted"]) + 2 * bool(other)
                                           for each_moved, other in zip(moved, second)])
        elif kind != "none":
            self.expect(2, "x", banks[kind][row], 1)
        if load == "token":
            values, moved = self.centroid(banks["token"][load_row])
            self.expect(2, "shadow", values, 1)
            self.expect(2, "token_moved", moved)
        elif self.fast:
            value = banks[{"query": "output"}.get(load, load)][load_row] if load != "none" else [0] * each
            self.expect(2, "shadow", [before - now * command["shadow"]["less"]
                                      for before, now in zip(self.read[0], value)], 1)
            self.read = [self.read[1], value]
        elif load == "query":
            self.expect(2, "shadow", banks["output"][load_row], 1)
        elif load != "none":
            self.expect(2, "shadow", banks[load][load_row], 1)
        self.expect(2, "pe", [command["pe"]] * each, 1)
        self.expect(2, "push", [push] * each, 1)
        self.due.setdefault(self.cycle + each, {})["cmd_up", None] = command
        self.due.setdefault(self.cycle + each - 1, {})["reads_next", None] = "weight" in (kind, load)
        operand, row = row, self.known("output", written["output"])
        one_port = written["output"] and not self.stay
        if row is not None and load != "query" and not one_port and chance():
            self.ctx.set(self.dut.read_en, 1)
            self.ctx.set(self.dut.read_addr, row)
            self.expect(1, "read_data", banks["output"][row])
        if pair and kind == "centroid":
            return read | {load}, {0, 1}
        return read | {load}, {array_row % 2 for kind, array_row in (
            ("token" if "token" in read else "", operand), (load, load_row)) if kind == "token"}

    def _for_cacc(self, chance, written, read, parities):
        ctx, dut, banks = self.ctx, self.dut, self.banks
        copy = chance()
        bank = "key" if copy else "value"
        parities |= {row % 2 for row in written["token"]}
        row = self.known("token", [row for row in range(self.cfg.token_depth) if row % 2 in parities])
        c1_row = self.known(bank, written[bank])
        residual = c1_row is not None and bank not in read and chance()
        asked = row is not None and chance(0.8)
        ctx.set(dut.cag, {"en": asked, "residual": residual, "copy": copy, "addr": row or 0,
                          "c1_addr": c1_row or 0})
        self.expect(2, "cag_moved", [0] * self.cfg.lane_rows)
        if asked and residual:
            values, moved = self.residual(banks["token"][row], banks[bank][c1_row])
            self.expect(2, "cag_x", values)
            self.expect(2, "cag_moved", moved)
        elif asked:
            self.expect(2, "cag_x", banks["token"][row])

    def _write_back(self, chance):
        """Commands for K, V and for O; an element a cycle is taken, and all are written together."""
        cfg, ctx, dut, rng = self.cfg, self.ctx, self.dut, self.rng
        v, q = rng.getrandbits(1), self.stay and rng.getrandbits(1)
        v, asked = v & (not q), False      # Q is written for the bank of O
        for name, values, bank, fmt in (
                ("kv", dut.linear, "output" if q else "value" if v else "key", cfg.fmt.qkv),
                ("o", dut.out, "output", cfg.fmt.output)):
            shown = [rng.choice((fmt.min, fmt.max, rng.randint(fmt.min, fmt.max))) for _ in values]
            self.shown[name, self.cycle] = shown
            for port, value in zip(values, shown):
                ctx.set(port, value)
            en, col = chance(0.3) and not asked, rng.randrange(cfg.b)
            asked = en and q
            row = rng.randrange(len(self.banks[bank]))
            command = {"en": en, "v": v, "col": col, "addr": row}
            if self.stay and name == "kv":
                command, col = {"en": en, "v": v, "q": q, "group": 0, "addr": row}, None
            ctx.set(getattr(dut, name), command)
            onward = "kv_up" if name == "kv" else "o_down"
            end = self.cycle + cfg.lane_rows
            if onward in dut.signature.members:
                self.due.setdefault(end, {})[onward, None] = command
            if en:
                self.behind.setdefault(end, []).append((name, bank, row, col))

    def _written_back(self, name, bank, row, col):
        """The row of a write-back that ends: of K and V the lowest element came first, of O the highest."""
        each = self.cfg.lane_rows
        values = [self.shown[name, at][i if col is None else col]
                  for i, at in enumerate(range(self.cycle - each, self.cycle))]
        return bank, row, values if name == "kv" else values[::-1]

    def look(self, note):
        """Compares what is due in this cycle."""
        for (name, at), want in self.due.pop(self.cycle, {}).items():
            port = getattr(self.dut, name)
            got = self.ctx.get(port if at is None else port[at])
            if isinstance(want, dict):
                got, want = got.as_bits(), got.shape().const(want).as_bits()
            elif name == "read_data":
                want &= (1 << len(port[at])) - 1
            assert got == want, f"{note}: {name}, {at}, in cycle {self.cycle}"


def check(cfg, seed, cycles=700, resets=0, block=Lane):
    rng, dut, reset = random.Random(seed), block(cfg), Signal()

    async def bench(ctx):
        twin = Twin(cfg, ctx, dut, rng)
        for _ in range(cycles):
            twin.step()
            twin.look(f"seed {seed}")
            restart = rng.random() < resets
            ctx.set(reset, restart)
            await ctx.tick()
            twin.cycle += 1
            if restart:
                # Commands under way are gone, the banks stay.
                twin.due.clear()
                twin.behind.clear()
                for name in {"kv_up", "o_down"} & set(dut.signature.members):
                    assert ctx.get(getattr(dut, name).en) == 0, f"seed {seed}: {name} after reset"
                assert ctx.get(dut.cmd_up).as_bits() == 0, f"seed {seed}: cmd_up after reset"
                for name in ("push", "cag_moved", "pe"):
                    for port in getattr(dut, name):
                        got = ctx.get(port)
                        assert (got.as_bits() if name == "pe" else got) == 0, f"seed {seed}: {name}"

    simulate(dut, bench, reset)


@pytest.mark.parametrize("name", CONFIGS)
def test_lane(name):
    check(CTAConfig(**CONFIGS[name]), 11)


@pytest.mark.parametrize("name", ["small", "weights"])
def test_reset(name):
    check(CTAConfig(**CONFIGS[name]), 12, resets=0.05)


MUTANTS = {
    "residual of the last command": ("(at.residual, residual)", "(cmd.residual, residual)"),
    "K from the next column": ("columns[kvs[i].col]", "columns[kvs[i].col ^ 1]", "_writes"),
    "K of one row in all": ("columns[kvs[i].col]", "columns[kvs[0].col]", "_writes"),
    "O of the rows turned": ("os[each - 1 - i].col], i + 1", "os[i].col], each - i", "_writes"),
    "K at the row of a centroid": ("Mux(mine, kv.addr, addr)", "addr", "_writes"),
    "V among the keys": ("(key, kv.en & ~kv.v &", "(key, kv.en &", "_writes"),
    "tokens cut off": ('centroid if name == "token" else of[name]', "of[name]"),
    "moves of other reads counted": ("stay else at.shadow.token", "stay else 1", "_counts"),
    "Q among the keys": ("& ~(kv.q if stay else 0)", "", "_writes"),
    "Q where O is read": ("Mux(load.query, load.addr, self.read_addr)", "self.read_addr", "_writes"),
    "no Q": ("kv.en & kv.q", "0", "_writes"),
    "operands cut off": ("(at.centroid, centroid)", "(at.centroid, of_token.as_signed())"),
    "every token counted": ("at.centroid & at.counted if", "at.centroid if", "_counts"),
    "Q of one column in all": ("self.linear[i] if stay", "self.linear[0] if stay", "_writes"),
    "CACC behind the array": ("Mux(of_value, cag.c1_addr,", "Mux(0, cag.c1_addr,"),
    "tokens of the other parity": ("Mux(before.addr[0], odd, even)", "even"),
    "C1 of another bank": ("Mux(before.copy, of_key, of_value)", "of_value"),
    "values of the operand's row": ("Mux(loads, load.addr, cmd.addr)", "cmd.addr"),
    "values not pushed": ("delay(m, at.shadow.push, 1 + i,", "delay(m, at.shadow.push & 0, 1 + i,"),
    "rows without skew": ("delay(m, chosen, 1 + i)", "delay(m, chosen, 1)"),
    "a weight that is read is not told": ("above.shadow.weight |", "0 |"),
    "centroid not aligned": ("<< self.cfg.residual_shift", "<< 0", "_residual"),
    "moves of plain tokens counted": ("asked & before.residual & moved", "asked & moved"),
    "moves of unasked rows counted": ("asked & before.residual & moved", "before.residual & moved"),
}


def mutated(block):
    for name in ("small", "weights"):
        check(CTAConfig(**CONFIGS[name]), 11, block=block)


test_mutants = each_found(Lane, MUTANTS, mutated)


FAST = {
    "the slice itself": ("Mux(which, even, odd)", "Mux(which, odd, even)", "elaborate"),
    "key for value": ("(at.value, of_value.as_signed())", "(at.value, of_key.as_signed())", "_second_slice"),
    "second tokens cut off": ("(at.centroid, centroid)", "(at.centroid, of_token.as_signed())",
                              "_second_slice"),
    "second tokens never counted": ("at.pe.pair & moved", "0", "_second_slice"),
    "lone tokens counted twice": ("& at.pe.pair & moved", "& moved", "_second_slice"),
    "seconds without skew": ("delay(m, second, 1 + i)", "delay(m, second, 1)", "_second_slice"),
    "one half alone": ("bank.both.eq(both)", "bank.both.eq(0)", "elaborate"),
    "one parity alone": ("(both | (array[0] == odd))", "(array[0] == odd)", "elaborate"),
    "values pushed at once": ("delay(m, read, 2)", "delay(m, read, 1)", "_difference"),
    "always differences": ("Mux(at.shadow.less, read, 0)", "read", "_difference"),
    "old values where none is read": ("Mux(at.shadow.weight | at.shadow.query, loaded, 0)", "loaded",
                                      "_difference"),
}


@pytest.mark.parametrize("name", FAST)
def test_mutants_of_fast_products(name):
    with pytest.raises(AssertionError, match="seed"):
        check(CTAConfig(**CONFIGS["fast"]), 11, block=edited(Lane, *FAST[name]))
