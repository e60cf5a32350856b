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
    parameters={
        "d": "token dimension, a multiple of 8 in 8..2048 (default 512)",
        "h": "hash tables, 1..1024 (default 128)",
        "tau": "bits of a hash code, 1..16 (default 8)",
        "block": "block size of BH4, a power of two 4..256 (default 64)",
        "projection": "bh4 or dense (default bh4)",
        "neighbours": "read the rows at one sign flip as well",
        "gelu_scaled": "the weight carries <z, S> (the default; --no-gelu_scaled: plain eq 7)",
        "residual": "add a residual tensor to the output",
        "multipliers": "multipliers of the projection, a power of two (default 256)",
        "lanes": "table bytes a beat, a power of two (default 64)",
        "batch": "tokens that share a table tile, 1..256 (default 64)",
        "tables": "external or internal (default external)",
        "outstanding": "table beats in flight, a power of two (default 256)",
        **LookupConfig.constant_help(),
    },
    always=("d", "h", "tau", "block"),
    fields={"load": LOAD_FIELDS, "job": JOB_FIELDS, "status": STATUS_FIELDS,
            "activity": TRACE_FIELDS},
    codes={"targets": Target, "errors": ErrorCode, "orders": Order},
)

main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
