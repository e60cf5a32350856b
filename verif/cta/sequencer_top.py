"""Schedule and sequencer, wired as the engine wires them, with every field of a slot as a port."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from gen.cta.schedule import Schedule
from gen.cta.sequencer import Sequencer, Slot
from gen.emit import place
from model.cta.schedule import Op

__all__ = ["SequencerTop"]

INNER = {"rows", "out_issued"}


class SequencerTop(wiring.Component):
    """Inputs are those of the schedule; ``stop`` comes with ``start``. ``slot_op`` and so on are
    the fields of the slot."""

    module_name = "cta_sequencer_top"

    def __init__(self, cfg, schedule=Schedule, sequencer=Sequencer):
        self.schedule, self.sequencer, self.fields = schedule(cfg), sequencer(cfg), Slot(cfg)
        members = {name: member for name, member in self.schedule.signature.members.items()
                   if name not in INNER}
        members |= {name: Out(self.sequencer.signature.members[name].shape)
                    for name in ("busy", "activity")}
        members |= {f"slot_{name}": Out(field.shape) for name, field in self.fields}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        schedule, sequencer = self.schedule, self.sequencer
        m.submodules.schedule = place(platform, schedule)
        m.submodules.sequencer = place(platform, sequencer)
        slot = sequencer.slot
        wiring.connect(m, schedule.rows, sequencer.rows)
        for name in ("start", "job", "k0", "k1", "k", "c1_done", "centroids_done", "ap_done"):
            m.d.comb += getattr(schedule, name).eq(getattr(self, name))
        m.d.comb += [
            schedule.out_issued.eq((slot.op == Op.OUT) & slot.last), sequencer.stop.eq(self.start),
            self.ended.eq(schedule.ended), self.busy.eq(sequencer.busy),
            self.activity.eq(sequencer.activity),
            *(getattr(self, f"slot_{name}").eq(getattr(slot, name)) for name, _ in self.fields),
        ]
        return m
