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
    parameters={
        "b": "SA width in columns: 2, 4, 8, 16, 32 (default 8)",
        "d": "head dimension and SA height: 8, 16, 32, 64, 128 (default 64)",
        "dw": "token dimension, a multiple of d up to 16 d (default d)",
        "l": "hash code length, 1..8 (default 6)",
        "n": "most tokens of a job, 2..2048 (default 512)",
        "k0": "cluster capacity of LSH0, 1..n (default n)",
        "k1": "cluster capacity of LSH1, 1..n (default n)",
        "k2": "cluster capacity of LSH2, 1..n (default n)",
        "pag": "exponentials a cycle, a power of two 2..2b (default 2b)",
        "sets": "weight sets on chip, 1..8 (default 1)",
        "lanes": "elements a beat of the host streams, a power of two 4..d (default 8)",
        "digit": "hash bits a layer of the cluster tree, 1, 2, 4 (default 2)",
        **CTAConfig.constant_help(),
    },
    always=("b", "d", "l", "n"),
    fields={"load": LOAD_FIELDS, "job": JOB_FIELDS, "status": STATUS_FIELDS,
            "activity": TRACE_FIELDS},
    codes={"targets": Target, "errors": ErrorCode, "modes": Mode},
)

main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main())
