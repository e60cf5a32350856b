"""SRAM wrapper against a dictionary: hold, priority of the write, all words, any width."""

import random

import cocotb

from verif.bench import seed
from verif.cycle import put, settle, start, tick


@cocotb.test()
async def random_traffic(dut):
    rng = random.Random(seed())
    rw, one = hasattr(dut, "q_en"), hasattr(dut, "addr")
    width = len(dut.w_data)
    await start(dut)
    cells, shown = {}, {"r": None, "q": None}
    # Only words that exist: the depth need not be a power of two.
    from verif.bench import config
    depth = config().n - 1
    for cycle in range(600):
        want = {"w": rng.random() < .5, "r": rng.random() < .6, "q": rw and rng.random() < .6}
        at = {side: rng.randrange(depth) for side in want}
        word = rng.getrandbits(width)
        if one:                # one port does one thing at a time
            want["r"] &= not want["w"]
            put(dut.addr, at["w"] if want["w"] else at["r"])
        for side in ("w", "r", "q") if rw else ("w", "r"):
            put(getattr(dut, f"{side}_en"), want[side])
            if not one:
                put(getattr(dut, f"{side}_addr"), at[side])
        put(dut.w_data, word)
        await settle()
        for side in ("r", "q") if rw else ("r",):
            if shown[side] is not None:
                assert getattr(dut, f"{side}_data").value == shown[side], (
                    f"cycle {cycle}, port {side}, seed {seed()}")
        for side in ("r", "q"):
            if want[side] and not (rw and side == "r" and want["w"]):
                clash = want["w"] and at["w"] == at[side]     # undefined by contract
                shown[side] = None if clash else cells.get(at[side])
        if want["w"]:
            cells[at["w"]] = word
        await tick(dut)
