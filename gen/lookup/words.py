"""The words of the host side as Amaranth layouts; their fields are in ``model.lookup.layout``."""

from amaranth.hdl import unsigned
from amaranth.lib import data

from model.lookup.layout import (
                                 ELEMENT_WIDTH,
                                 HOST_LANES,
                                 JOB_FIELDS,
                                 LOAD_FIELDS,
                                 STATUS_FIELDS,
                                 TRACE_FIELDS,
)

__all__ = ["LoadCommand", "JobWord", "StatusWord", "Trace", "Elements", "BEAT"]

LoadCommand = data.StructLayout(dict(LOAD_FIELDS))
JobWord = data.StructLayout(dict(JOB_FIELDS))
StatusWord = data.StructLayout(dict(STATUS_FIELDS))
Trace = data.StructLayout(dict(TRACE_FIELDS))
Elements = data.ArrayLayout(unsigned(ELEMENT_WIDTH), HOST_LANES)
BEAT = HOST_LANES * ELEMENT_WIDTH
