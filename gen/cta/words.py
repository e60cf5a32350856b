"""The words of the host side as Amaranth layouts; their fields are in ``model.cta.layout``."""

from amaranth.lib import data

from gen.fixed import shape
from model.cta.config import CTAConfig
from model.cta.job import SHIFT_O
from model.cta.layout import ELEMENT_WIDTH, JOB_FIELDS, LOAD_FIELDS, STATUS_FIELDS, TRACE_FIELDS

__all__ = ["LoadCommand", "JobWord", "StatusWord", "Trace", "beat_width"]

LoadCommand = data.StructLayout(dict(LOAD_FIELDS))
JobWord = data.StructLayout({name: shape(SHIFT_O) if name == "shift_o" else width
                             for name, width in JOB_FIELDS})
StatusWord = data.StructLayout(dict(STATUS_FIELDS))
Trace = data.StructLayout(dict(TRACE_FIELDS))


def beat_width(cfg: CTAConfig) -> int:
    """Bits of a beat of the ``data`` and ``out`` streams."""
    return cfg.lanes * ELEMENT_WIDTH
