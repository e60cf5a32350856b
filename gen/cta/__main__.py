"""``python -m gen.cta``: the CTA accelerator as Verilog on standard output."""

import sys

from gen.command import Command
from gen.cta.top import CTA
from model.cta.config import CTAConfig
from model.cta.job import ErrorCode, Mode
from model.cta.layout import JOB_FIELDS, LOAD_FIELDS, STATUS_FIELDS, TRACE_FIELDS, Target

COMMAND = Command(
    program="python -m gen.cta", what="the CTA accelerator as Verilog on standard output",
    config=CTAConfig, component=CTA,
    always=("b", "d", "l", "n"),
    fields={"load": LOAD_FIELDS, "job": JOB_FIELDS, "status": STATUS_FIELDS,
            "activity": TRACE_FIELDS},
    codes={"targets": Target, "errors": ErrorCode, "modes": Mode},
)

main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
