"""The LookupFFN engine, as a generator's user names it: configuration, top, words and codes."""

from gen.command import Command
from gen.lookup.top import Lookup
from model.lookup.config import LookupConfig
from model.lookup.job import ErrorCode, Order
from model.lookup.layout import JOB_FIELDS, LOAD_FIELDS, STATUS_FIELDS, TRACE_FIELDS, Target

__all__ = ["ENGINE"]

ENGINE = Command(
    program="python -m gen.lookup", what="the LookupFFN engine",
    config=LookupConfig, component=Lookup,
    always=("d", "h", "tau", "block"),
    fields={"load": LOAD_FIELDS, "job": JOB_FIELDS, "status": STATUS_FIELDS,
            "activity": TRACE_FIELDS},
    codes={"targets": Target, "errors": ErrorCode, "orders": Order},
)
