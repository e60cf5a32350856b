"""The program of the engine with every field of a slot as a port of its own."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from gen.cta.program import Program
from gen.cta.sequencer import Slot
from gen.emit import place

__all__ = ["SequencerTop"]


class SequencerTop(wiring.Component):
    """Ports are those of the program, but the slot: ``slot_op`` and so on are its fields."""

    module_name = "cta_sequencer_top"

    def __init__(self, cfg):
        self.program, self.fields = Program(cfg), Slot(cfg)
        members = dict(self.program.signature.members)
        del members["slot"]
        self.names = tuple(members)
        super().__init__(members | {f"slot_{name}": Out(field.shape)
                                    for name, field in self.fields})

    def elaborate(self, platform):
        m = Module()
        program = self.program
        m.submodules.program = place(platform, program)
        wiring.connect(m, wiring.flipped(self.clusters), program.clusters)
        for name, member in program.signature.members.items():
            if member.is_port and name in self.names:
                inside, outside = getattr(program, name), getattr(self, name)
                m.d.comb += outside.eq(inside) if member.flow == Out else inside.eq(outside)
        m.d.comb += [getattr(self, f"slot_{name}").eq(program.slot[name])
                     for name, _ in self.fields]
        return m
