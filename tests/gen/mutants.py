"""Broken blocks for mutation tests: the block itself behind ports that are wired wrongly."""

from amaranth.hdl import Module
from amaranth.lib.wiring import In

__all__ = ["rewired"]


def rewired(block, **wrong):
    """A subclass of ``block`` in which each input in ``wrong`` is ``wrong[name](outer port)``."""

    class Rewired(block):
        def __init__(self, *args):
            super().__init__(*args)
            self._args = args

        def elaborate(self, platform):
            m = Module()
            m.submodules.inner = inner = block(*self._args)
            for name, member in self.signature.members.items():
                inside, outside = getattr(inner, name), getattr(self, name)
                pairs = zip(inside, outside) if member.dimensions else [(inside, outside)]
                for within, without in pairs:
                    if member.flow == In:
                        m.d.comb += within.eq(wrong.get(name, lambda port: port)(without))
                    else:
                        m.d.comb += without.eq(within)
            return m

    return Rewired
