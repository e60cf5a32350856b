"""Lane: random reads and writes of all banks at once; residuals and the centroid of a token against
model.cta.centroid."""

import random

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from gen.cta.lane import Lane, LaneCommand, ValueRead
from model.cta.centroid import centroids, residuals
from model.cta.config import CTAConfig
from tests.gen.mutants import each_found

CONFIGS = {"small": dict(b=4, d=8, l=2, n=6, k0=5, k1=6, k2=3),
           "slices": dict(b=2, d=8, dw=16, l=3, n=5, sets=2, program="table1"),
           "smallest": dict(b=2, d=8, l=1, n=2, k0=1, k1=1, k2=1, exact=1),
           "weights": dict(b=2, d=8, dw=16, l=3, n=6, k0=5, k1=6, k2=3)}


class Twin:
    """The lane as dictionaries: what a cycle's inputs do to the banks and show, and when."""

    def __init__(self, cfg, ctx, dut, rng):
        self.cfg, self.ctx, self.dut, self.rng = cfg, ctx, dut, rng
        f = cfg.fmt
        self.banks = {"token": [None] * cfg.token_depth, "weight": [None] * cfg.weight_depth,
                      "key": [None] * cfg.key_depth, "value": [None] * cfg.value_depth,
                      "output": [None] * cfg.queries}
        self.formats = {"token": f.token, "weight": f.weight, "key": f.centroid, "value": f.centroid}
        self.stay = cfg.program.weights_stay
        self.due = {}             # cycle -> {output: value}
        self.kv = self.o = None   # the write-back under way: (bank, row, value)
        self.cycle = 0

    def raw(self, fmt):
        return self.rng.choice((fmt.min, fmt.max, self.rng.randint(fmt.min, fmt.max)))

    def known(self, bank, avoid=()):
        """A row of a bank that may be read now, or None."""
        rows = [row for row, value in enumerate(self.banks[bank])
                if value is not None and row not in avoid]
        return self.rng.choice(rows) if rows else None

    def residual(self, token, centroid):
        value, moved = residuals(self.cfg, np.array([[token]]), np.array([[centroid]]),
                                 np.array([0]))
        return int(value[0, 0]), moved

    def centroid(self, token):
        value, moved = centroids(self.cfg, np.array([[token]]), np.array([0]), 1)
        return int(value[0, 0]), moved

    def step(self):
        """Drives one cycle."""
        rng, ctx, dut = self.rng, self.ctx, self.dut
        written = {bank: set() for bank in self.banks}
        stores = []

        def chance(p=0.5):
            return rng.random() < p

        # Writes: of the loader, of K or V after their write-back command of the last cycle, else of
        # CAVG, and of O.
        load_token = chance()
        load_weight = not load_token and chance()
        row = rng.randrange(len(self.banks["token" if load_token else "weight"]))
        value = self.raw(self.cfg.fmt.token if load_token else self.cfg.fmt.weight)
        ctx.set(dut.load, {"token": load_token, "weight": load_weight, "addr": row})
        ctx.set(dut.load_data, value & 0xFFFF)
        if load_token or load_weight:
            stores.append(("token" if load_token else "weight", row, value))
        bank = rng.choice(("key", "value"))
        means = (self.kv is None or self.kv[0] != bank) and chance()
        row = rng.randrange(len(self.banks[bank]))
        value = self.raw(self.cfg.fmt.centroid)
        ctx.set(dut.c, {"key": means and bank == "key", "value": means and bank == "value",
                        "addr": row})
        ctx.set(dut.c_data, value)
        if means:
            stores.append((bank, row, value))
        stores += [store for store in (self.kv, self.o) if store]
        for bank, row, _ in stores:
            written[bank].add(row)

        taken = self._command(chance, written)
        self._for_cacc(chance, written, taken)
        self._write_back(chance)
        for bank, row, value in stores:
            self.banks[bank][row] = value

    def _command(self, chance, written):
        """An operand of one bank, a value of another; port 0 of the token and value banks either reads or
        writes. Whether C1, C2 or V is read."""
        banks, rng = self.banks, self.rng

        def pick(kinds, taken=None):
            """What is read, and its row; never of the bank ``taken``."""
            kind = rng.choice(kinds)
            bank = {"residual": "token", "centroid": "token", "query": "output"}.get(kind, kind)
            row = None if kind == "none" else self.known(bank, written[bank])
            if row is None or bank == taken or (bank == "token" and written["token"]) or chance(0.1):
                return "none", 0
            return kind, row

        operands, values = LaneCommand.banks(self.cfg), ValueRead.banks(self.cfg)
        kind, row = pick((*operands, "residual", *(["centroid"] if self.stay else []), "none"))
        c1_row = self.known("value") if not written["value"] else None
        if kind == "residual" and c1_row is None:
            kind = "none"
        bank = "token" if kind in ("residual", "centroid") else kind
        load, load_row = pick((*values, "none"), bank)
        push = load != "none" or chance()
        # Only a token as a centroid may be counted, and an operand that is none asks for nothing.
        stays = {"centroid": kind == "centroid", "counted": chance()} if self.stay else {}
        command = {
            **{name: kind == name for name in operands}, **stays,
            "token": kind in ("token", "residual", "centroid"), "residual": kind == "residual",
            "addr": row, "c1_addr": c1_row or 0,
            "pe": {name: rng.getrandbits(1) for name in ("df2", "first", "sc", "swap")},
            "shadow": {"push": push, "addr": load_row, **{
                name: load == name for name in values}}}
        self.ctx.set(self.dut.cmd, command)
        self.ctx.set(self.dut.read_en, 0)
        later = self.due.setdefault(self.cycle + 2, {})
        later["token_moved"] = 0
        if kind == "residual":
            later["x"] = self.residual(banks["token"][row], banks["value"][c1_row])[0]
        elif kind == "centroid":
            later["x"], moved = self.centroid(banks["token"][row])
            later["token_moved"] = moved and command["counted"]
        elif kind != "none":
            later["x"] = banks[kind][row]
        if load == "token":
            later["shadow"], later["token_moved"] = self.centroid(banks["token"][load_row])
        elif load == "query":      # what is there has the width of Q or of O
            width = self.cfg.fmt.qkv.width
            value = banks["output"][load_row] & ((1 << width) - 1)
            later["shadow"] = value - (value >> (width - 1) << width)
        elif load != "none":
            later["shadow"] = banks[load][load_row]
        later["pe"], later["push"] = command["pe"], push
        self.due.setdefault(self.cycle + 1, {})["cmd_up"] = command
        row = self.known("output", written["output"])
        if row is not None and load != "query" and chance():
            self.ctx.set(self.dut.read_en, 1)
            self.ctx.set(self.dut.read_addr, row)
            self.due[self.cycle + 1]["read_data"] = banks["output"][row]
        return "value" in (kind, load)

    def _for_cacc(self, chance, written, taken):
        ctx, dut, banks = self.ctx, self.dut, self.banks
        row, c1_row = self.known("token", written["token"]), self.known("value", written["value"])
        residual = c1_row is not None and not taken and chance()
        asked = row is not None and chance(0.8)
        ctx.set(dut.cag, {"en": asked, "residual": residual, "addr": row or 0,
                          "c1_addr": c1_row or 0})
        later = self.due.setdefault(self.cycle + 2, {})
        later["cag_moved"] = 0
        if asked and residual:
            later["cag_x"], later["cag_moved"] = self.residual(banks["token"][row],
                                                               banks["value"][c1_row])
        elif asked:
            later["cag_x"] = banks["token"][row]

    def _write_back(self, chance):
        """Commands for K, V and for O; the value is taken now and written a cycle later."""
        cfg, ctx, dut, rng = self.cfg, self.ctx, self.dut, self.rng
        under_way = []
        v, q = rng.getrandbits(1), self.stay and rng.getrandbits(1)
        v &= not q
        for name, values, bank, fmt in (
                ("kv", dut.linear, "output" if q else "value" if v else "key", cfg.fmt.qkv),
                ("o", dut.out, "output", cfg.fmt.output)):
            shown = [self.raw(fmt) for _ in range(len(values))]
            for port, value in zip(values, shown):
                ctx.set(port, value)
            en, col = chance(0.3), rng.randrange(len(values))
            en &= not (name == "o" and under_way[0] and under_way[0][0] == "output")
            row = rng.randrange(len(self.banks[bank]))
            command = {"en": en, "v": v, "col": col, "addr": row}
            if self.stay and name == "kv":
                command = {"en": en, "v": v, "q": q, "group": 0, "addr": row}
            ctx.set(getattr(dut, name), command)
            onward = "kv_up" if name == "kv" else "o_down"
            if onward in dut.signature.members:
                self.due.setdefault(self.cycle + 1, {})[onward] = command
            under_way.append((bank, row, shown[col]) if en else None)
        self.kv, self.o = under_way

    def look(self, note):
        """Compares what is due in this cycle."""
        for name, want in self.due.pop(self.cycle, {}).items():
            got = self.ctx.get(getattr(self.dut, name))
            if isinstance(want, dict):
                got, want = got.as_bits(), got.shape().const(want).as_bits()
            elif name == "read_data":
                want &= (1 << len(self.dut.read_data)) - 1
            assert got == want, f"{note}: {name} in cycle {self.cycle}"


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
                twin.kv = twin.o = None
                for name in {"kv_up", "o_down"} & set(dut.signature.members):
                    assert ctx.get(getattr(dut, name).en) == 0, f"seed {seed}: {name} after reset"
                assert ctx.get(dut.push) == 0 and ctx.get(dut.cag_moved) == 0, f"seed {seed}"
                assert ctx.get(dut.pe).as_bits() == 0, f"seed {seed}"

    sim = Simulator(ResetInserter(reset)(dut))
    sim.add_clock(1e-9)
    sim.add_testbench(bench)
    sim.run()


