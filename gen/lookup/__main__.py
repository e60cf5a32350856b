"""``python -m gen.lookup``: the LookupFFN engine as Verilog on standard output."""

import sys

from gen.command import Command
from gen.lookup.top import Lookup
from model.lookup.config import LookupConfig
from model.lookup.job import ErrorCode, Order
from model.lookup.layout import JOB_FIELDS, LOAD_FIELDS, STATUS_FIELDS, TRACE_FIELDS, Target

COMMAND = Command(
    program="python -m gen.lookup", what="the LookupFFN engine as Verilog on standard output",
    config=LookupConfig, component=Lookup,
    always=("d", "h", "tau", "block"),
    fields={"load": LOAD_FIELDS, "job": JOB_FIELDS, "status": STATUS_FIELDS,
            "activity": TRACE_FIELDS},
    codes={"targets": Target, "errors": ErrorCode, "orders": Order},
)

main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
