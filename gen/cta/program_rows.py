"""Rows of the program as a table, and the row at hand in registers."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from model.cta.config import CTAConfig
from model.cta.job import LSH_WIDTH
from model.cta.schedule import Loop, Op, Wait

__all__ = ["ProgramRow", "ProgramRows"]


class ProgramRow(data.StructLayout):
    """A row of ``cfg.program``, as :class:`model.cta.program.Row` has it; other rows by their numbers.

    ``kept``: what the row before loaded is of use to this one. ``sliced``: the row is of a loop over
    slices. ``ends``: no row follows the loops of this one.
    """

    def __init__(self, cfg: CTAConfig):
        number = range(len(cfg.program.rows))
        super().__init__({
            "op": Op, "wait": Wait, "lsh": LSH_WIDTH, "load": 1, "kept": 1, "previous": 1, "fast": 1,
            "loop": Loop, "sliced": 1, "ends": 1,
            "first_slice": number, "again": number, "then": number})

    @staticmethod
    def of(program, entry) -> dict:
        """The fields of an entry of a program."""
        numbers = {row.name: number for number, row in enumerate(program.rows)}
        return {"op": entry.op, "wait": entry.wait, "lsh": entry.lsh or 0, "load": int(entry.load),
                "kept": int(entry.op is Op.HASH and entry.kept), "previous": int(entry.previous),
                "fast": int(entry.fast), "loop": entry.loop,
                "sliced": int(entry.slices is not None), "ends": int(entry.next is None),
                "first_slice": numbers[entry.slices or entry.name],
                "again": numbers[entry.again or entry.name], "then": numbers[entry.next or entry.name]}


class ProgramRows(wiring.Component):
    """Looks up the next row of the program, whose fields wait in registers.

    So the table stands behind the choice of the next row, which is known early, and not before the
    addresses and the loops of the row, which are the longest paths of the schedule.

    Timing: ``row`` is that of ``number`` from the cycle after ``step`` on.

    Source: ours.

    Members
    -------
    number : Row of the program that comes next, by its place.
    step : The row at hand is done, and the next one takes its place.
    row : The row at hand. Layout :class:`ProgramRow`.
    """

    module_name = "cta_program_rows"

    def __init__(self, cfg: CTAConfig):
        self.cfg = cfg
        super().__init__({"number": In(range(len(cfg.program.rows))), "step": In(1),
                          "row": Out(ProgramRow(cfg))})

    def elaborate(self, platform):
        m = Module()
        found = Signal(ProgramRow(self.cfg))
        with m.Switch(self.number):
            for number, entry in enumerate(self.cfg.program.rows):
                with m.Case(number):
                    m.d.comb += [found[name].eq(value)
                                 for name, value in ProgramRow.of(self.cfg.program, entry).items()]
        with m.If(self.step):
            m.d.sync += self.row.eq(found)
        return m
