"""One head, one layer or one exported layer on float, golden model or Verilog: ``python -m sw.run``."""
