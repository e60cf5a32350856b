"""The CTA engine, as a generator's user names it: configuration, top, words and codes."""

from gen.command import Command
from gen.cta.top import CTA
from model.cta.banks import banks
from model.cta.config import CTAConfig
from model.cta.job import ErrorCode, Mode
from model.cta.layout import JOB_FIELDS, LOAD_FIELDS, STATUS_FIELDS, TRACE_FIELDS, Target

__all__ = ["ENGINE"]

ENGINE = Command(
    program="python -m gen.cta", what="the CTA accelerator",
    config=CTAConfig, component=CTA,
    always=("b", "d", "l", "n"),
    fields={"load": LOAD_FIELDS, "job": JOB_FIELDS, "status": STATUS_FIELDS,
            "activity": TRACE_FIELDS},
    codes={"targets": Target, "errors": ErrorCode, "modes": Mode}, banks=banks,
)
