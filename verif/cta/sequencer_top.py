"""The program of the engine with every field of a slot as a port of its own."""

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from gen.cta.program import Program
from gen.cta.sequencer import Slot
from gen.emit import place

__all__ = ["SequencerTop"]


class SequencerTop(wiring.Component):
    """Ports are those of the program, but the slot: ``slot_op``, ``slot_shadow_push`` and so on are its
    fields."""

    module_name = "cta_sequencer_top"

    def __init__(self, cfg):
        self.program, self.fields = Program(cfg), dict(_flat(Slot(cfg)))
        members = dict(self.program.signature.members)
        del members["slot"]
        self.names = tuple(members)
        super().__init__(members | {f"slot_{name}": Out(shape)
                                    for name, (shape, _) in self.fields.items()})

    def elaborate(self, platform):
        m = Module()
        program = self.program
        m.submodules.program = place(platform, program)
        wiring.connect(m, wiring.flipped(self.clusters), program.clusters)
        for name, member in program.signature.members.items():
            if member.is_port and name in self.names:
                inside, outside = getattr(program, name), getattr(self, name)
                m.d.comb += outside.eq(inside) if member.flow == Out else inside.eq(outside)
        for name, (_, path) in self.fields.items():
            value = program.slot
            for part in path:
                value = value[part]
            m.d.comb += getattr(self, f"slot_{name}").eq(value)
        return m


def _flat(layout, path=()):
    """The fields of a layout and of those in it: a name, the shape, and the way there."""
    for name, field in layout:
        if isinstance(field.shape, data.StructLayout):
            yield from _flat(field.shape, (*path, name))
        else:
            yield "_".join((*path, name)), (field.shape, (*path, name))