@pytest.mark.parametrize("name", CONFIGS)
def test_lane(name):
    check(CTAConfig(**CONFIGS[name]), 11)


@pytest.mark.parametrize("name", ["small", "weights"])
def test_reset(name):
    check(CTAConfig(**CONFIGS[name]), 12, resets=0.05)


MUTANTS = {
    "residual of the last command": ("m.If(at.residual)", "m.If(cmd.residual)"),
    "K from the next column": ("[self.kv.col]", "[self.kv.col ^ 1]"),
    "K at the row of a centroid": ("Mux(mine, kv.addr, self.c.addr)", "self.c.addr"),
    "V among the keys": ("k_comes, v_comes = kv.en & ~kv.v,", "k_comes, v_comes = kv.en,"),
    "tokens cut off": ('bank_data |= {"token": centroid', 'bank_data |= {"token": token.r_data'),
    "moves of other reads counted": ("stay else at.shadow.token)", "stay else 1)"),
    "CACC behind the array": ("Mux(subtracts, self.cag.c1_addr,", "Mux(0, self.cag.c1_addr,"),
    "Q among the keys": ("k_comes &= ~kv.q", "pass"),
    "Q where O is read": ("Mux(load.query, load.addr, self.read_addr)", "self.read_addr"),
    "no Q": ("m.If(kv.en & kv.q)", "m.If(0)"),
    "operands cut off": ("m.d.comb += chosen.eq(centroid)", "m.d.comb += chosen.eq(token.r_data)"),
    "every token counted": ("at.centroid & at.counted if stay", "at.centroid if stay"),
    "values of the operand's row": ("Mux(loads, load.addr, cmd.addr)", "cmd.addr"),
    "values not pushed": ("push.eq(at.shadow.push)", "push.eq(0)"),
    "centroid not aligned": ("<< self.cfg.residual_shift", "<< 0", "_residual"),
    "moves of plain tokens counted": ("asked & subtract & moved", "asked & moved"),
    "moves of unasked rows counted": ("asked & subtract & moved", "subtract & moved"),
}


def mutated(block):
    for name in ("small", "weights"):
        check(CTAConfig(**CONFIGS[name]), 11, block=block)


test_mutants = each_found(Lane, MUTANTS, mutated)
